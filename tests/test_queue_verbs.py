"""Declaring, pausing and removing queues: what is written, what is audited, what is refused, what a kill leaves."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from holdfast.audit import SqlAuditLog
from holdfast.flows.queues import InvalidQueue, Queue, QueueInUse, QueueNotFound, Rate, manager
from holdfast.flows.queues.claiming import claim
from holdfast.flows.queues.model import Limits
from holdfast.flows.queues.sql import SqlQueues
from holdfast.flows.requests import StartOptions, make_start
from holdfast.flows.starts import insert_all, insert_flows
from holdfast.pages import InvalidCursor
from holdfast.store import Transaction, load_queries, open_store
from holdfast.store.queries import compile_sqlite
from holdfast.testing.crash import Operation, explore_operation
from tests.durable import KILLED_ON
from tests.queue_kit import add_worker, scene

# -- the verbs ------------------------------------------------------------------------------------------------


def acts(tx: Transaction) -> list[tuple[str, str, Any]]:
    return [(row.act, row.subject, row.detail) for row in reversed(SqlAuditLog(tx).list().items)]


def test_declaring_is_idempotent_and_audited_when_it_changes_something(store_url: str) -> None:
    with open_store(store_url) as store:
        limited = Queue("b", concurrency=3, rate=Rate(10, timedelta(minutes=1)))
        for _ in range(2):
            store.run(lambda tx: manager.declare(tx, [limited, Queue("a")]))
        store.run(lambda tx: manager.declare(tx, [Queue("b", per_key=1)]))
        told = store.read(acts)
        assert [(act, subject) for act, subject, _ in told] == [("queue.declared", name) for name in "abb"]
        assert told[0][2] == {"from": None, "to": Limits()._asdict()}
        assert told[2][2] == {"from": limited.limits._asdict(), "to": Limits(per_key=1)._asdict()}
        assert told[1][2]["to"]["rate_micros"] == 60_000_000
        standing = store.read(lambda tx: SqlQueues(tx).page()).items
        assert [each.queue for each in standing] == [Queue("a"), Queue("b", per_key=1)]


def test_pausing_outlives_a_new_declaration(store_url: str) -> None:
    with open_store(store_url) as store:
        store.run(lambda tx: manager.declare(tx, [Queue("q")]))
        for _ in range(2):
            assert store.run(lambda tx: manager.pause(tx, "q")).paused
        store.run(lambda tx: manager.declare(tx, [Queue("q", concurrency=1)]))
        assert store.read(lambda tx: manager.standing(tx, "q")).paused
        assert not store.run(lambda tx: manager.resume(tx, "q")).paused
        assert [act for act, *_ in store.read(acts)] == [
            "queue.declared", "queue.paused", "queue.declared", "queue.resumed"
        ]  # fmt: skip


def test_a_queue_is_removed_once_nothing_waits_in_it(store_url: str) -> None:
    with scene(store_url) as q:
        q.declare()
        for options in ({}, {"delay": 5}):
            q.start("a", **options)
            with pytest.raises(QueueInUse):
                q.store.run(lambda tx: manager.remove(tx, "q"))
            q.clock.advance(5)
            assert q.claim() == ["a"]
            with pytest.raises(QueueInUse):
                q.store.run(lambda tx: manager.remove(tx, "q"))
            q.finish("a")
        q.start("parked")
        q.claim()
        q.park("parked")
        q.store.run(lambda tx: manager.remove(tx, "q"))
        assert q.store.read(acts)[-1][:2] == ("queue.removed", "q")
        assert isinstance(q.start("b")[0], QueueNotFound)
        q.wake("parked")
        assert q.next_due() == 0
        assert q.claim() == ["parked"]


def test_standing(store_url: str) -> None:
    with scene(store_url) as q:
        q.declare(concurrency=1)
        q.start("a", "b", "c")
        q.start("d", delay=9)
        q.claim()
        found = q.store.read(lambda tx: manager.standing(tx, "q"))
        assert (found.running, found.ready, found.later, found.paused) == (1, 2, 1, False)
        assert found.as_object() == {
            "name": "q", "concurrency": 1, "per_worker": None, "per_key": None, "rate": None, "paused": False,
            "ready": 2, "running": 1, "later": 1,
        }  # fmt: skip


@pytest.mark.parametrize("name", ["none", "", "nul\0", "\ud800"])
@pytest.mark.parametrize("verb", [manager.pause, manager.resume, manager.remove, manager.standing])
def test_unknown_queues(store_url: str, verb: Callable[[Transaction, str], object], name: str) -> None:
    with open_store(store_url) as store:
        with pytest.raises(QueueNotFound):
            store.run(lambda tx: verb(tx, name))
        assert store.read(acts) == []


# -- bad input ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"concurrency": 0}, "concurrency cannot be 0"),
        ({"concurrency": -1}, "concurrency cannot be -1"),
        ({"concurrency": 2.0}, "concurrency cannot be 2.0"),
        ({"concurrency": True}, "concurrency cannot be True"),
        ({"concurrency": "3"}, "concurrency cannot be '3'"),
        ({"per_worker": 1_000_001}, "per_worker cannot be 1000001"),
        ({"per_key": 0}, "per_key cannot be 0"),
        ({"rate": 5}, "5 is no rate"),
        ({"rate": (5,)}, "is no rate"),
        ({"rate": (0, 1)}, "A rate's count cannot be 0"),
        ({"rate": (200_000, 1)}, "A rate's count cannot be 200000"),
        ({"rate": (1, 0)}, "A rate cannot be per 0"),
        ({"rate": (1, -1)}, "A rate cannot be per -1"),
        ({"rate": (1, float("nan"))}, "A rate cannot be per nan"),
        ({"rate": (1, float("inf"))}, "A rate cannot be per inf"),
        ({"rate": (1, "60")}, "A rate is per seconds or timedelta, not '60'"),
        ({"rate": (1, timedelta(days=400))}, "A rate cannot be per"),
    ],
)
def test_limits_that_cannot_be(limits: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidQueue, match=told.replace("(", r"\(")):
        Queue("q", **limits)


@pytest.mark.parametrize("name", ["", "x" * 201, "two\nlines", "nul\0", "\ud800", None, 7])
def test_names_that_cannot_be(name: Any) -> None:
    with pytest.raises(InvalidQueue, match="cannot be the name"):
        Queue(name)


@pytest.mark.parametrize("queues", [["q"], [Queue("q"), Queue("q")]])
def test_declarations_that_cannot_be(sqlite_url: str, queues: Any) -> None:
    with open_store(sqlite_url) as store:
        with pytest.raises(InvalidQueue):
            store.run(lambda tx: manager.declare(tx, queues))
        assert store.read(lambda tx: SqlQueues(tx).page()).items == []


@pytest.mark.parametrize("cursor", ["", "nul\0"])
def test_cursors_that_cannot_be(store_url: str, cursor: str) -> None:
    with open_store(store_url) as store, pytest.raises(InvalidCursor):
        store.read(lambda tx: SqlQueues(tx).page(after=cursor))


# -- kills ----------------------------------------------------------------------------------------------------


def declared(tx: Transaction) -> None:
    manager.declare(tx, [Queue("p"), Queue("q", concurrency=3)])


def waiting(tx: Transaction) -> None:
    declared(tx)
    insert_all(tx, [make_start("w", "{}", 0, StartOptions(queue="q", queue_key=key, key=key)) for key in "abcd"])
    add_worker(tx)


def observe(tx: Transaction) -> Any:
    counted = "SELECT queue_key, status, turn, due_at, epoch, revision FROM flows ORDER BY queue_key"
    return (
        SqlQueues(tx).page().items,
        acts(tx),
        tx.fetch(counted),
        tx.fetch("SELECT * FROM queue_turns"),
        tx.fetch("SELECT name, value FROM flow_tags ORDER BY flow"),
    )


def start_three(tx: Transaction) -> None:
    keys = ("a", "b", "c")
    insert_all(
        tx, [make_start("w", "{}", 0, StartOptions(queue="q", key=k, queue_key=k, tags={"key": k})) for k in keys]
    )


def claim_all(tx: Transaction) -> None:
    epoch = tx.fetch("SELECT max(epoch) FROM workers")[0][0]
    claim(tx, epoch, ["w"], 3)


def later(tx: Transaction) -> None:
    waiting(tx)
    tx.execute("UPDATE flows SET turn = NULL, started_at = 5 WHERE queue_key = 'c'")


OPERATIONS = {
    "declare": Operation(declared, lambda tx: manager.declare(tx, [Queue("q", per_key=1), Queue("r")]), observe),
    "pause": Operation(declared, lambda tx: manager.pause(tx, "q"), observe),
    "remove": Operation(declared, lambda tx: manager.remove(tx, "q"), observe, (QueueNotFound,)),
    "start": Operation(declared, start_three, observe),
    "claim": Operation(waiting, claim_all, observe),
    "promote": Operation(later, claim_all, observe),
}


@pytest.mark.parametrize("new_store_url", KILLED_ON, indirect=True)
@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_anywhere(name: str, new_store_url: Callable[[], str]) -> None:
    visits = list(explore_operation(OPERATIONS[name], new_store_url))
    assert {visit.where for visit in visits} == {"statement", "before commit", "after commit"}
    assert not [visit for visit in visits if visit.faults]


# -- cost -----------------------------------------------------------------------------------------------------

ADMINISTRATION = {"put", "set_paused", "delete", "delete_turns", "put_turns", "lock_one", "limits"}
LOOK_UPS = {name: query.sqlite for name, query in load_queries("holdfast.flows.queues").items()}


@pytest.mark.parametrize("name", sorted(LOOK_UPS.keys() - ADMINISTRATION))
def test_what_waits_is_found_by_its_index(sqlite_url: str, name: str) -> None:
    compiled = compile_sqlite(LOOK_UPS[name], 1)
    rows = [(0,) * len(compiled.columns)] if compiled.columns else None
    scalars = dict.fromkeys(re.findall(r":(\w+)", LOOK_UPS[name]), 0)
    with open_store(sqlite_url) as store:
        text = "EXPLAIN QUERY PLAN " + LOOK_UPS[name]
        plan = [row[3] for row in store.read(lambda tx: tx.fetch(text, scalars, rows=rows))]
    flows = [line for line in plan if re.match("(SCAN|SEARCH) (flows|n|f)( |$)", line)]
    assert flows or name in {"known", "lock"}
    assert not [line for line in flows if not re.search("USING .*(INDEX flows_queue_|PRIMARY KEY)", line)], plan
    assert not [line for line in plan if "TEMP B-TREE" in line], plan


@pytest.mark.parametrize("new_store_url", ["sqlite", "postgres"], indirect=True)
def test_a_claim_reads_what_it_takes_and_not_the_backlog(store_url: str) -> None:
    """Ten thousand flows of a full key and a thousand other keys are in nobody's way."""
    with scene(store_url) as q:
        q.declare(per_key=1)
        q.start("first", queue_key="full")
        assert q.claim() == ["first"]
        for _ in range(10):
            starts = [make_start("sample", "{}", 0, StartOptions(queue="q", queue_key="full")) for _ in range(1000)]
            q.store.run(lambda tx, starts=starts: insert_flows(tx, starts))
        starts = [make_start("sample", "{}", 0, StartOptions(queue="q", queue_key=f"k{n}")) for n in range(1000)]
        q.store.run(lambda tx: insert_flows(tx, starts))
        epoch = q.worker()
        seconds = []
        for _ in range(9):
            began = time.perf_counter()
            assert len(q.store.run(lambda tx: claim(tx, epoch, ["sample"], 10))) == 10
            seconds.append(time.perf_counter() - began)
        assert sorted(seconds)[4] < 0.05
