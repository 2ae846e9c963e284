"""Killed anywhere in what is said to flows, the next start sees all of it or nothing; and saying it again is no harm
(FL-12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.audit import SqlAuditLog
from holdfast.flows.inbox import manager, sql
from holdfast.flows.inbox.errors import MessageNotFound
from holdfast.ids import row_id
from holdfast.store import Transaction
from holdfast.testing.crash import Operation, explore_operation
from tests.durable import KILLED_ON
from tests.inbox_kit import add_flows, approval, child, event, flow_id, set_flow, signal

KEPT = ("kept", "B-1")


def prepare(tx: Transaction) -> None:
    """Flow 1 waits for an event, a signal, an approval and a child; flow 2 has an event that flow 3 waits for as well;
    one event is kept, one has expired."""
    add_flows(tx, 4)
    sql.register(tx, [event(1), signal(1), approval(1), child(1, 4)])
    sql.register(tx, [event(2, topic="two"), event(2, 2, "paid")])
    manager.emit(tx, "two", "A-17", "2", key="two")
    sql.register(tx, [event(3, topic="two")])
    manager.emit(tx, *KEPT, "early", key="kept")
    manager.emit(tx, "old", "x", ttl=0)
    tx.execute("UPDATE flows SET touched = FALSE, due_at = NULL")


def observe(tx: Transaction) -> Any:
    return (
        tx.fetch("SELECT flow, run_id, answered_at, answer, failed, event IS NULL FROM waits ORDER BY num"),
        tx.fetch("SELECT topic, correlation, payload, flow, run_id, expires_at FROM inbox ORDER BY num"),
        tx.fetch("SELECT num, touched, due_at FROM flows ORDER BY num"),
        [(row.seq, row.act) for row in SqlAuditLog(tx).list().items],
        SqlAuditLog(tx).head(),
    )


def wait_num(tx: Transaction, flow: int, kind: str) -> int:
    return next(answer.wait for answer in sql.standing(tx, [flow]) if answer.run_id.startswith(kind))


def decide(verb: Any) -> Callable[[Transaction], object]:
    return lambda tx: verb(tx, row_id(wait_num(tx, 1, "approval")), by="ann")


def end_child(tx: Transaction) -> None:
    set_flow(tx, 4, status="finished", result="4")
    sql.answer_children(tx, [(str(flow_id(4)), "4", False)])


def discard(kind: str) -> Callable[[Transaction], object]:
    """The message that nobody has taken."""

    def work(tx: Transaction) -> object:
        found = tx.fetch("SELECT num FROM inbox WHERE key = 'kept' AND kind = :kind", {"kind": kind})
        return manager.discard(tx, row_id(found[0][0] if found else 99), kind=kind)

    return work


def with_a_signal(tx: Transaction) -> None:
    prepare(tx)
    manager.signal(tx, flow_id(3), "stop", key="kept")


def release(tx: Transaction) -> None:
    """A rewind: what waits is withdrawn, what was taken is given back."""
    sql.release(tx, 2, ["event:two#1@1"])
    sql.withdraw_flows(tx, [2])


def register(tx: Transaction) -> None:
    sql.register(tx, [event(3, 2, *KEPT), event(3, 3, "never"), child(3, 4)])


OPERATIONS = {
    "emit to a wait": Operation(prepare, lambda tx: manager.emit(tx, "shipped", "A-17", "x", key="k"), observe),
    "emit early": Operation(prepare, lambda tx: manager.emit(tx, "new", "A-17", "x", key="k"), observe),
    "signal": Operation(prepare, lambda tx: manager.signal(tx, flow_id(1), "stop", key="k"), observe),
    "discard an event": Operation(prepare, discard("event"), observe, (MessageNotFound,)),
    "discard a signal": Operation(with_a_signal, discard("signal"), observe, (MessageNotFound,)),
    "approve": Operation(prepare, decide(manager.approve), observe),
    "reject": Operation(prepare, decide(manager.reject), observe),
    "register": Operation(prepare, register, observe),
    "withdraw": Operation(prepare, lambda tx: sql.withdraw_flows(tx, [2]), observe),
    "release": Operation(prepare, release, observe),
    "answer_children": Operation(prepare, end_child, observe),
    "collect": Operation(prepare, lambda tx: sql.collect(tx, 10), observe),
}
EMIT = OPERATIONS["emit to a wait"]


@pytest.mark.parametrize("new_store_url", KILLED_ON, indirect=True)
@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_anywhere(name: str, new_store_url: Callable[[], str]) -> None:
    visits = list(explore_operation(OPERATIONS[name], new_store_url))
    assert {visit.where for visit in visits} == {"statement", "before commit", "after commit"}
    assert not [visit for visit in visits if visit.faults]


@pytest.mark.parametrize("new_store_url", ["sqlite"], indirect=True)
def test_killed_for_real(new_store_url: Callable[[], str]) -> None:
    visits = list(explore_operation(EMIT, new_store_url, reference=f"{__name__}:EMIT"))
    assert len(visits) > 5
    assert not [visit for visit in visits if visit.faults]
