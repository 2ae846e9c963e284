"""The one adapter of :class:`~holdfast.flows.store.FlowStore`, for both dialects."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from holdfast import codec
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
    Runtime,
    StepStatus,
    check_flow_move,
    step_advances,
)
from holdfast.ids import new_id, parse_id, row_id, row_num
from holdfast.pages import EVERYTHING, Page, check_limit, page_of, parse_cursor, rows_wanted
from holdfast.store import Row, Transaction, load_queries
from holdfast.text import check_texts, is_storable

_q = load_queries("holdfast.flows")
_CREATED, _UPDATED = 12, 13
"""Where these columns are in the part ``flow`` of the queries."""
_DAY = 86_400 * MICROS_PER_SECOND


class SqlFlowStore:
    """:class:`~holdfast.flows.store.FlowStore` over a transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def insert(self, flow: Flow) -> None:
        if not self._tx.execute(_q["insert_flow"], check_texts(self._columns(flow) | _born(flow))):
            raise FlowExists(f"A flow {flow.id} (or one of key {flow.key!r}) exists.")

    def get(self, flow_id: UUID) -> Flow | None:
        row = self._tx.fetch_one(_q["get_flow"], {"id": _id(flow_id)})
        return _flow(row) if row else None

    def list_by_owner(
        self, owner_session_key: str, *, limit: int | None = None, after: str | None = None
    ) -> Page[Flow]:
        at, num = parse_cursor(after, 2, EVERYTHING)
        rows = self._page("list_by_owner", limit, {"owner": owner_session_key, "at": at, "num": num})
        return page_of(rows, limit, _flow, lambda row: f"{row[_CREATED]}.{row[-1]}")

    def list_by_status(self, status: FlowStatus, *, limit: int | None = None, after: str | None = None) -> Page[Flow]:
        at, num = parse_cursor(after, 2, -EVERYTHING)
        rows = self._page("list_by_status", limit, {"status": str(status), "at": at, "num": num})
        return page_of(rows, limit, _flow, lambda row: f"{row[_UPDATED]}.{row[-1]}")

    def list_all(self, *, limit: int | None = None, after: str | None = None) -> Page[Flow]:
        """All flows, newest first; for the faces."""
        (num,) = parse_cursor(after, 1, EVERYTHING)
        return page_of(self._page("list_flows", limit, {"num": num}), limit, _flow, lambda row: row[-1])

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
        started = updated.status is FlowStatus.RUNNING and present.status is not FlowStatus.RUNNING
        woken = started or (present.paused and not updated.paused)
        wake = {
            "idle": updated.status.terminal or updated.paused,
            "wake_at": to_micros(updated.updated_at) if woken else None,
        }
        columns = check_texts(self._columns(updated))
        if not self._tx.execute(_q["update_flow"], columns | wake | {"revision": flow.revision}):
            raise RevisionMismatch(flow.id, flow.revision, self._present(flow.id).revision)
        return self._present(flow.id)

    def append_event(self, flow_id: UUID, kind: str, payload: Any) -> FlowEvent:
        return self._append(flow_id, kind, payload, _event_columns(kind, payload))

    def _append(self, flow_id: UUID, kind: str, payload: Any, columns: dict[str, Any]) -> FlowEvent:
        at = self._tx.clock.micros()
        event = FlowEvent(id=new_id(), flow_id=flow_id, kind=kind, payload=payload, at=to_datetime(at))
        named = {"id": _id(flow_id), "event_id": str(event.id), "at": at}
        if not self._tx.execute(_q["append_event"], columns | named):
            raise FlowNotFound(flow_id)
        return event

    def list_events(self, flow_id: UUID, *, limit: int | None = None, after: str | None = None) -> Page[FlowEvent]:
        (num,) = parse_cursor(after, 1, EVERYTHING)
        rows = self._page("list_events", limit, {"id": _id(flow_id), "num": num})
        return page_of(rows, limit, _event, lambda row: row[-1])

    def insert_step(self, step: FlowStep) -> None:
        flow = self._tx.fetch_one(_q["flow_num"], {"id": _id(step.flow_id)})
        if flow is None:
            raise FlowNotFound(step.flow_id)
        if FlowStatus(flow[1]).terminal:
            raise AlreadyTerminal(step.flow_id, flow[1])
        if not self._tx.execute(_q["insert_step"], _step_columns(step) | {"flow": flow[0]}):
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
            self._tx.execute(_q["update_step"], _step_columns(step) | {"num": recorded[0], "updated_at": at})
        after = self.get_step(step.id)
        assert after is not None
        return after

    def get_step(self, step_id: UUID) -> FlowStep | None:
        row = self._step_row(step_id)
        return _step(row) if row else None

    def list_steps(self, flow_id: UUID, *, limit: int | None = None, after: str | None = None) -> Page[FlowStep]:
        (num,) = parse_cursor(after, 1, -1)
        rows = self._page("list_steps", limit, {"id": _id(flow_id), "num": num})
        return page_of(rows, limit, _step, lambda row: row[0])

    def find_step_by_run_id(self, flow_id: UUID, run_id: str) -> FlowStep | None:
        if not is_storable(run_id):
            return None
        row = self._tx.fetch_one(_q["find_step"], {"id": _id(flow_id), "run_id": run_id})
        return _step(row) if row else None

    def update_and_append(self, flow: Flow, event_kind: str, event_payload: Any) -> tuple[Flow, FlowEvent]:
        columns = _event_columns(event_kind, event_payload)  # what can be refused is refused before anything is written
        return self.update_with_revision(flow), self._append(flow.id, event_kind, event_payload, columns)

    def prune_terminal_flows(self, retain_days: int, *, limit: int | None = None) -> int:
        check_limit(limit)
        if retain_days < 0:
            raise ValueError(f"the days to retain cannot be negative, got {retain_days}")
        before = max(self._tx.clock.micros() - retain_days * _DAY, -EVERYTHING)
        nums = self._tx.fetch(_q["prunable"], {"before": before, "limit": EVERYTHING if limit is None else limit})
        for query in ("prune_steps", "prune_events", "prune_flows"):
            self._tx.execute(_q[query], rows=nums)
        return len(nums)

    def _present(self, flow_id: UUID) -> Flow:
        flow = self.get(flow_id)
        if flow is None:
            raise FlowNotFound(flow_id)
        return flow

    def _step_row(self, step_id: UUID) -> Row | None:
        known = parse_id(step_id)
        num = row_num(known)
        if num is not None:
            return self._tx.fetch_one(_q["get_step_by_num"], {"num": num})
        return self._tx.fetch_one(_q["get_step"], {"id": str(known)})

    def _page(self, query: str, limit: int | None, params: dict[str, Any]) -> list[Row]:
        return self._tx.fetch(_q[query], params | {"limit": rows_wanted(limit)})

    def _columns(self, flow: Flow) -> dict[str, Any]:
        return {
            "id": _id(flow.id),
            "package_hash": flow.package_hash,
            "owner_session_key": flow.owner_session_key,
            "goal": flow.goal,
            "current_step": flow.current_step,
            "state": codec.encode(flow.state, what="The flow's state"),
            "status": str(flow.status),
            "paused": flow.paused,
            "cancel_requested": flow.cancel_requested,
            "attempt": flow.attempt,
            "result": flow.result,
            "error": codec.encode(flow.error) if flow.error is not None else None,
            "updated_at": to_micros(flow.updated_at),
            "started_at": to_micros(flow.started_at) if flow.started_at else None,
            "finished_at": to_micros(flow.finished_at) if flow.finished_at else None,
        }


def _born(flow: Flow) -> dict[str, Any]:
    """The columns that are written once."""
    created = to_micros(flow.created_at)
    return {
        "key": flow.key,
        "workflow_type": flow.workflow_type,
        "revision": flow.revision,
        "created_at": created,
        "seed": secrets.randbits(63),
        "args": flow.args,
        "args_digest": codec.encode_canonical(codec.decode(flow.args))[1],
        "due_at": (to_micros(flow.due_at) if flow.due_at else created) if _runnable(flow) else None,
    }


def _runnable(flow: Flow) -> bool:
    return flow.status in (FlowStatus.CREATED, FlowStatus.RUNNING) and not flow.paused


def _id(value: UUID) -> str:
    """As it is stored.

    Raises:
        InvalidId: it is none; one database would raise its driver's error, the other find nothing.
    """
    return str(parse_id(value))


def _event_columns(kind: str, payload: Any) -> dict[str, Any]:
    return check_texts({"kind": kind, "payload": codec.encode(payload, what="The event's payload")})


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else to_datetime(micros)


def _flow(row: Row) -> Flow:
    return Flow(
        id=UUID(row[0]),
        workflow_type=row[1],
        package_hash=row[2],
        owner_session_key=row[3],
        goal=row[4],
        current_step=row[5],
        state=codec.decode(row[6]),
        status=FlowStatus(row[7]),
        paused=bool(row[8]),
        cancel_requested=bool(row[9]),
        attempt=row[10],
        revision=row[11],
        created_at=to_datetime(row[12]),
        updated_at=to_datetime(row[13]),
        key=row[14],
        args=row[15],
        result=row[16],
        error=codec.decode(row[17]) if row[17] else None,
        started_at=_moment(row[18]),
        finished_at=_moment(row[19]),
        epoch=row[20],
        due_at=_moment(row[21]),
        crashes=row[22],
    )


def _step(row: Row) -> FlowStep:
    return FlowStep(
        id=UUID(row[1]) if row[1] else row_id(row[0]),
        flow_id=UUID(row[2]),
        run_id=row[3],
        runtime=Runtime(row[4]),
        task=row[5],
        status=StepStatus(row[6]),
        attempt=row[7],
        result=row[8],
        error=codec.decode(row[9]) if row[9] else None,
        epoch=row[10],
        created_at=to_datetime(row[11]),
        updated_at=to_datetime(row[12]),
    )


def _step_columns(step: FlowStep) -> dict[str, Any]:
    columns = {
        "run_id": step.run_id,
        "id": _id(step.id),
        "runtime": str(step.runtime),
        "task": step.task,
        "status": str(step.status),
        "attempt": step.attempt,
        "result": step.result,
        "error": codec.encode(step.error) if step.error is not None else None,
        "epoch": step.epoch,
        "created_at": to_micros(step.created_at),
        "updated_at": to_micros(step.updated_at),
    }
    return check_texts(columns)


def _event(row: Row) -> FlowEvent:
    return FlowEvent(
        id=UUID(row[0]), flow_id=UUID(row[1]), kind=row[2], payload=codec.decode(row[3]), at=to_datetime(row[4])
    )
