"""The one adapter of :class:`~holdfast.flows.store.FlowStore`, for both dialects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from holdfast.clock import MICROS_PER_SECOND, to_datetime, to_micros
from holdfast.flows.errors import (
    AlreadyTerminal,
    DuplicateStep,
    FlowExists,
    FlowNotFound,
    LeaseHeld,
    RevisionMismatch,
    StepNotFound,
)
from holdfast.flows.model import (
    Flow,
    FlowEvent,
    FlowStatus,
    FlowStep,
    StepStatus,
    check_flow_move,
    step_advances,
)
from holdfast.flows.remains import bury, clear
from holdfast.flows.rows import (
    BLOB,
    CREATED,
    UPDATED,
    birth_columns,
    event_columns,
    event_of,
    flow_columns,
    flow_of,
    id_text,
    step_columns,
    step_of,
)
from holdfast.ids import new_id, parse_id, row_num
from holdfast.pages import EVERYTHING, Page, check_limit, page_of, parse_cursor, rows_wanted
from holdfast.store import Row, Transaction, load_queries
from holdfast.store.blobs import BlobNotFound, get_blobs
from holdfast.text import is_storable

_q = load_queries("holdfast.flows")
_engine = load_queries("holdfast.flows.engine")
_DAY = 86_400 * MICROS_PER_SECOND


class SqlFlowStore:
    """:class:`~holdfast.flows.store.FlowStore` over a transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def insert(self, flow: Flow) -> None:
        columns = flow_columns(flow) | birth_columns(flow) | self._kinship(flow)
        if not self._tx.execute(_q["insert_flow"], columns):
            raise FlowExists(f"A flow {flow.id} (or one of key {flow.key!r}) exists.")
        if flow.tags:
            num = self.number(flow.id)
            tags = [(name, value, columns["created_at"], num) for name, value in flow.tags.items()]
            self._tx.execute(_engine["insert_tags"], rows=tags)

    def get(self, flow_id: UUID) -> Flow | None:
        row = self._tx.fetch_one(_q["get_flow"], {"id": id_text(flow_id)})
        return flow_of(row) if row else None

    def list_by_owner(
        self, owner_session_key: str, *, limit: int | None = None, after: str | None = None
    ) -> Page[Flow]:
        at, num = parse_cursor(after, 2, EVERYTHING)
        rows = self._page("list_by_owner", limit, {"owner": owner_session_key, "at": at, "num": num})
        return page_of(rows, limit, flow_of, lambda row: f"{row[CREATED]}.{row[-1]}")

    def list_by_status(self, status: FlowStatus, *, limit: int | None = None, after: str | None = None) -> Page[Flow]:
        at, num = parse_cursor(after, 2, -EVERYTHING)
        rows = self._page("list_by_status", limit, {"status": str(status), "at": at, "num": num})
        return page_of(rows, limit, flow_of, lambda row: f"{row[UPDATED]}.{row[-1]}")

    def list_all(self, *, limit: int | None = None, after: str | None = None) -> Page[Flow]:
        """All flows, newest first; for the faces."""
        (num,) = parse_cursor(after, 1, EVERYTHING)
        return page_of(self._page("list_flows", limit, {"num": num}), limit, flow_of, lambda row: row[-1])

    def update_with_revision(self, flow: Flow) -> Flow:
        present = self._present(flow.id)
        if present.revision != flow.revision:
            raise RevisionMismatch(flow.id, flow.revision, present.revision)
        if present.status.terminal:
            raise AlreadyTerminal(flow.id, present.status)
        check_flow_move(present.status, flow.status)
        if present.epoch is not None and flow.status is not present.status:
            raise LeaseHeld(flow.id, present.epoch)
        updated = replace(flow, updated_at=to_datetime(self._tx.clock.micros()), revision=flow.revision + 1)
        wake = {
            "idle": updated.status.terminal or updated.paused,
            "wake_at": _wake_at(present, updated),
            "touched": (updated.paused, updated.cancel_requested) != (present.paused, present.cancel_requested),
        }
        if not self._tx.execute(_q["update_flow"], flow_columns(updated) | wake | {"revision": flow.revision}):
            raise RevisionMismatch(flow.id, flow.revision, self._present(flow.id).revision)
        return self._present(flow.id)

    def append_event(self, flow_id: UUID, kind: str, payload: Any) -> FlowEvent:
        return self._append(flow_id, kind, payload, event_columns(kind, payload))

    def _append(self, flow_id: UUID, kind: str, payload: Any, columns: dict[str, Any]) -> FlowEvent:
        at = self._tx.clock.micros()
        event = FlowEvent(id=new_id(), flow_id=flow_id, kind=kind, payload=payload, at=to_datetime(at))
        named = {"id": id_text(flow_id), "event_id": str(event.id), "at": at}
        if not self._tx.execute(_q["append_event"], columns | named):
            raise FlowNotFound(flow_id)
        return event

    def list_events(self, flow_id: UUID, *, limit: int | None = None, after: str | None = None) -> Page[FlowEvent]:
        (num,) = parse_cursor(after, 1, EVERYTHING)
        rows = self._page("list_events", limit, {"id": id_text(flow_id), "num": num})
        return page_of(rows, limit, event_of, lambda row: row[-1])

    def insert_step(self, step: FlowStep) -> None:
        flow = self._tx.fetch_one(_q["flow_num"], {"id": id_text(step.flow_id)})
        if flow is None:
            raise FlowNotFound(step.flow_id)
        if FlowStatus(flow[1]).terminal:
            raise AlreadyTerminal(step.flow_id, flow[1])
        if not self._tx.execute(_q["insert_step"], step_columns(step) | {"flow": flow[0]}):
            raise DuplicateStep(step.flow_id, step.run_id)

    def update_step(self, step: FlowStep) -> FlowStep:
        recorded = self._step_row(step.id)
        if recorded is None:
            raise StepNotFound(step.id)
        held = self._tx.fetch_one(_q["lock_step"], {"num": recorded[0]})
        if held is None:
            raise StepNotFound(step.id)
        if FlowStatus(held[1]).terminal:
            raise AlreadyTerminal(step.flow_id, held[1])
        if step_advances(StepStatus(held[0]), step.status):
            at = self._tx.clock.micros()
            self._tx.execute(_q["update_step"], step_columns(step) | {"num": recorded[0], "updated_at": at})
        after = self.get_step(step.id)
        assert after is not None
        return after

    def get_step(self, step_id: UUID) -> FlowStep | None:
        row = self._step_row(step_id)
        return self._steps([row])[0] if row else None

    def list_steps(self, flow_id: UUID, *, limit: int | None = None, after: str | None = None) -> Page[FlowStep]:
        (num,) = parse_cursor(after, 1, -1)
        rows = self._page("list_steps", limit, {"id": id_text(flow_id), "num": num})
        page = page_of(rows, limit, lambda row: row, lambda row: row[0])
        return Page(self._steps(page.items), page.next)

    def find_step_by_run_id(self, flow_id: UUID, run_id: str) -> FlowStep | None:
        if not is_storable(run_id):
            return None
        row = self._tx.fetch_one(_q["find_step"], {"id": id_text(flow_id), "run_id": run_id})
        return self._steps([row])[0] if row else None

    def update_and_append(self, flow: Flow, event_kind: str, event_payload: Any) -> tuple[Flow, FlowEvent]:
        columns = event_columns(event_kind, event_payload)  # what can be refused is refused before anything is written
        return self.update_with_revision(flow), self._append(flow.id, event_kind, event_payload, columns)

    def prune_terminal_flows(self, retain_days: int, *, limit: int | None = None) -> int:
        check_limit(limit)
        if retain_days < 0:
            raise ValueError(f"the days to retain cannot be negative, got {retain_days}")
        before = max(self._tx.clock.micros() - retain_days * _DAY, -EVERYTHING)
        nums = self._tx.fetch(_q["prunable"], {"before": before, "limit": EVERYTHING if limit is None else limit})
        bury(self._tx, nums)
        clear(self._tx)
        return len(nums)

    def _present(self, flow_id: UUID) -> Flow:
        flow = self.get(flow_id)
        if flow is None:
            raise FlowNotFound(flow_id)
        return flow

    def number(self, flow_id: UUID) -> int:
        """The flow's number, its key inside the store; the row stays as it is for as long as the transaction lasts.

        Raises:
            FlowNotFound: unknown id.
        """
        row = self._tx.fetch_one(_q["flow_num"], {"id": id_text(flow_id)})
        if row is None:
            raise FlowNotFound(flow_id)
        return int(row[0])

    def _kinship(self, flow: Flow) -> dict[str, Any]:
        return {"parent": self.number(flow.parent) if flow.parent else None, "tied": flow.parent is not None}

    def _steps(self, rows: Sequence[Row]) -> list[FlowStep]:
        """The steps of these rows, large results included."""
        digests = {row[BLOB] for row in rows if row[BLOB]}
        large = {digest: body.decode() for digest, body in get_blobs(self._tx, digests).items()} if digests else {}
        if missing := digests - large.keys():
            raise BlobNotFound(f"There is no blob {min(missing)!r}, which is the result of a step.")
        return [step_of(row, large) for row in rows]

    def _step_row(self, step_id: UUID) -> Row | None:
        known = parse_id(step_id)
        num = row_num(known)
        if num is not None:
            return self._tx.fetch_one(_q["get_step_by_num"], {"num": num})
        return self._tx.fetch_one(_q["get_step"], {"id": str(known)})

    def _page(self, query: str, limit: int | None, params: dict[str, Any]) -> list[Row]:
        return self._tx.fetch(_q[query], params | {"limit": rows_wanted(limit)})


def _wake_at(present: Flow, updated: Flow) -> int | None:
    """From when on the flow may be claimed now, if the update changes that. One that never began keeps to the moment
    that it was started for."""
    now = to_micros(updated.updated_at)
    if present.paused and not updated.paused:
        later = to_micros(updated.due_at) if updated.due_at and updated.status is FlowStatus.CREATED else now
        return max(now, later)
    started = updated.status is FlowStatus.RUNNING and present.status is not FlowStatus.RUNNING
    return now if started else None
