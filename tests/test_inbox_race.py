"""FL-12 under a real PostgreSQL's concurrency: those who send, wait, withdraw and end meet at the same places."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from uuid import UUID

import psycopg
import pytest

from holdfast import codec
from holdfast.flows.engine.port import Wait
from holdfast.flows.inbox import manager, sql
from holdfast.flows.inbox.errors import MessageTaken
from holdfast.flows.inbox.model import STRIPES, Address
from holdfast.store import Store, Transaction, open_store
from tests.inbox_kit import add_flows, answers, child, event, flow_id, set_flow, together

PLACES = [("t", str(n)) for n in range(3)]


@pytest.fixture
def stores(postgres_url: str) -> Iterator[list[Store]]:
    """Two processes' worth of connections to one store."""
    with ExitStack() as stack:
        opened = [stack.enter_context(open_store(postgres_url)) for _ in range(2)]
        opened[0].run(lambda tx: add_flows(tx, 8))
        yield opened


def unmatched(tx: Transaction) -> list[tuple[str, str]]:
    """Places with an open wait beside an event that it could have."""
    return tx.fetch(
        """SELECT DISTINCT w.topic, w.correlation FROM waits w JOIN inbox i
        ON (i.kind, i.topic, i.correlation) = (w.kind, w.topic, w.correlation)
        WHERE w.answered_at IS NULL AND i.flow IS NULL"""
    )


@pytest.mark.parametrize("rounds", [25, pytest.param(1000, marks=[pytest.mark.prove, pytest.mark.timeout(1800)])])
def test_nothing_stays_unmatched(stores: list[Store], rounds: int) -> None:
    sent: list[int] = []
    numbers = iter(range(1 << 30))

    def send(store: Store) -> None:
        for _ in range(rounds):
            number = next(numbers)
            place = random.choice(PLACES)
            sent.append(number)
            for _ in range(random.randint(1, 2)):
                store.run(lambda tx, p=place, n=number: manager.emit(tx, *p, n, key=str(n)))  # type: ignore[misc]

    def wait(store: Store, flow: int) -> None:
        for call in range(rounds):
            waits = [event(flow, 10 * call + n, *random.choice(PLACES)) for n in range(random.randint(1, 3))]
            (found, *_) = store.run(lambda tx, waits=waits: sql.register(tx, waits))  # type: ignore[misc]
            if random.random() < 0.5:
                store.run(lambda tx, num=found.wait: sql.withdraw(tx, [num]))  # type: ignore[misc]

    waiting = [partial(wait, store, flow) for flow, store in enumerate(stores * 2, 1)]
    together(*[partial(send, store) for store in stores * 2], *waiting)

    def look(tx: Transaction) -> None:
        assert unmatched(tx) == []
        given = Counter(a.answer for a in sql.standing(tx, range(9)) if a.at is not None)
        kept = Counter(codec.encode(e.payload) for e in manager.pending_events(tx).items)
        assert given + kept == Counter(map(str, sent))  # each is somewhere, and nowhere twice
        touched = {num for (num,) in tx.fetch("SELECT num FROM flows WHERE touched")}
        late = tx.fetch("SELECT DISTINCT flow FROM waits WHERE answered_at > created_at")
        assert {flow for (flow,) in late} <= touched

    stores[0].read(look)


def test_what_is_discarded_is_taken_by_nobody(stores: list[Store]) -> None:
    """Somebody removes an event while a flow begins to wait for it: one of them has it, and another event is found."""
    for call in range(30):
        place = ("t", str(call))
        first, _ = (stores[0].run(lambda tx, n=n, p=place: manager.emit(tx, *p, n)).id for n in range(2))  # type: ignore[misc]
        waits = [event(1, call, *place)]

        def discard(message: UUID = first) -> bool:
            try:
                return bool(stores[0].run(lambda tx: manager.discard(tx, message)))
            except MessageTaken:
                return False

        def wait(waits: list[Wait] = waits) -> bool:
            (answer,) = stores[1].run(lambda tx: sql.register(tx, waits))
            assert answer.answer is not None  # there is always one left
            return answer.answer == "0"

        assert sorted(together(discard, wait)) == [False, True]
        assert stores[0].read(unmatched) == []


def test_one_event_for_one_of_many(stores: list[Store]) -> None:
    """Waits and one event, all at once: one wait has it."""

    def wait(number: int, flow: int) -> None:
        stores[flow % 2].run(lambda tx: sql.register(tx, [event(flow, number, "once", str(number))]))

    def send(number: int) -> None:
        stores[0].run(lambda tx: manager.emit(tx, "once", str(number), number))

    for number in range(10):
        together(partial(send, number), *[partial(wait, number, flow) for flow in (1, 2, 3)])
    found = stores[0].read(lambda tx: [a.answer for a in sql.standing(tx, range(1, 4)) if a.answer])
    assert sorted(map(int, found)) == list(range(10))


def test_many_events_of_one_key(stores: list[Store]) -> None:
    """Retrying senders of one key: one event."""
    sents: list[bool] = []

    def send(store: Store) -> None:
        sents.append(store.run(lambda tx: manager.emit(tx, "t", "c", 1, key="k")).duplicate)

    together(*[partial(send, store) for store in stores * 3])
    assert sorted(sents) == [False] + [True] * 5
    assert len(stores[0].read(lambda tx: manager.pending_events(tx)).items) == 1


def test_a_child_that_ends_while_it_is_awaited(stores: list[Store]) -> None:
    """Whichever comes first, the parent hears of it."""
    first, second = stores
    count = 60

    def end(tx: Transaction, num: int) -> None:
        set_flow(tx, num, status="finished", result=str(num))
        sql.answer_children(tx, [(str(flow_id(num)), str(num), False)])

    first.run(lambda tx: add_flows(tx, count))
    for num in range(9, 9 + count):
        together(
            partial(first.run, partial(sql.register, waits=[child(1, num)])), partial(second.run, partial(end, num=num))
        )
    assert first.read(lambda tx: answers(tx, 1)) == [str(num) for num in range(9, 9 + count)]


def test_locks_are_taken_in_one_order(stores: list[Store]) -> None:
    """Whatever order the callers have: nobody waits for a deadlock to be found, which takes a second."""

    def take(store: Store) -> None:
        for _ in range(30):
            names = [f"inbox {n}" for n in random.sample(range(STRIPES), 100)]
            store.run(lambda tx, names=names: tx.lock(*names))  # type: ignore[misc]

    with psycopg.connect(stores[0].backend._conninfo, autocommit=True) as watcher:  # type: ignore[attr-defined]
        before = watcher.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
        together(*[partial(take, store) for store in stores * 2])
        after = watcher.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    assert before == after


def test_a_lock_excludes(stores: list[Store]) -> None:
    order: list[str] = []
    held, others = threading.Event(), Address("event", "t", "c").lock

    def hold(tx: Transaction) -> None:
        tx.lock("unrelated", others)
        held.set()
        threading.Event().wait(0.2)
        order.append("first")

    def follow(tx: Transaction) -> None:
        tx.lock(others)
        order.append("second")

    def second() -> None:
        held.wait()
        stores[1].run(follow)

    together(lambda: stores[0].run(hold), second)
    assert order == ["first", "second"]
