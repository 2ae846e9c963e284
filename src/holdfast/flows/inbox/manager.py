"""What people and programs say to flows: events, signals, answers to requests for approval.

Plain functions of a transaction, so that they also belong into a step that takes one: what it says is said with its
record, once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from holdfast import codec
from holdfast.audit import SqlAuditLog
from holdfast.clock import MICROS_PER_SECOND, to_datetime, to_micros
from holdfast.flows.durations import MAX_SECONDS, seconds
from holdfast.flows.errors import AlreadyTerminal, FlowNotFound
from holdfast.flows.inbox import lists, sql
from holdfast.flows.inbox.errors import (
    ApprovalAnswered,
    ApprovalExpired,
    ApprovalNotFound,
    DigestMismatch,
    InvalidMessage,
    MessageNotFound,
    MessageTaken,
    NotAnApprover,
)
from holdfast.flows.inbox.late import why_late
from holdfast.flows.inbox.model import (
    DEFAULT_TTL,
    EVENT,
    MAX_NOTE,
    SIGNAL,
    Address,
    Approval,
    Decision,
    Found,
    Message,
    OpenWait,
    Pending,
    PendingEvent,
    PendingSignal,
    Sent,
    check_name,
)
from holdfast.ids import new_id, parse_id, row_num
from holdfast.pages import Page
from holdfast.store import Transaction
from holdfast.text import check_text

__all__ = [
    "approvals", "approve", "check_name", "discard", "emit", "find_approval", "open_waits", "pending_events",
    "pending_signals", "reject", "signal",
]  # fmt: skip

APPROVED, REJECTED = "flow.approved", "flow.rejected"
DISCARDED = "discarded"


def emit(
    tx: Transaction,
    topic: str,
    correlation_id: str,
    payload: Any = None,
    *,
    key: str | None = None,
    ttl: float | timedelta = DEFAULT_TTL,
    max_bytes: int = codec.DEFAULT_MAX_BYTES,
) -> Sent:
    """Send an event to the oldest wait for ``(topic, correlation_id)``, in whatever flow that is. Where none is open,
    it is kept for the next one (FL-12).

    Args:
        topic: what it is about, e.g. ``"shipped"``.
        correlation_id: what it belongs to, e.g. an order's id.
        payload: any JSON value, or what the codec knows.
        key: a second event of the same key here is dropped, for as long as the first is kept.
        ttl: seconds or timedelta after which it is dropped if nobody has taken it; 0: only for who waits already.
        max_bytes: size limit of the payload as JSON.

    Raises:
        InvalidMessage: a topic, correlation id or key that is empty, too long or not printable.
        InvalidTimeout: a ``ttl`` that is negative or over a hundred years.
        NotSerialisable, PayloadTooLarge: the payload cannot be written.
    """
    address = Address(EVENT, check_name(topic, "a topic"), check_name(correlation_id, "a correlation id"))
    kept = round(seconds(ttl, "An event's time to live") * MICROS_PER_SECOND)
    text = codec.encode(payload, what=f"The payload of the event {topic!r}", max_bytes=max_bytes)
    message = Message(address, _key(key), text, kept)
    sql.lock(tx, {address})
    return sql.send(tx, message)


def signal(
    tx: Transaction,
    flow_id: UUID | str,
    name: str,
    payload: Any = None,
    *,
    key: str | None = None,
    max_bytes: int = codec.DEFAULT_MAX_BYTES,
) -> Sent:
    """Send a signal to one flow. Until the flow waits for it, it is kept, for as long as the flow is.

    Args, Raises: as :func:`emit`; and

    Raises:
        FlowNotFound: unknown id.
        AlreadyTerminal: the flow has ended (FL-14).
    """
    found = parse_id(flow_id)
    address = Address(SIGNAL, check_name(name, "a signal's name"), str(found))
    text = codec.encode(payload, what=f"The payload of the signal {name!r}", max_bytes=max_bytes)
    message = Message(address, _key(key), text, round(MAX_SECONDS) * MICROS_PER_SECOND)
    sql.lock(tx, {address})
    status = sql.status_of(tx, found)
    if status is None:
        raise FlowNotFound(found)
    if status.terminal:
        raise AlreadyTerminal(found, status)
    return sql.send(tx, message)


def approve(
    tx: Transaction, approval_id: UUID | str, *, by: str | None = None, note: str = "", digest: str | None = None
) -> Approval:
    """Say yes to what a flow asks for. The same answer by the same person again is the same, as long as the request
    stands; one audit row ``flow.approved`` tells of it.

    Args:
        by: who says so; the transaction's actor by default.
        note: what else they say.
        digest: of what they looked at: refuse if something else is to be approved.

    Raises:
        ApprovalNotFound: unknown.
        ApprovalExpired: too late.
        ApprovalAnswered: somebody answered, and differently; or the flow has its answer.
        ApprovalOver: the flow does not wait for it any more.
        NotAnApprover: somebody else has to.
        DigestMismatch: not what they looked at.
        InvalidMessage: a name or note that cannot be.
    """
    return _decide(tx, approval_id, approved=True, by=by, note=note, digest=digest)


def reject(
    tx: Transaction, approval_id: UUID | str, *, by: str | None = None, note: str = "", digest: str | None = None
) -> Approval:
    """Say no; otherwise as :func:`approve`. The audit row is ``flow.rejected``."""
    return _decide(tx, approval_id, approved=False, by=by, note=note, digest=digest)


def find_approval(tx: Transaction, approval_id: UUID | str) -> Approval:
    """A request for approval; with its decision, as long as the flow has not seen it.

    Raises:
        ApprovalNotFound: unknown, or the flow has its answer.
    """
    return _present(tx, parse_id(approval_id), locked=False)


def approvals(
    tx: Transaction, flow_id: UUID | str | None = None, *, limit: int | None = None, after: str | None = None
) -> Page[Approval]:
    """What can be approved or rejected now, oldest first; of one flow, or of all.

    Raises:
        FlowNotFound: unknown id.
    """
    return lists.list_approvals(tx, None if flow_id is None else sql.num_of(tx, parse_id(flow_id)), limit, after)


def open_waits(
    tx: Transaction, flow_id: UUID | str, *, limit: int | None = None, after: str | None = None
) -> Page[OpenWait]:
    """What a flow waits for besides time, by run id.

    Raises:
        FlowNotFound: unknown id.
    """
    return lists.list_waits(tx, sql.num_of(tx, parse_id(flow_id)), limit, after)


def pending_events(
    tx: Transaction, topic: str | None = None, *, limit: int | None = None, after: str | None = None
) -> Page[PendingEvent]:
    """Events that are kept for waits to come, oldest first; of one topic, or of all.

    Raises:
        InvalidMessage: a topic that cannot be.
    """
    return lists.list_events(tx, topic if topic is None else check_name(topic, "a topic"), limit, after)


def pending_signals(
    tx: Transaction, flow_id: UUID | str, *, limit: int | None = None, after: str | None = None
) -> Page[PendingSignal]:
    """Signals that are kept until their flow waits for them, oldest first.

    Raises:
        FlowNotFound: unknown id.
    """
    found = parse_id(flow_id)
    sql.num_of(tx, found)
    return lists.list_signals(tx, found, limit, after)


def discard(tx: Transaction, message_id: UUID | str, *, kind: str | None = None) -> Pending:
    """Remove a message that no wait has taken: nobody gets it any more, and its key is free. One audit row,
    ``event.discarded`` about the message or ``signal.discarded`` about its flow, tells of it.

    Args:
        kind: ``event`` or ``signal``, where only that is meant.

    Raises:
        MessageNotFound: unknown, of the other kind, expired, or removed already.
        MessageTaken: a flow has it.
    """
    wanted = parse_id(message_id)
    sql.lock(tx, {_found(tx, wanted, kind).address})
    found = _found(tx, wanted, kind)  # as it stays: whoever takes or sends holds the lock
    if found.taken_by is not None:
        raise MessageTaken(wanted, found.taken_by)
    num = row_num(wanted)
    assert num is not None
    sql.drop(tx, num)
    message = found.message
    subject = message.id if isinstance(message, PendingEvent) else message.flow_id
    detail = {
        "message": str(wanted),
        **found.address._asdict(),
        "key": message.key,
        "sent_at": to_micros(message.sent_at),
    }
    SqlAuditLog(tx).append(f"{found.address.kind}.{DISCARDED}", str(subject), detail)
    return message


def _decide(
    tx: Transaction, approval_id: UUID | str, *, approved: bool, by: str | None, note: str, digest: str | None
) -> Approval:
    wanted = parse_id(approval_id)
    person = check_name(tx.actor if by is None else by, "the name of who answers")
    _check_note(note)
    try:
        asked = _present(tx, wanted, locked=True)
    except ApprovalNotFound:
        raise why_late(tx, wanted) from None
    if digest is not None and digest != asked.digest:
        raise DigestMismatch(wanted, digest, asked.digest)
    given = asked.decision
    if given:
        if (given.approved, given.by) != (approved, person):
            raise ApprovalAnswered(wanted, given.by, approved=given.approved, at=given.at)
        return asked
    now = to_datetime(tx.clock.micros())
    if asked.expires_at is not None and now >= asked.expires_at:
        raise ApprovalExpired(wanted, asked.expires_at)
    if asked.approvers and person not in asked.approvers:
        raise NotAnApprover(wanted, person, asked.approvers)
    decision = Decision(approved=approved, by=person, note=note, digest=asked.digest, at=now)
    num = row_num(wanted)
    assert num is not None
    sql.answer(tx, num, codec.encode(decision))
    detail = {"approval": str(wanted), "name": asked.name, "digest": asked.digest, "by": person, "note": note}
    SqlAuditLog(tx).append(APPROVED if approved else REJECTED, str(asked.flow_id), detail)
    return replace(asked, decision=decision)


def _found(tx: Transaction, message_id: UUID, kind: str | None) -> Found:
    num = row_num(message_id)
    found = lists.find_message(tx, num) if num is not None else None
    if (
        found is None
        or (kind is not None and found.address.kind != kind)
        or (found.taken_by is None and found.expires_at <= tx.clock.micros())
    ):
        raise MessageNotFound(message_id, kind or "message")
    return found


def _present(tx: Transaction, approval_id: UUID, *, locked: bool) -> Approval:
    num = row_num(approval_id)
    found = lists.find_approval(tx, num, locked=locked) if num is not None else None
    if found is None:
        raise ApprovalNotFound(approval_id)
    return found


def _key(key: str | None) -> str:
    return new_id().hex if key is None else check_name(key, "a key")


def _check_note(note: Any) -> None:
    if not isinstance(note, str) or len(note) > MAX_NOTE:
        raise InvalidMessage("That cannot be a note.", remedy=f"Use a text of at most {MAX_NOTE:,} characters.")
    check_text(note, "note")
