"""Mutants that number events wrongly (CO-6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from holdfast.councils import CouncilRunEvent
from holdfast.errors import InvalidInput
from holdfast.pages import Page, check_limit, parse_cursor
from holdfast.testing.councils.mutants.base import Mutant


class NumbersByPlace(Mutant):
    """Numbers the live events by their places, so that a rewind gives numbers away again."""

    breaks = "CO-6"

    def append_event(self, run_id: UUID, kind: str, payload: Any, *, wave_index: int | None = None) -> CouncilRunEvent:
        event = super().append_event(run_id, kind, payload, wave_index=wave_index)
        return replace(event, seq=len(super().list_events(run_id).items))

    def list_events(
        self, run_id: UUID, *, limit: int | None = None, after: str | None = None, superseded: bool = False
    ) -> Page[CouncilRunEvent]:
        check_limit(limit)
        (start,) = parse_cursor(after, 1, 0)
        whole = super().list_events(run_id, superseded=superseded).items
        end = len(whole) if limit is None else start + limit
        items = [replace(event, seq=place) for place, event in enumerate(whole, 1)][start:end]
        return Page(items, str(end) if limit and end < len(whole) else None)


class ReusesNumbers(Mutant):
    """Counts on from the last live event after a rewind."""

    breaks = "CO-6"

    def truncate_events_after_wave(
        self, run_id: UUID, wave_index: int | None, *, epoch: int | None = None
    ) -> CouncilRunEvent:
        event = super().truncate_events_after_wave(run_id, wave_index, epoch=epoch)
        self.change_events(run_id, "DELETE FROM council_events WHERE superseded_at IS NOT NULL AND {of_run}")
        kept = [one.seq for one in self.list_events(run_id).items if one.seq != event.seq]
        seq = max(kept, default=0) + 1
        self.change_events(
            run_id, "UPDATE council_events SET seq = :seq WHERE seq = :old AND {of_run}", seq=seq, old=event.seq
        )
        self.change(run_id, "last_seq = :seq", seq=seq)
        return replace(event, seq=seq)


class NumbersPerStore(Mutant):
    """Counts the events of all runs together."""

    breaks = "CO-6"

    def append_event(self, run_id: UUID, kind: str, payload: Any, *, wave_index: int | None = None) -> CouncilRunEvent:
        self.change(run_id, "last_seq = (SELECT max(last_seq) FROM council_runs)")
        return super().append_event(run_id, kind, payload, wave_index=wave_index)


class RefusalsLeaveGaps(Mutant):
    """Takes the number first, then finds out that the event cannot be recorded."""

    breaks = "CO-6"

    def append_event(self, run_id: UUID, kind: str, payload: Any, *, wave_index: int | None = None) -> CouncilRunEvent:
        try:
            return super().append_event(run_id, kind, payload, wave_index=wave_index)
        except InvalidInput:
            self.change(run_id, "last_seq = last_seq + 1")
            raise
