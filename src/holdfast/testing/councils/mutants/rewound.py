"""Mutants that rewind and prune wrongly (CO-8)."""

from __future__ import annotations

from uuid import UUID

from holdfast.councils import CouncilRunEvent
from holdfast.pages import check_limit
from holdfast.testing.councils.mutants.base import Mutant


class TruncatesOneTooMany(Mutant):
    """Supersedes the wave itself as well."""

    breaks = "CO-8"

    def truncate_events_after_wave(
        self, run_id: UUID, wave_index: int | None, *, epoch: int | None = None
    ) -> CouncilRunEvent:
        earlier = wave_index - 1 if wave_index else None
        return super().truncate_events_after_wave(run_id, earlier, epoch=epoch)


class TruncatesTheWaveless(Mutant):
    """Supersedes events of no wave as well."""

    breaks = "CO-8"

    def truncate_events_after_wave(
        self, run_id: UUID, wave_index: int | None, *, epoch: int | None = None
    ) -> CouncilRunEvent:
        statement = "UPDATE council_events SET superseded_at = :now WHERE wave_index IS NULL AND {of_run}"
        self.change_events(run_id, statement, now=self.tx.clock.micros())
        return super().truncate_events_after_wave(run_id, wave_index, epoch=epoch)


class TruncationDeletes(Mutant):
    """Deletes what it should supersede, as the seed did."""

    breaks = "CO-8"

    def truncate_events_after_wave(
        self, run_id: UUID, wave_index: int | None, *, epoch: int | None = None
    ) -> CouncilRunEvent:
        event = super().truncate_events_after_wave(run_id, wave_index, epoch=epoch)
        self.change_events(run_id, "DELETE FROM council_events WHERE superseded_at IS NOT NULL AND {of_run}")
        return event


class RewindsSilently(Mutant):
    """Takes the ``rewound`` event back."""

    breaks = "CO-8"

    def truncate_events_after_wave(
        self, run_id: UUID, wave_index: int | None, *, epoch: int | None = None
    ) -> CouncilRunEvent:
        event = super().truncate_events_after_wave(run_id, wave_index, epoch=epoch)
        self.change_events(run_id, "DELETE FROM council_events WHERE kind = 'rewound' AND {of_run}")
        return event


class RewoundStaysEnded(Mutant):
    """Rewinds the log of a run that has ended, and not the run."""

    breaks = "CO-8"

    def truncate_events_after_wave(
        self, run_id: UUID, wave_index: int | None, *, epoch: int | None = None
    ) -> CouncilRunEvent:
        run = self.get_run(run_id)
        event = super().truncate_events_after_wave(run_id, wave_index, epoch=epoch)
        if run and run.status.terminal:
            self.change(run_id, "status = :status", status=str(run.status))
        return event


class PrunesByCreation(Mutant):
    """Takes the age of a run for the time since it ended."""

    breaks = "CO-8"

    def prune_terminal_runs(self, retain_days: int, *, limit: int | None = None) -> int:
        check_limit(limit)
        self.tx.execute("UPDATE council_runs SET updated_at = created_at")
        return super().prune_terminal_runs(retain_days, limit=limit)
