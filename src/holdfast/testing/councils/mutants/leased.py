"""Mutants that are wrong about who holds a run (CO-2, CO-7)."""

from __future__ import annotations

from uuid import UUID

from holdfast.councils import CouncilRun, RunStatus, TaskGraph
from holdfast.councils.errors import (
    RunHeld,
)
from holdfast.testing.councils.mutants.base import Mutant


class StealsTheLease(Mutant):
    """Lets a second worker take up a run that the first one runs."""

    breaks = "CO-2"

    def update_run_status(self, run_id: UUID, status: RunStatus, *, epoch: int | None = None) -> CouncilRun:
        try:
            return super().update_run_status(run_id, status, epoch=epoch)
        except RunHeld:
            self.change(run_id, "epoch = :epoch", epoch=epoch)
            run = self.get_run(run_id)
            assert run is not None
            return run


class InterruptsTheLiving(Mutant):
    """Marks whatever is running, as the seed did."""

    breaks = "CO-7"

    def mark_interrupted_runs(self) -> int:
        self.tx.execute("UPDATE council_runs SET epoch = NULL WHERE status = 'running'")
        return super().mark_interrupted_runs()


class OverlooksTheLeaseless(Mutant):
    """Never marks a run without a lease."""

    breaks = "CO-7"

    def mark_interrupted_runs(self) -> int:
        hidden = "UPDATE council_runs SET status = :to WHERE status = :origin AND epoch IS NULL"
        self.tx.execute(hidden, {"to": "hidden", "origin": "running"})
        count = super().mark_interrupted_runs()
        self.tx.execute(hidden, {"to": "running", "origin": "hidden"})
        return count


class CountsTheMarked(Mutant):
    """Counts all that are interrupted, and not those it marked."""

    breaks = "CO-7"

    def mark_interrupted_runs(self) -> int:
        super().mark_interrupted_runs()
        return len(self.list_runs(RunStatus.INTERRUPTED).items)


class TrustsTheStale(Mutant):
    """Does not ask who still holds a run that is running."""

    breaks = "CO-7"

    def update_run_status(self, run_id: UUID, status: RunStatus, *, epoch: int | None = None) -> CouncilRun:
        entering = status is RunStatus.RUNNING
        return super().update_run_status(run_id, status, epoch=epoch if entering else None)

    def update_graph(self, run_id: UUID, graph: TaskGraph, *, epoch: int | None = None) -> None:
        super().update_graph(run_id, graph)


class LetsTheDeadGoOn(Mutant):
    """Does not ask whether a worker's lease is alive."""

    breaks = "CO-7"

    def _check_lease(self, epoch: int | None) -> None:
        """It is, no doubt."""


class InterruptsSilently(Mutant):
    """Marks without an event."""

    breaks = "CO-7"

    def mark_interrupted_runs(self) -> int:
        count = super().mark_interrupted_runs()
        self.tx.execute("DELETE FROM council_events WHERE kind = 'interrupted'")
        return count
