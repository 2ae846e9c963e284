"""Flows and waits as rows, for the tests of the inbox."""

from __future__ import annotations

import threading
from collections.abc import Callable
from hashlib import sha256
from typing import Any, TypeVar
from uuid import UUID

from holdfast import codec
from holdfast.flows.engine.port import Answer, Wait
from holdfast.flows.inbox import sql
from holdfast.ids import row_id
from holdfast.store import Row, Transaction

R = TypeVar("R")
HOUR = 3600 * 1_000_000


def flow_id(num: int) -> UUID:
    """The id of the flow that :func:`add_flow` made as the store's ``num``-th."""
    return UUID(int=num, version=4)


def add_flows(tx: Transaction, count: int, **columns: Any) -> None:
    """Flows parked without a due time, the first ones of the store: numbered from 1."""
    values = {"status": "waiting", "epoch": None, "due_at": None, "paused": False, "result": None, "error": None}
    values |= columns
    insert = """INSERT INTO flows (id, workflow_type, owner_session_key, goal, state, status, attempt, revision,
        created_at, updated_at, seed, args, args_digest, epoch, due_at, paused, result, error)
        VALUES (:id, 'sample', '', '', '{}', :status, 1, 0, 0, 0, 0, '{}', 0, :epoch, :due_at, :paused, :result,
        :error) RETURNING num"""
    ((last,),) = tx.fetch("SELECT coalesce(max(num), 0) FROM flows")
    for num in range(last + 1, last + count + 1):
        assert tx.fetch(insert, values | {"id": str(flow_id(num))}) == [(num,)]


def set_flow(tx: Transaction, num: int, **columns: Any) -> None:
    assignments = ", ".join(f"{name} = :{name}" for name in columns)
    tx.execute(f"UPDATE flows SET {assignments} WHERE num = :num", columns | {"num": num})


def event(flow: int, call: int = 1, topic: str = "shipped", correlation: str = "A-17") -> Wait:
    return Wait(flow, f"event:{topic}#{call}@1", "event", topic, correlation)


def signal(flow: int, name: str = "stop") -> Wait:
    return Wait(flow, f"signal:{name}#1@1", "signal", name, str(flow_id(flow)))


def child(flow: int, of: int) -> Wait:
    return Wait(flow, f"child:sample#{of}@1", "child", "", str(flow_id(of)))


def approval(
    flow: int, what: Any = "all of it", *, approvers: tuple[str, ...] = (), expires_at: int | None = None
) -> Wait:
    text = codec.encode_canonical(what)[0]
    terms = {"what": what, "digest": digest_of(text), "approvers": list(approvers), "asked_at": 0}
    return Wait(flow, "approval:pay#1@1", "approval", "pay", "", codec.encode(terms), expires_at)


def digest_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def ask(tx: Transaction, flow: int = 1, **terms: Any) -> UUID:
    """Register an approval; its id."""
    (answer,) = sql.register(tx, [approval(flow, **terms)])
    return row_id(answer.wait)


def answers(tx: Transaction, flow: int) -> list[str | None]:
    """What the flow's waits were answered; ``None`` for those that are open."""
    return [answer.answer for answer in sql.standing(tx, [flow])]


def is_open(answer: Answer) -> bool:
    return answer.at is None and answer.answer is None and not answer.failed


def awake(tx: Transaction) -> list[Row]:
    """Number and due time of the flows that were touched."""
    return tx.fetch("SELECT num, due_at FROM flows WHERE touched ORDER BY num")


def together(*acts: Callable[[], R]) -> list[R]:
    """Run each in a thread of its own; what they gave, or what the first to fail raised."""
    results: list[R] = []
    faults: list[BaseException] = []
    barrier = threading.Barrier(len(acts))

    def guarded(act: Callable[[], R]) -> None:
        try:
            barrier.wait()
            results.append(act())
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=guarded, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return results
