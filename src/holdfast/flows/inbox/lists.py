"""What lies in the inbox and what flows wait for, as people see it; reading alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from holdfast import codec
from holdfast.clock import to_datetime
from holdfast.flows.inbox.model import (
    APPROVAL,
    CHILD,
    EVENT,
    Address,
    Approval,
    Decision,
    Found,
    OpenWait,
    PendingEvent,
    PendingSignal,
    read_terms,
)
from holdfast.ids import row_id
from holdfast.pages import InvalidCursor, Page, page_of, parse_cursor, rows_wanted
from holdfast.store import Row, Transaction, load_queries
from holdfast.text import is_storable

T = TypeVar("T")
_q = load_queries("holdfast.flows.inbox")


def find_approval(tx: Transaction, num: int, *, locked: bool = False) -> Approval | None:
    """A request for approval, answered or not; ``locked``, nobody else answers it before this transaction ends."""
    row = tx.fetch_one(_q["lock_approval" if locked else "approval"], {"num": num})
    return _approval(row) if row else None


def list_approvals(tx: Transaction, flow: int | None, limit: int | None, after: str | None) -> Page[Approval]:
    """Requests that can be answered, of one flow or of all, oldest first."""
    return _oldest_first(
        tx, "approvals" if flow is None else "approvals_of_flow", {"flow": flow}, limit, after, _approval
    )


def list_events(tx: Transaction, topic: str | None, limit: int | None, after: str | None) -> Page[PendingEvent]:
    """Events that no wait has taken, of one topic or of all, oldest first."""
    name = "pending_events" if topic is None else "pending_events_of_topic"
    return _oldest_first(tx, name, {"topic": topic}, limit, after, _event)


def list_signals(tx: Transaction, flow_id: UUID, limit: int | None, after: str | None) -> Page[PendingSignal]:
    """Signals to a flow that no wait of it has taken, oldest first."""
    return _oldest_first(tx, "pending_signals", {"flow_id": str(flow_id)}, limit, after, _signal)


def find_message(tx: Transaction, num: int) -> Found | None:
    """A message, and who has it; ``None`` where there is none, or that flow is gone."""
    row = tx.fetch_one(_q["found_message"], {"num": num})
    if row is None or (row[-2] is not None and row[-1] is None):
        return None
    kept, flow_id = row[:-2], row[-1]
    message = _event(kept) if kept[1] == EVENT else _signal(kept)
    return Found(Address(*kept[1:4]), message, UUID(flow_id) if flow_id else None, expires_at=kept[-1])


def list_waits(tx: Transaction, flow: int, limit: int | None, after: str | None) -> Page[OpenWait]:
    """What a flow waits for besides time, by run id.

    Raises:
        InvalidLimit, InvalidCursor: as for every list; ValueErrors.
    """
    if after is not None and (not after or not is_storable(after)):
        raise InvalidCursor(after)
    params = {"flow": flow, "run_id": after or "", "limit": rows_wanted(limit)}
    return page_of(tx.fetch(_q["open_waits"], params), limit, _wait, lambda row: row[1])


def _oldest_first(
    tx: Transaction,
    name: str,
    params: dict[str, Any],
    limit: int | None,
    after: str | None,
    item: Callable[[Row], T],
) -> Page[T]:
    (num,) = parse_cursor(after, 1, 0)
    params = params | {"num": num, "now": tx.clock.micros(), "limit": rows_wanted(limit)}
    return page_of(tx.fetch(_q[name], params), limit, item, lambda row: row[0])


def _approval(row: Row) -> Approval:
    num, flow_id, workflow_type, run_id, name, detail, expires_at, answer = row
    terms = read_terms(detail)
    return Approval(
        id=row_id(num),
        flow_id=UUID(flow_id),
        workflow_type=workflow_type,
        run_id=run_id,
        name=name,
        what=terms.what,
        digest=terms.digest,
        approvers=terms.approvers,
        asked_at=terms.asked_at,
        expires_at=None if expires_at is None else to_datetime(expires_at),
        decision=codec.decode(answer, Decision) if answer else None,
    )


def _event(row: Row) -> PendingEvent:
    num, _, topic, correlation, key, payload, sent_at, expires_at = row
    return PendingEvent(
        id=row_id(num),
        topic=topic,
        correlation_id=correlation,
        key=key,
        payload=codec.decode(payload),
        sent_at=to_datetime(sent_at),
        expires_at=to_datetime(expires_at),
    )


def _signal(row: Row) -> PendingSignal:
    num, _, name, flow_id, key, payload, sent_at, _ = row
    return PendingSignal(
        id=row_id(num),
        flow_id=UUID(flow_id),
        name=name,
        key=key,
        payload=codec.decode(payload),
        sent_at=to_datetime(sent_at),
    )


def _wait(row: Row) -> OpenWait:
    num, run_id, kind, topic, correlation, detail, since, expires_at = row
    return OpenWait(
        id=row_id(num),
        run_id=run_id,
        kind=kind,
        name=topic or None,
        correlation_id=correlation if kind == EVENT else None,
        child=UUID(correlation) if kind == CHILD else None,
        approvers=read_terms(detail).approvers if kind == APPROVAL else None,
        since=to_datetime(since),
        expires_at=None if expires_at is None else to_datetime(expires_at),
    )
