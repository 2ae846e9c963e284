"""Waits and the inbox over a transaction, for both dialects: what the engine and the verbs stand on (FL-12).

Messages and waits of one address meet under a lock of that address, so that of two who come at the same time the
later one sees the earlier: there is never an open wait beside a message that it could have. These locks come before
locks on rows of flows: a unit that does both withdraws, registers or sends first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from holdfast.clock import MICROS_PER_SECOND
from holdfast.flows.engine.port import Answer, Wait
from holdfast.flows.errors import FlowNotFound
from holdfast.flows.inbox.model import (
    CHILD,
    DEFAULT_TTL,
    MAILED,
    Address,
    Message,
    Sent,
    child_answer,
    missing_child_answer,
)
from holdfast.flows.model import FlowStatus
from holdfast.ids import row_id
from holdfast.store import Row, Transaction, load_queries

_q = load_queries("holdfast.flows.inbox")
_KEEP = int(DEFAULT_TTL.total_seconds()) * MICROS_PER_SECOND


def register(tx: Transaction, waits: Sequence[Wait]) -> list[Answer]:
    """Insert waits, and answer those that need not wait: by the oldest message at their address, or as a child that has
    ended. One answer each, in order; a wait that was registered before is as it stands."""
    lock(tx, {_address(wait) for wait in waits if wait.kind in MAILED})
    rows = tx.fetch(_q["insert_waits"], {"now": tx.clock.micros()}, rows=waits)
    found = {(answer.flow, answer.run_id): answer for answer in _answers(rows)}
    fresh = [wait for wait in waits if (wait.flow, wait.run_id) in found]
    answered = _match(tx, {_address(wait) for wait in fresh if wait.kind in MAILED})
    touch(tx, {answer.flow for answer in answered if (answer.flow, answer.run_id) not in found})
    answered += _ended_children(tx, [wait for wait in fresh if wait.kind == CHILD], found)
    if len(fresh) < len(waits):
        names = [(wait.flow, wait.run_id) for wait in waits if (wait.flow, wait.run_id) not in found]
        answered += _answers(tx.fetch(_q["named_waits"], rows=names))
    found |= {(answer.flow, answer.run_id): answer for answer in answered}
    return [found[wait.flow, wait.run_id] for wait in waits]


def standing(tx: Transaction, flows: Iterable[int]) -> list[Answer]:
    """All waits of these flows, open and answered, in the order in which they were registered."""
    return _answers(tx.fetch(_q["waits_of"], rows=_rows(flows)))


def answered(tx: Transaction, flows: Iterable[int]) -> list[Answer]:
    """The waits of these flows that have their answer."""
    return _answers(tx.fetch(_q["answered_waits_of"], rows=_rows(flows)))


def forget(tx: Transaction, nums: Iterable[int]) -> None:
    """Delete waits whose answers were recorded."""
    tx.execute(_q["delete_waits"], rows=_rows(nums))


def withdraw(tx: Transaction, nums: Iterable[int]) -> None:
    """Delete waits that nobody waits for any more. A message that one of them had is free again, and goes to the next
    open wait at its address."""
    rows = _rows(nums)
    lock(tx, {Address(*row) for row in tx.fetch(_q["addresses"], rows=rows)})
    _free(tx, [event for (event,) in tx.fetch(_q["delete_waits"], rows=rows) if event is not None])


def withdraw_flows(tx: Transaction, flows: Iterable[int]) -> None:
    """:func:`withdraw` all waits of flows that end, or are rewound."""
    nums = [answer.wait for answer in standing(tx, flows)]
    if nums:
        withdraw(tx, nums)


def release(tx: Transaction, flow: int, run_ids: Iterable[str]) -> None:
    """:func:`give_back` what these calls of one flow had taken."""
    give_back(tx, [(flow, run_id) for run_id in run_ids])


def give_back(tx: Transaction, taken: Sequence[tuple[int, str]]) -> None:
    """Free the messages that calls had taken which were undone, or lost to another: each is kept for the default time
    at least, and goes to the next open wait at its address.

    Args:
        taken: flow and run id of each call.
    """
    rows = tx.fetch(_q["taken"], rows=taken)
    lock(tx, {Address(*row[1:]) for row in rows})
    events = [row[0] for row in rows]
    tx.execute(_q["prolong"], {"least": tx.clock.micros() + _KEEP}, rows=_rows(events))
    _free(tx, events)


def answer_children(tx: Transaction, ended: Sequence[tuple[str, str | None, bool]]) -> None:
    """Answer those who wait for flows that have ended, in the unit that ends them and after their rows say so.

    Args:
        ended: of each the text of its id, and what :func:`~holdfast.flows.inbox.model.child_answer` says of it.
    """
    rows = tx.fetch(_q["answer_children"], {"now": tx.clock.micros()}, rows=ended)
    touch(tx, {answer.flow for answer in _answers(rows)})


def answer(tx: Transaction, wait: int, told: str) -> None:
    """Answer a wait with the JSON text ``told``, and touch its flow."""
    rows = tx.fetch(_q["answer"], {"now": tx.clock.micros()}, rows=[(wait, told, False)])
    touch(tx, {answered.flow for answered in _answers(rows)})


def touch(tx: Transaction, nums: Iterable[int]) -> None:
    """Something has happened to these flows from outside: a parked one may be claimed at once, a leased one is noticed
    by its worker. Those that have ended are left alone."""
    tx.execute(_q["touch"], {"now": tx.clock.micros()}, rows=_rows(nums))


def lock(tx: Transaction, addresses: Iterable[Address]) -> None:
    """Have these addresses for oneself until the transaction ends."""
    tx.lock(*{address.lock for address in addresses})


def send(tx: Transaction, message: Message) -> Sent:
    """Put a message into the inbox, and give it to the oldest open wait at its address, if any; that is locked."""
    place = message.address._asdict()
    wait = tx.fetch_one(_q["first_wait"], place)
    num, flow, run_id = wait or (None, None, None)
    now = tx.clock.micros()
    columns = place | {"key": message.key, "payload": message.payload, "now": now, "expires_at": now + message.ttl}
    columns |= {"flow": flow, "run_id": run_id}
    event = tx.fetch_one(_q["insert_message"], columns)
    if event is None:
        earlier = tx.fetch_one(_q["message"], columns)
        assert earlier is not None  # only a holder of the lock deletes what has not expired
        if earlier[1] is not None or earlier[2] > now:
            return Sent(id=row_id(earlier[0]), delivered=earlier[1] is not None, duplicate=True)
        drop(tx, earlier[0])
        event = tx.fetch_one(_q["insert_message"], columns)
        assert event is not None
    if wait:
        tx.execute(_q["answer_by_event"], {"now": now}, rows=[(num, event[0])])
        touch(tx, [wait[1]])
    return Sent(id=row_id(event[0]), delivered=wait is not None, duplicate=False)


def drop(tx: Transaction, num: int) -> None:
    """Delete a message that no wait has; its address is locked."""
    tx.execute(_q["drop_message"], {"num": num})


def collect(tx: Transaction, limit: int) -> int:
    """Delete up to ``limit`` messages that expired before anybody took them; returns how many."""
    return tx.execute(_q["collect"], {"now": tx.clock.micros(), "limit": limit})


def status_of(tx: Transaction, flow_id: UUID) -> FlowStatus | None:
    """A flow's status, which stays until this transaction ends; ``None`` where there is no such flow."""
    row = tx.fetch_one(_q["flow_status"], {"id": str(flow_id)})
    return FlowStatus(row[0]) if row else None


def num_of(tx: Transaction, flow_id: UUID) -> int:
    """A flow's number.

    Raises:
        FlowNotFound: unknown id.
    """
    row = tx.fetch_one(_q["flow_num"], {"id": str(flow_id)})
    if row is None:
        raise FlowNotFound(flow_id)
    return int(row[0])


def _match(tx: Transaction, addresses: Iterable[Address]) -> list[Answer]:
    """Give the messages at ``addresses`` to the waits there, oldest to oldest; the locks are held."""
    now = tx.clock.micros()
    pairs = tx.fetch(_q["pairs"], {"now": now}, rows=sorted(addresses))
    if not pairs:
        return []
    tx.execute(_q["take"], rows=pairs)
    return _answers(tx.fetch(_q["answer_by_event"], {"now": now}, rows=pairs))


def _free(tx: Transaction, events: Sequence[int]) -> None:
    addresses = {Address(*row) for row in tx.fetch(_q["free_messages"], rows=_rows(events))}
    touch(tx, {answered.flow for answered in _match(tx, addresses)})


def _ended_children(tx: Transaction, waits: Sequence[Wait], found: dict[tuple[int, str], Answer]) -> list[Answer]:
    """Answer those waits whose child has ended or is gone. The rows of the others stay as they are until this
    transaction ends, so that whoever ends them then finds the waits; a flow that was nobody's child is tied now."""
    children = sorted({wait.correlation for wait in waits})
    present = {row[0]: row[1:] for row in tx.fetch(_q["children"], rows=[(child,) for child in children])}
    told: dict[str, tuple[str | None, bool]] = {}
    for child in children:
        if child not in present:
            told[child] = missing_child_answer(child)
        elif FlowStatus(present[child][0]).terminal:
            told[child] = child_answer(child, *present[child][:3])
    tx.execute(_q["tie"], rows=[(child,) for child, (*_, tied) in present.items() if child not in told and not tied])
    rows = [(found[w.flow, w.run_id].wait, *told[w.correlation]) for w in waits if w.correlation in told]
    return _answers(tx.fetch(_q["answer"], {"now": tx.clock.micros()}, rows=rows))


def _address(wait: Wait) -> Address:
    return Address(wait.kind, wait.topic, wait.correlation)


def _rows(nums: Iterable[int]) -> list[tuple[int]]:
    return [(num,) for num in nums]


def _answers(rows: Iterable[Row]) -> list[Answer]:
    return [Answer(*row)._replace(failed=bool(row[-1])) for row in rows]
