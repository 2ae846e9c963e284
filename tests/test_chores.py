"""Chores: one worker at a time, taken over from the dead, done every day."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from holdfast.flows import chores
from holdfast.flows.chores import DAILY, EVERY, Chore, daily
from holdfast.flows.errors import LeaseLost
from holdfast.flows.retention import DAY_SECONDS
from holdfast.store import Store, Transaction, open_store
from holdfast.testing import VirtualClock
from tests.test_retention import aged, insert


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def store(store_url: str, clock: VirtualClock) -> Iterator[Store]:
    with open_store(store_url, clock=clock) as opened:
        yield opened


def worker(tx: Transaction) -> int:
    """A living worker's epoch."""
    rows = tx.fetch(
        "INSERT INTO workers (host, pid, workflow_types, beat, lease_seconds, started_at, seen_at)"
        " VALUES ('h', 1, '[]', 0, 10, 0, 0) RETURNING epoch"
    )
    return int(rows[0][0])


def fence(store: Store, epoch: int) -> None:
    store.run(lambda tx: tx.execute("UPDATE workers SET fenced_at = 1 WHERE epoch = :epoch", {"epoch": epoch}))


def claim(store: Store, epoch: int) -> bool:
    return store.run(lambda tx: chores.claim(tx, DAILY, epoch, EVERY))


def the_chore(store: Store) -> Chore:
    (chore,) = store.read(chores.chores)
    return chore


def due(store: Store) -> int | None:
    return store.read(chores.next_due)


def test_a_chore_is_one_workers(store: Store, clock: VirtualClock) -> None:
    first, second = (store.run(worker) for _ in range(2))
    assert due(store) == 0, "nobody ever looked"
    assert not claim(store, first), "a store that has just begun has nothing to clean"
    assert due(store) == clock.micros() + EVERY
    clock.advance(timedelta(days=1))
    assert claim(store, first)
    assert due(store) is None
    assert not claim(store, second)
    clock.advance(timedelta(days=3))
    assert not claim(store, second), "it takes long, but its worker lives"
    store.run(lambda tx: chores.finish(tx, DAILY, first, {"flows": 3}))
    chore = the_chore(store)
    assert (chore.epoch, chore.ran_at, chore.outcome) == (None, clock.now(), {"flows": 3})
    assert claim(store, second), "the next day has come meanwhile"


def test_the_dead_leave_their_chores(store: Store, clock: VirtualClock) -> None:
    first, second = (store.run(worker) for _ in range(2))
    claim(store, first)
    clock.advance(timedelta(days=1))
    assert claim(store, first)
    fence(store, first)
    assert due(store) == clock.micros()
    assert not claim(store, first), "the dead claim nothing"
    with pytest.raises(LeaseLost):
        store.run(lambda tx: chores.check_held(tx, DAILY, first))
    assert claim(store, second)
    with pytest.raises(LeaseLost):
        store.run(lambda tx: chores.check_held(tx, DAILY, first))
    store.run(lambda tx: chores.finish(tx, DAILY, first, {"late": 1}))
    assert (the_chore(store).epoch, the_chore(store).outcome) == (second, None), "who woke up late changes nothing"


def test_of_many_claimers_one_wins(store: Store, clock: VirtualClock) -> None:
    epochs = [store.run(worker) for _ in range(6)]
    claim(store, epochs[0])
    clock.advance(timedelta(days=2))
    won: list[bool] = []
    threads = [threading.Thread(target=lambda epoch=epoch: won.append(claim(store, epoch))) for epoch in epochs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 5 + [True]


def test_the_daily_chore_prunes_and_collects(store: Store, clock: VirtualClock) -> None:
    epoch = store.run(worker)
    insert(store, aged(50), aged(20))
    store.run(
        lambda tx: tx.execute(
            "INSERT INTO inbox (kind, topic, correlation, key, payload, sent_at, expires_at)"
            " VALUES ('event', 't', 'c', 'k', '1', 1, 1)"
        )
    )
    daily(store, epoch, 30 * DAY_SECONDS)
    assert the_chore(store).outcome is None, "not due yet"
    clock.advance(timedelta(days=1))
    daily(store, epoch, 30 * DAY_SECONDS)
    chore = the_chore(store)
    assert chore.outcome is not None
    assert {**chore.outcome, "seconds": 0} == {"flows": 1, "superseded_steps": 0, "messages": 1, "seconds": 0}
    assert chore.due_at == clock.now() + timedelta(days=1)
    daily(store, epoch, 0.0)
    assert the_chore(store) == chore, "once a day"


def test_a_failure_is_told_and_tried_again_the_next_day(
    store: Store, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **named: Any) -> None:
        raise ValueError("out of order")

    epoch = store.run(worker)
    claim(store, epoch)
    clock.advance(timedelta(days=1))
    monkeypatch.setattr(chores, "prune", fail)
    daily(store, epoch, None)
    chore = the_chore(store)
    assert chore.outcome is not None
    assert (chore.epoch, chore.outcome["error"]["detail"]) == (None, "out of order")
    assert chore.due_at == clock.now() + timedelta(days=1)


def test_a_worker_that_lost_its_lease_stops(store: Store, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (store.run(worker) for _ in range(2))
    insert(store, *(aged(50) for _ in range(3)))
    claim(store, first)
    clock.advance(timedelta(days=1))
    taken_up = chores.claim

    def claim_and_die(tx: Transaction, name: str, epoch: int, every: int) -> bool:
        claimed = taken_up(tx, name, epoch, every)
        tx.execute("UPDATE workers SET fenced_at = 1 WHERE epoch = :epoch", {"epoch": epoch})
        return claimed

    monkeypatch.setattr(chores, "claim", claim_and_die)
    daily(store, first, 0.0)
    assert store.read(lambda tx: tx.fetch("SELECT count(*) FROM flows")) == [(3,)]
    assert the_chore(store).epoch == first
    monkeypatch.setattr(chores, "claim", taken_up)
    daily(store, second, 0.0)
    assert store.read(lambda tx: tx.fetch("SELECT count(*) FROM flows")) == [(0,)]
