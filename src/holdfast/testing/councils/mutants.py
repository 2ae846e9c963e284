"""Council repositories with one fault each. The conformance suite must notice every one of them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar
from uuid import UUID

from holdfast.councils import CouncilRun, CouncilRunEvent, RunStatus, SqlCouncilRepository, TaskGraph
from holdfast.councils.errors import (
    CyclicGraph,
    DuplicateNode,
    GraphTooLarge,
    MalformedGraph,
    RunExists,
    RunHeld,
    RunNotFound,
    StuckGraph,
)
from holdfast.errors import IllegalTransition, InvalidInput
from holdfast.pages import Page, check_limit, parse_cursor
from holdfast.store import Transaction


class Mutant(SqlCouncilRepository):
    """A repository with a fault.

    Attributes:
        breaks: the clause that it violates.
    """

    breaks: ClassVar[str]

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx)
        self.tx = tx

    def change(self, run_id: UUID, change: str, **values: Any) -> int:
        """Set columns of a run's row behind the contract's back."""
        return self.tx.execute(f"UPDATE council_runs SET {change} WHERE id = :id", values | {"id": str(run_id)})  # noqa: S608

    def change_events(self, run_id: UUID, statement: str, **values: Any) -> int:
        """Change a run's events behind the contract's back."""
        of_run = "run = (SELECT num FROM council_runs WHERE id = :id)"
        return self.tx.execute(statement.format(of_run=of_run), values | {"id": str(run_id)})


class CreateReplaces(Mutant):
    """Puts a new run in the place of the one that has its id."""

    breaks = "CO-1"

    def create_run(self, run: CouncilRun) -> None:
        self.tx.execute("DELETE FROM council_runs WHERE id = :id", {"id": str(run.id)})
        super().create_run(run)


class CreateAgrees(Mutant):
    """Takes a second run of an id for a repetition of the first."""

    breaks = "CO-1"

    def create_run(self, run: CouncilRun) -> None:
        with suppress(RunExists):
            super().create_run(run)


class AnyMoveGoes(Mutant):
    """Has no state machine."""

    breaks = "CO-2"

    def update_run_status(self, run_id: UUID, status: RunStatus, *, epoch: int | None = None) -> CouncilRun:
        try:
            return super().update_run_status(run_id, status, epoch=epoch)
        except IllegalTransition:
            self.change(run_id, "status = :status", status=str(status))
            run = self.get_run(run_id)
            assert run is not None
            return run


class ForgetsUnknownRuns(Mutant):
    """Updates no row, and does not notice."""

    breaks = "CO-2"

    def update_graph(self, run_id: UUID, graph: TaskGraph, *, epoch: int | None = None) -> None:
        with suppress(RunNotFound):
            super().update_graph(run_id, graph, epoch=epoch)


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


class ForgetsOutputs(Mutant):
    """Keeps the plan, and not what became of it."""

    breaks = "CO-3"

    def update_graph(self, run_id: UUID, graph: TaskGraph, *, epoch: int | None = None) -> None:
        super().update_graph(run_id, TaskGraph(tuple(replace(node, output=None) for node in graph.nodes)), epoch=epoch)


class DropsEqualEvents(Mutant):
    """Takes an event like one before for a conflict, and loses it."""

    breaks = "CO-4"

    def append_event(self, run_id: UUID, kind: str, payload: Any, *, wave_index: int | None = None) -> CouncilRunEvent:
        for event in self.list_events(run_id).items:
            if (event.kind, event.payload, event.wave_index) == (kind, payload, wave_index):
                return event
        return super().append_event(run_id, kind, payload, wave_index=wave_index)


class OldestFirst(Mutant):
    """Lists runs the wrong way round."""

    breaks = "CO-5"

    def list_runs(
        self, status: RunStatus | None = None, *, limit: int | None = None, after: str | None = None
    ) -> Page[CouncilRun]:
        page = super().list_runs(status, limit=limit, after=after)
        return Page(page.items[::-1], page.next)


class SkipsTies(Mutant):
    """Goes on after the moment of the last run, past others of that same moment."""

    breaks = "CO-5"

    def list_runs(
        self, status: RunStatus | None = None, *, limit: int | None = None, after: str | None = None
    ) -> Page[CouncilRun]:
        page = super().list_runs(status, limit=limit, after=after)
        return Page(page.items, page.next and f"{page.next.partition('.')[0]}.0")


class PagesByCount(Mutant):
    """Its cursor is a number of rows to skip, so that newcomers shift it."""

    breaks = "CO-5"

    def list_runs(
        self, status: RunStatus | None = None, *, limit: int | None = None, after: str | None = None
    ) -> Page[CouncilRun]:
        check_limit(limit)
        (start,) = parse_cursor(after, 1, 0)
        whole = super().list_runs(status).items
        end = len(whole) if limit is None else start + limit
        return Page(whole[start:end], str(end) if limit and end < len(whole) else None)


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


class InterruptsSilently(Mutant):
    """Marks without an event."""

    breaks = "CO-7"

    def mark_interrupted_runs(self) -> int:
        count = super().mark_interrupted_runs()
        self.tx.execute("DELETE FROM council_events WHERE kind = 'interrupted'")
        return count


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


class CompletesTheStuck(Mutant):
    """Completes a run though its graph cannot get done."""

    breaks = "CO-12"

    def update_run_status(self, run_id: UUID, status: RunStatus, *, epoch: int | None = None) -> CouncilRun:
        with suppress(StuckGraph):
            return super().update_run_status(run_id, status, epoch=epoch)
        self.change(run_id, "status = :status, epoch = NULL", status=str(status))
        return self.lock_run(run_id)


class TrustsEdits(Mutant):
    """Looks at a graph when a run is created, and never again."""

    breaks = "CO-12"

    def update_graph(self, run_id: UUID, graph: TaskGraph, *, epoch: int | None = None) -> None:
        if not self.change(
            run_id, "graph = :graph, updated_at = :now", graph=graph.to_json(), now=self.tx.clock.micros()
        ):
            raise RunNotFound(run_id)


class AcceptsCycles(Mutant):
    """Does not see that nodes wait for one another."""

    breaks = "CO-12"

    def _graph_text(self, graph: TaskGraph) -> str:
        with suppress(CyclicGraph):
            return super()._graph_text(graph)
        return graph.to_json()


class AcceptsSelfDependency(Mutant):
    """Does not see that a node waits for itself."""

    breaks = "CO-12"

    def _graph_text(self, graph: TaskGraph) -> str:
        try:
            return super()._graph_text(graph)
        except CyclicGraph as error:
            if len(error.cycle) > 2:
                raise
            return graph.to_json()


class AcceptsTwins(Mutant):
    """Does not see two nodes of one id."""

    breaks = "CO-12"

    def _graph_text(self, graph: TaskGraph) -> str:
        with suppress(DuplicateNode):
            return super()._graph_text(graph)
        return graph.to_json()


class KnowsNoDepth(Mutant):
    """Counts nodes and dependencies, and no waves."""

    breaks = "CO-12"

    def _graph_text(self, graph: TaskGraph) -> str:
        try:
            return super()._graph_text(graph)
        except GraphTooLarge as error:
            if error.measure != "depth":
                raise
            return graph.to_json()


class StoresWhatCannotBeRead(Mutant):
    """Does not look at the types of a node's fields."""

    breaks = "CO-12"

    def _graph_text(self, graph: TaskGraph) -> str:
        with suppress(MalformedGraph):
            return super()._graph_text(graph)
        return graph.to_json()


class KnowsNoLimits(Mutant):
    """Stores a graph of whatever size."""

    breaks = "CO-12"

    def _graph_text(self, graph: TaskGraph) -> str:
        with suppress(GraphTooLarge):
            return super()._graph_text(graph)
        return graph.to_json()


MUTANTS = Mutant.__subclasses__()
