"""Starting many flows at once: fast, in groups, each of them all or nothing (FL-18)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from holdfast import Holdfast, workflow
from holdfast.app.starting import GROUP
from holdfast.errors import InvalidId, InvalidInput, NotSerialisable
from holdfast.flows.errors import FlowExists, InvalidArguments
from holdfast.flows.queues import Queue, QueueNotFound
from holdfast.flows.queues.manager import declare
from holdfast.flows.requests import StartOptions, make_starts
from holdfast.flows.starts import insert_all
from holdfast.store import Transaction, open_store
from holdfast.testing import VirtualClock
from holdfast.testing.crash import Operation, explore_operation
from tests.durable import KILLED_ON


@dataclass
class Order:
    id: str
    amount: int


@workflow
async def fulfil(order: Order, urgent: bool = False) -> None: ...


@workflow
async def resize(path: str) -> None: ...


@workflow
async def total(numbers: tuple[int, ...]) -> None: ...


@pytest.fixture
def hf(store_url: str) -> Iterator[Holdfast]:
    with Holdfast(store_url, worker=False, clock=VirtualClock()) as opened:
        opened.store.run(lambda tx: declare(tx, [Queue("q")]))
        yield opened


def flows(hf: Holdfast, columns: str) -> list[Any]:
    return hf.store.read(lambda tx: tx.fetch(f"SELECT {columns} FROM flows ORDER BY num"))


def count(hf: Holdfast) -> int:
    return len(flows(hf, "num"))


def test_calls_are_tuples_dicts_or_the_only_argument(hf: Holdfast) -> None:
    hf.start_many(fulfil, [(Order("a", 1), True), {"order": Order("b", 2)}, Order("c", 3)])
    hf.start_many(resize, ["x.png"])
    hf.start_many(total, [((1, 2),)])
    assert [args for (args,) in flows(hf, "args")] == [
        '{"order":{"amount":1,"id":"a"},"urgent":true}',
        '{"order":{"amount":2,"id":"b"}}',
        '{"order":{"amount":3,"id":"c"}}',
        '{"path":"x.png"}',
        '{"numbers":[1,2]}',
    ]


def test_handles_come_in_the_order_of_the_calls(hf: Holdfast) -> None:
    told: list[int] = []
    handles = hf.start_many(resize, (f"{n}.png" for n in range(2 * GROUP + 5)), progress=told.append)
    assert told == [GROUP, 2 * GROUP, 2 * GROUP + 5]
    assert [str(handle.id) for handle in handles] == [str(flow) for (flow,) in flows(hf, "id")]
    assert handles[7].flow().args == '{"path":"7.png"}'


def test_no_calls(hf: Holdfast) -> None:
    assert hf.start_many(resize, []) == []


def test_options_hold_for_all(hf: Holdfast) -> None:
    hf.start_many(
        fulfil,
        [Order(letter, 1) for letter in "ab"],
        owner="ann", goal="ship", tags={"batch": "7"}, queue="q", queue_key=lambda order: order.id, priority=3,
        delay=timedelta(seconds=5),
    )  # fmt: skip
    now = hf.store.clock.micros()
    assert flows(hf, "owner_session_key, goal, tags, queue, queue_key, priority, due_at, turn") == [
        ("ann", "ship", '{"batch":"7"}', "q", key, 3, now + 5_000_000, None) for key in "ab"
    ]
    assert hf.store.read(lambda tx: tx.fetch("SELECT count(*) FROM flow_tags")) == [(2,)]


def test_the_same_keys_start_what_is_missing(hf: Holdfast) -> None:
    calls, keys = [f"{n}.png" for n in range(30)], [f"key {n}" for n in range(30)]
    first = hf.start_many(resize, calls[:10], keys=keys[:10])
    every = hf.start_many(resize, calls, keys=keys)
    assert [handle.id for handle in every[:10]] == [handle.id for handle in first]
    assert count(hf) == 30
    assert hf.start(resize, "3.png", key="key 3").id == every[3].id


def test_a_group_is_all_or_nothing(hf: Holdfast) -> None:
    hf.start(resize, "other.png", key="key 1500")
    calls, keys = [f"{n}.png" for n in range(GROUP * 2)], [f"key {n}" for n in range(GROUP * 2)]
    with pytest.raises(FlowExists, match="key 1500"):
        hf.start_many(resize, calls, keys=keys)
    assert count(hf) == 1 + GROUP


@pytest.mark.parametrize(
    ("error", "calls", "options"),
    [
        (InvalidArguments, [*["a.png"] * 1500, 7], {}),
        (InvalidArguments, [("a.png", "b.png")], {}),
        (InvalidArguments, [{"name": "a.png"}], {}),
        (InvalidArguments, [{1: "a.png"}], {}),
        (NotSerialisable, [object()], {}),
        (InvalidInput, "a.png", {}),
        (InvalidInput, {"path": "a.png"}, {}),
        (InvalidInput, ["a", "b"], {"keys": ["1"]}),
        (InvalidInput, ["a"], {"keys": ["1", "2"]}),
        (InvalidInput, ["a", "b"], {"keys": ["1", "1"]}),
        (InvalidId, ["a"], {"keys": [""]}),
        (InvalidId, ["a"], {"keys": [7]}),
        (InvalidInput, ["a"], {"queue_key": "k"}),
        (InvalidInput, ["a"], {"queue_key": lambda path: path}),
        (InvalidInput, ["a"], {"queue": "q", "queue_key": lambda path: 7}),
        (InvalidId, ["a"], {"queue": "q", "queue_key": lambda path: "nul\0"}),
        (InvalidInput, ["a"], {"queue": "q", "priority": 1.5}),
        (InvalidInput, ["a"], {"tags": {"": "x"}}),
        (InvalidInput, ["a"], {"delay": -1}),
        (QueueNotFound, ["a"], {"queue": "none"}),
    ],
)
def test_nothing_is_written_of_what_cannot_be(
    hf: Holdfast, error: type[Exception], calls: Any, options: dict[str, Any]
) -> None:
    with pytest.raises(error):
        hf.start_many(resize, calls, **options)
    assert count(hf) == 0


def test_deduplicated_starts_give_the_live_flow(hf: Holdfast) -> None:
    first = hf.start(resize, "a.png", queue="q", dedupe="a")
    assert hf.start(resize, "b.png", queue="q", dedupe="a").id == first.id
    hf.store.run(lambda tx: tx.execute("UPDATE flows SET status = 'finished', due_at = NULL"))
    assert hf.start(resize, "b.png", queue="q", dedupe="a").id != first.id


def test_a_flow_that_is_there_needs_no_queue(hf: Holdfast) -> None:
    with pytest.raises(QueueNotFound, match="'none'"):
        hf.start(resize, "a.png", queue="none")
    again = hf.start(resize, "a.png", queue="q", id="01890000-0000-7000-8000-000000000001")
    hf.store.run(lambda tx: tx.execute("DELETE FROM queues"))
    assert hf.start(resize, "a.png", queue="q", id=again.id).id == again.id  # it is there: nothing needs the queue


def many(tx: Transaction) -> None:
    keys = ["a", "b", "c"]
    starts = make_starts(resize, keys, StartOptions(tags={"n": "1"}), keys, "", 1 << 20)
    insert_all(tx, starts)


START_MANY = Operation(
    lambda tx: None,
    many,
    lambda tx: tx.fetch("SELECT key, args FROM flows ORDER BY key") + tx.fetch("SELECT name, value FROM flow_tags"),
)


@pytest.mark.parametrize("new_store_url", KILLED_ON, indirect=True)
def test_killed_anywhere(new_store_url: Callable[[], str]) -> None:
    visits = list(explore_operation(START_MANY, new_store_url))
    assert not [visit for visit in visits if visit.faults]


def test_it_is_fast(sqlite_url: str) -> None:
    """Over 20,000 a second by itself; a tenth of that beside whatever else this machine does."""
    open_store(sqlite_url).close()
    with Holdfast(sqlite_url, worker=False) as hf:
        began = time.perf_counter()
        hf.start_many(resize, [f"{n}.png" for n in range(10_000)])
        assert time.perf_counter() - began < 5
