"""Flow stores with one fault each. The conformance suite must notice every one of them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from holdfast.errors import HoldfastError
from holdfast.flows import Flow, FlowEvent, FlowStatus, FlowStep, SqlFlowStore, StepStatus
from holdfast.flows.errors import AlreadyTerminal, DuplicateStep, FlowExists, RevisionMismatch, StepNotFound
from holdfast.pages import Page
from holdfast.store import Transaction


class Mutant(SqlFlowStore):
    """A store with a fault.

    Attributes:
        breaks: the clause that it violates.
    """

    breaks: ClassVar[str]

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx)
        self.tx = tx


class LastWriterWins(Mutant):
    """Ignores the caller's revision."""

    breaks = "FL-1"

    def update_with_revision(self, flow: Flow) -> Flow:
        present = self.get(flow.id)
        return super().update_with_revision(replace(flow, revision=present.revision if present else flow.revision))


class MisreportsRevision(Mutant):
    """Says the caller's own number where the true one belongs."""

    breaks = "FL-1"

    def update_with_revision(self, flow: Flow) -> Flow:
        try:
            return super().update_with_revision(flow)
        except RevisionMismatch as error:
            raise RevisionMismatch(flow.id, error.expected, error.expected + 1) from None


class ForgetsToCount(Mutant):
    """Leaves the revision where it was."""

    breaks = "FL-1"

    def update_with_revision(self, flow: Flow) -> Flow:
        updated = super().update_with_revision(flow)
        self.tx.execute("UPDATE flows SET revision = revision - 1 WHERE id = :id", {"id": str(flow.id)})
        return updated


class WritesBeforeItRefuses(Mutant):
    """Writes the goal, then finds out that the caller is stale."""

    breaks = "FL-1"

    def update_with_revision(self, flow: Flow) -> Flow:
        self.tx.execute("UPDATE flows SET goal = :goal WHERE id = :id", {"goal": flow.goal, "id": str(flow.id)})
        return super().update_with_revision(flow)


class EventsBumpTheRevision(Mutant):
    """Takes an event for a change of the record."""

    breaks = "FL-1"

    def append_event(self, flow_id: UUID, kind: str, payload: Any) -> FlowEvent:
        event = super().append_event(flow_id, kind, payload)
        self.tx.execute("UPDATE flows SET revision = revision + 1 WHERE id = :id", {"id": str(flow_id)})
        return event


class AnyMoveGoes(Mutant):
    """Has no state machine."""

    breaks = "FL-1"

    def update_with_revision(self, flow: Flow) -> Flow:
        present = self.get(flow.id)
        if present and not present.status.terminal:
            values = {"status": str(flow.status), "id": str(flow.id)}
            self.tx.execute("UPDATE flows SET status = :status WHERE id = :id", values)
            if flow.status.terminal:
                return replace(flow, revision=flow.revision + 1)
        return super().update_with_revision(flow)


class RaisesForAbsence(Mutant):
    """Raises where None is due."""

    breaks = "FL-2"

    def get_step(self, step_id: UUID) -> FlowStep | None:
        step = super().get_step(step_id)
        if step is None:
            raise StepNotFound(step_id)
        return step


class OldestFirst(Mutant):
    """Lists an owner's flows the wrong way round."""

    breaks = "FL-3"

    def list_by_owner(
        self, owner_session_key: str, *, limit: int | None = None, after: str | None = None
    ) -> Page[Flow]:
        page = super().list_by_owner(owner_session_key, limit=limit, after=after)
        return Page(page.items[::-1], page.next)


class PagesByCount(Mutant):
    """Its cursor is a number of rows to skip, so that newcomers shift it."""

    breaks = "FL-3"

    def list_by_status(self, status: FlowStatus, *, limit: int | None = None, after: str | None = None) -> Page[Flow]:
        if after is not None and not after.isdecimal():
            raise ValueError(after)
        whole = super().list_by_status(status).items
        super().list_by_status(status, limit=limit)
        start = int(after or 0)
        end = len(whole) if limit is None else start + limit
        return Page(whole[start:end], str(end) if limit and end < len(whole) else None)


class SkipsTies(Mutant):
    """Goes on after the moment of the last flow, past others of that same moment."""

    breaks = "FL-3"

    def list_by_owner(
        self, owner_session_key: str, *, limit: int | None = None, after: str | None = None
    ) -> Page[Flow]:
        page = super().list_by_owner(owner_session_key, limit=limit, after=after)
        return Page(page.items, page.next and f"{page.next.partition('.')[0]}.0")


class TakesAnyCursor(Mutant):
    """Begins anew where a cursor makes no sense."""

    breaks = "FL-3"

    def list_events(self, flow_id: UUID, *, limit: int | None = None, after: str | None = None) -> Page[FlowEvent]:
        try:
            return super().list_events(flow_id, limit=limit, after=after)
        except ValueError:
            return super().list_events(flow_id, limit=abs(limit or 0))


class ReusesEventIds(Mutant):
    """Names an event after its flow."""

    breaks = "FL-4"

    def append_event(self, flow_id: UUID, kind: str, payload: Any) -> FlowEvent:
        event = replace(super().append_event(flow_id, kind, payload), id=flow_id)
        self.tx.execute("UPDATE flow_events SET id = :id", {"id": str(flow_id)})
        return event


class MergesEvents(Mutant):
    """Writes a new payload over that of the event before, when the kind is the same."""

    breaks = "FL-4"

    def append_event(self, flow_id: UUID, kind: str, payload: Any) -> FlowEvent:
        event = super().append_event(flow_id, kind, payload)
        self.tx.execute(
            "UPDATE flow_events SET payload = (SELECT payload FROM flow_events WHERE id = :id) WHERE kind = :kind",
            {"id": str(event.id), "kind": kind},
        )
        return event


class OldestEvents(Mutant):
    """Gives the oldest events, in the right order."""

    breaks = "FL-5"

    def list_events(self, flow_id: UUID, *, limit: int | None = None, after: str | None = None) -> Page[FlowEvent]:
        page = super().list_events(flow_id, limit=limit, after=after)
        if limit is None or after is not None:
            return page
        items = super().list_events(flow_id).items
        return Page(items[max(0, len(items) - limit) :], page.next)


class RunIdsAreGlobal(Mutant):
    """Refuses a run id that any flow has."""

    breaks = "FL-6"

    def insert_step(self, step: FlowStep) -> None:
        if self.tx.fetch("SELECT 1 FROM steps WHERE run_id = :run_id", {"run_id": step.run_id}):
            raise DuplicateStep(step.flow_id, step.run_id)
        super().insert_step(step)


class SwallowsDuplicates(Mutant):
    """Takes a second step of a run id for a repetition of the first."""

    breaks = "FL-6"

    def insert_step(self, step: FlowStep) -> None:
        with suppress(DuplicateStep):
            super().insert_step(step)


class StepsByRunId(Mutant):
    """Lists steps in the order of their run ids."""

    breaks = "FL-7"

    def list_steps(self, flow_id: UUID, *, limit: int | None = None, after: str | None = None) -> Page[FlowStep]:
        page = super().list_steps(flow_id, limit=limit, after=after)
        return Page(sorted(page.items, key=lambda step: step.run_id), page.next)


class EventFirst(Mutant):
    """Appends the event, then finds out that the update is refused."""

    breaks = "FL-8"

    def update_and_append(self, flow: Flow, event_kind: str, event_payload: Any) -> tuple[Flow, FlowEvent]:
        event = self.append_event(flow.id, event_kind, event_payload)
        return self.update_with_revision(flow), event


class NonAtomicPair(Mutant):
    """Updates, then fails to append: the seed's own fallback."""

    breaks = "FL-8"

    def update_and_append(self, flow: Flow, event_kind: str, event_payload: Any) -> tuple[Flow, FlowEvent]:
        return self.update_with_revision(flow), self.append_event(flow.id, event_kind, event_payload)


class PrunesByCreation(Mutant):
    """Takes the age from the flow's creation."""

    breaks = "FL-9"

    def prune_terminal_flows(self, retain_days: int, *, limit: int | None = None) -> int:
        self.tx.execute("UPDATE flows SET updated_at = created_at")
        return super().prune_terminal_flows(retain_days, limit=limit)


class PrunesTheLiving(Mutant):
    """Takes old waiting flows along."""

    breaks = "FL-9"

    def prune_terminal_flows(self, retain_days: int, *, limit: int | None = None) -> int:
        count = super().prune_terminal_flows(retain_days, limit=limit)
        before = self.tx.clock.micros() - timedelta(days=min(retain_days, 10**6)) // timedelta(microseconds=1)
        self.tx.execute("DELETE FROM flows WHERE status = 'waiting' AND updated_at < :before", {"before": before})
        return count


class LeavesOrphans(Mutant):
    """Deletes the flows alone."""

    breaks = "FL-9"

    def prune_terminal_flows(self, retain_days: int, *, limit: int | None = None) -> int:
        self.tx.execute("CREATE TEMP TABLE IF NOT EXISTS kept AS SELECT * FROM steps")
        count = super().prune_terminal_flows(retain_days, limit=limit)
        self.tx.execute("INSERT OR IGNORE INTO steps SELECT * FROM kept")
        self.tx.execute(
            "UPDATE steps SET flow = (SELECT max(num) FROM flows) WHERE flow NOT IN (SELECT num FROM flows)"
        )
        return count


class StepsGoBack(Mutant):
    """Believes whatever it hears last."""

    breaks = "FL-14"

    def update_step(self, step: FlowStep) -> FlowStep:
        self.tx.execute("UPDATE steps SET status = 'pending' WHERE id = :id", {"id": str(step.id)})
        if step.status is StepStatus.PENDING:
            return step
        return super().update_step(step)


class TerminalFlowsTakeSteps(Mutant):
    """Goes on recording when the flow is over."""

    breaks = "FL-14"

    def insert_step(self, step: FlowStep) -> None:
        try:
            super().insert_step(step)
        except AlreadyTerminal:
            flow = self.get(step.flow_id)
            assert flow is not None
            self._status(flow, FlowStatus.RUNNING)
            super().insert_step(step)
            self._status(flow, flow.status)

    def _status(self, flow: Flow, status: FlowStatus) -> None:
        self.tx.execute("UPDATE flows SET status = :status WHERE id = :id", {"status": str(status), "id": str(flow.id)})


class InsertReplaces(Mutant):
    """Puts a new flow in the place of the one that has its id."""

    breaks = "FL-18"

    def insert(self, flow: Flow) -> None:
        self.tx.execute("DELETE FROM flows WHERE id = :id", {"id": str(flow.id)})
        super().insert(flow)


class KeysAreGlobal(Mutant):
    """Lets one key be used once, whatever the workflow type."""

    breaks = "FL-18"

    def insert(self, flow: Flow) -> None:
        if flow.key and self.tx.fetch("SELECT 1 FROM flows WHERE key = :key", {"key": flow.key}):
            raise FlowExists(f"{flow.key} is taken.")
        super().insert(flow)


class KeyDies(Mutant):
    """Lets a key be used again once its flow is over."""

    breaks = "FL-18"

    def insert(self, flow: Flow) -> None:
        self.tx.execute(
            "UPDATE flows SET key = NULL WHERE key = :key AND status IN ('finished', 'failed', 'cancelled')",
            {"key": flow.key},
        )
        super().insert(flow)


class SortsKeys(Mutant):
    """Sorts the keys of a payload, as a binary JSON column does."""

    breaks = "FL-4"

    def append_event(self, flow_id: UUID, kind: str, payload: Any) -> FlowEvent:
        return super().append_event(flow_id, kind, _sorted(payload))


class CutsLongTexts(Mutant):
    """Keeps the first 255 characters of a goal."""

    breaks = "FL-1"

    def insert(self, flow: Flow) -> None:
        super().insert(replace(flow, goal=flow.goal[:255]))


class ForgetsTags(Mutant):
    """Keeps a flow's tags for the search alone, and not with the flow."""

    breaks = "FL-1"

    def insert(self, flow: Flow) -> None:
        super().insert(replace(flow, tags={}))


class TakesAnyParent(Mutant):
    """Drops a parent that it does not know."""

    breaks = "FL-1"

    def insert(self, flow: Flow) -> None:
        known = flow.parent is not None and self.get(flow.parent) is not None
        super().insert(flow if known else replace(flow, parent=None))


class HidesWhatWasUndone(Mutant):
    """Leaves the steps out that a rewind undid."""

    breaks = "FL-7"

    def list_steps(self, flow_id: UUID, *, limit: int | None = None, after: str | None = None) -> Page[FlowStep]:
        page = super().list_steps(flow_id, limit=limit, after=after)
        return Page([step for step in page.items if step.superseded_by is None], page.next)


class KeepsWhatWasUndone(Mutant):
    """Prunes the valid history and leaves what a rewind undid, for the next flow of that id."""

    breaks = "FL-9"

    def prune_terminal_flows(self, retain_days: int, *, limit: int | None = None) -> int:
        self.tx.execute("CREATE TEMP TABLE IF NOT EXISTS undone AS SELECT * FROM steps WHERE superseded_by IS NOT NULL")
        count = super().prune_terminal_flows(retain_days, limit=limit)
        self.tx.execute("INSERT OR IGNORE INTO steps SELECT * FROM undone WHERE flow NOT IN (SELECT num FROM flows)")
        return count

    def get_step(self, step_id: UUID) -> FlowStep | None:
        step = super().get_step(step_id)
        if step is None and self.tx.fetch("SELECT 1 FROM steps WHERE id = :id", {"id": str(step_id)}):
            self.tx.execute("UPDATE steps SET flow = (SELECT max(num) FROM flows) WHERE id = :id", {"id": str(step_id)})
            return super().get_step(step_id)
        return step


class ForgetsTheError(Mutant):
    """Swallows a refusal of its own."""

    breaks = "FL-14"

    def update_step(self, step: FlowStep) -> FlowStep:
        try:
            return super().update_step(step)
        except HoldfastError:
            return step


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


MUTANTS = Mutant.__subclasses__()
