"""Queues: each limit alone and together, order, and what frees a slot."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from holdfast.flows.queues import QueueNotFound, Rate
from holdfast.flows.queues.manager import pause, resume
from holdfast.flows.requests import StartOptions, make_start
from holdfast.flows.starts import insert_flows
from tests.queue_kit import Scene, scene, served


@pytest.fixture
def q(store_url: str) -> Iterator[Scene]:
    with scene(store_url) as made:
        yield made


def test_concurrency(q: Scene) -> None:
    q.declare(concurrency=2)
    q.start("a", "b", "c")
    assert q.claim() == ["a", "b"]
    assert q.claim() == q.claim(epoch=q.worker()) == []
    assert q.next_due() == 1
    q.finish("a")
    assert q.next_due() == 0
    assert q.claim() == ["c"]


def test_per_worker(q: Scene) -> None:
    q.declare(per_worker=2, concurrency=3)
    other = q.worker()
    q.start("a", "b", "c", "d")
    assert q.claim() == ["a", "b"]
    assert (q.next_due(), q.next_due(epoch=other)) == (1, 0)
    assert q.claim() == []
    assert q.claim(epoch=other) == ["c"]
    q.finish("c")
    assert q.claim() == []
    assert q.claim(epoch=other) == ["d"]


def test_per_key(q: Scene) -> None:
    q.declare(per_key=2)
    q.start("a1", "a2", "a3", queue_key="a")
    q.start("b1", queue_key="b")
    assert q.claim() == ["a1", "b1", "a2"]
    assert (q.claim(), q.next_due()) == ([], 1)
    q.finish("a1")
    assert q.claim() == ["a3"]
    assert q.next_due() is None


def test_per_key_holds_across_priorities_within_one_claim(q: Scene) -> None:
    q.declare(per_key=1)
    q.start("a1", queue_key="a", priority=0)
    q.start("a2", queue_key="a", priority=1)
    q.start("b2", queue_key="b", priority=1)
    assert q.claim() == ["a1", "b2"]


def test_rate(q: Scene) -> None:
    q.declare(rate=Rate(2, timedelta(seconds=10)))
    q.start("a", "b", "c", "d", "e")
    assert q.claim() == ["a", "b"]
    assert q.next_due() == 10
    q.clock.advance(4)
    assert q.claim() == []
    q.finish("a", "b")
    assert (q.claim(), q.next_due()) == ([], 6)
    q.clock.advance(6)
    assert q.next_due() == 0
    assert q.claim(1) == ["c"]
    q.clock.advance(5)
    assert q.claim() == ["d"]
    assert q.next_due() == 5


def test_a_rate_counts_first_starts_only(q: Scene) -> None:
    q.declare(rate=Rate(1, 10))
    q.start("a", "b")
    assert q.claim() == ["a"]
    q.park("a")
    q.wake("a")
    assert q.claim() == ["a"]
    assert q.claim() == []


def test_limits_together(q: Scene) -> None:
    q.declare(concurrency=4, per_worker=3, per_key=2, rate=(5, 60))
    for key in "abc":
        q.start(*(f"{key}{n}" for n in range(4)), queue_key=key)
    other = q.worker()
    assert q.claim() == ["a0", "b0", "c0"]
    assert q.claim(epoch=other) == ["a1"]
    q.finish("b0")
    assert q.claim(epoch=other) == ["b1"]
    q.finish("a0", "c0")
    assert q.claim() == []
    assert q.next_due() == 60


def test_limits_may_change(q: Scene) -> None:
    q.declare(concurrency=3)
    q.start("a", "b", "c", "d", "e")
    assert q.claim() == ["a", "b", "c"]
    q.declare(concurrency=1)
    q.finish("a", "b")
    assert q.claim() == []
    q.declare()
    assert q.claim() == ["d", "e"]


def test_a_parked_flow_holds_no_slot_and_goes_before_new_ones(q: Scene) -> None:
    q.declare(concurrency=1)
    q.start("a", "b", "c")
    assert q.claim() == ["a"]
    q.park("a")
    assert q.claim() == ["b"]
    q.wake("a")
    assert (q.claim(), q.next_due()) == ([], 1)
    q.finish("b")
    assert q.next_due() == 0
    assert q.claim() == ["a"]
    q.park("a", seconds=5)
    assert q.next_due() == 0
    assert q.claim() == ["c"]
    q.clock.advance(5)
    assert (q.claim(), q.next_due()) == ([], 1)
    q.finish("c")
    assert q.claim() == ["a"]


def test_priorities(q: Scene) -> None:
    q.declare(concurrency=1)
    q.start("low", priority=5)
    q.start("usual1", "usual2")
    q.start("high", priority=-1)
    assert served(q, 5) == ["high", "usual1", "usual2", "low"]


def test_many_priorities_come_out_in_order(q: Scene) -> None:
    q.declare()
    for n in range(40):
        q.start(f"{40 - n}", priority=40 - n)
    first = q.claim()
    assert first == [str(n) for n in range(1, 33)]
    assert q.next_due() == 0
    assert q.claim() == [str(n) for n in range(33, 41)]


def test_delayed_starts(q: Scene) -> None:
    q.declare(concurrency=2)
    q.start("later", delay=5)
    q.start("at", at=q.clock.now() + timedelta(seconds=3))
    q.start("now")
    assert q.claim(1) == ["now"]
    assert q.next_due() == 3
    q.clock.advance(4)
    assert q.next_due() == -1
    assert q.claim() == ["at"]
    q.finish("now")
    assert q.next_due() == 1
    q.clock.advance(1)
    assert q.claim() == ["later"]
    assert q.next_due() is None


def test_keys_take_turns(q: Scene) -> None:
    q.declare(concurrency=1)
    q.start(*(f"a{n}" for n in range(4)), queue_key="a")
    q.start("b0", "b1", queue_key="b")
    q.start("c0", queue_key="c")
    assert served(q, 3) == ["a0", "b0", "c0"]
    q.start("c1", "c2", queue_key="c")
    assert served(q, 9) == ["a1", "b1", "c1", "a2", "c2", "a3"]


def test_keys_take_turns_within_one_claim(q: Scene) -> None:
    q.declare()
    q.start(*(f"a{n}" for n in range(5)), queue_key="a")
    q.start("b0", "b1", queue_key="b")
    q.start("c0", queue_key="c")
    assert q.claim(2) == ["a0", "b0"]
    assert q.claim(4) == ["c0", "a1", "b1", "a2"]
    assert q.claim() == ["a3", "a4"]


def test_one_key_that_comes_singly_does_not_starve_a_backlog(q: Scene) -> None:
    q.declare(concurrency=1)
    q.start(*(f"z{n}" for n in range(5)), queue_key="z")
    q.start("a0", queue_key="a")
    names = iter(range(1, 100))
    found = served(q, 6, lambda name: name[0] == "a" and q.start(f"a{next(names)}", queue_key="a"))  # type: ignore[func-returns-value,arg-type]
    assert [name[0] for name in found] == ["a", "z", "a", "z", "a", "z"]


def test_other_workflow_types_are_in_nobodys_way(q: Scene) -> None:
    q.declare(concurrency=2)
    q.start(*(f"x{n}" for n in range(5)), workflow="other", priority=-1)
    assert q.next_due() is None
    q.start("a", "b", "c")
    assert q.claim() == ["a", "b"]
    q.finish("a")
    assert q.claim(types=("other", "sample")) == ["x0"]


def test_types_of_one_key_share_its_turns(q: Scene) -> None:
    q.declare(per_key=3)
    q.start("x0", queue_key="a", workflow="other")
    q.start("a0", queue_key="a")
    q.start("x1", "x2", queue_key="a", workflow="other")
    q.start("b0", "b1", queue_key="b")
    assert q.claim(types=("other", "sample")) == ["x0", "b0", "a0", "b1", "x1"]


def test_queues_share_a_worker(q: Scene) -> None:
    for name in ("p", "q"):
        q.declare(name)
        q.start(*(f"{name}{n}" for n in range(20)), queue=name)
    first = q.claim(10)
    assert sorted(name[0] for name in first) == ["p"] * 5 + ["q"] * 5
    assert len(q.claim(100)) == 30


def test_a_crash_frees_the_slots(q: Scene) -> None:
    q.declare(concurrency=2, per_worker=2, per_key=2)
    q.start("a", "b", "c")
    dead = q.worker()
    assert q.claim(epoch=dead) == ["a", "b"]
    assert q.claim() == []
    q.take_over(dead)
    assert q.next_due() == 0
    assert q.claim(epoch=dead) == []
    assert q.claim() == ["a", "b"]


def test_suspects_are_claimed_apart(q: Scene) -> None:
    q.declare(concurrency=2)
    q.start("a", "b")
    for _ in range(2):
        worker = q.worker()
        assert q.claim(1, epoch=worker) == ["a"]
        q.take_over(worker)
    assert q.claim(1, suspect=True) == ["a"]
    assert q.claim(suspect=True) == []
    assert q.claim() == ["b"]
    q.park("a")
    q.wake("a")
    q.finish("b")
    assert q.claim() == []
    assert q.next_due() == 1
    assert q.claim(suspect=True) == ["a"]


def test_a_paused_queue_serves_only_what_is_to_end(q: Scene) -> None:
    q.declare(concurrency=2)
    q.start("a", "b", "c")
    assert q.claim(1) == ["a"]
    q.park("a")
    q.store.run(lambda tx: pause(tx, "q"))
    assert q.claim() == []
    assert q.next_due() is None
    q.wake("a")
    assert q.claim() == []
    q.change("cancel_requested = TRUE, turn = NULL", "a")
    assert q.next_due() == 0
    assert q.claim() == ["a"]
    q.store.run(lambda tx: resume(tx, "q"))
    assert q.claim() == ["b"]


def test_what_leaves_the_ready_state_is_not_claimed(q: Scene) -> None:
    """A cancel or a pause takes the due time, and nothing else needs to be done."""
    q.declare()
    q.start("a", "b", "c")
    q.change("status = 'cancelled', due_at = NULL", "a")
    q.change("paused = TRUE, due_at = NULL", "b")
    assert q.claim() == ["c"]
    q.change("paused = FALSE, due_at = :now", "b", now=q.clock.micros())
    assert q.claim() == ["b"]


def test_an_unknown_queue_costs_only_its_own_start(q: Scene) -> None:
    q.declare()
    starts = [make_start("sample", "{}", 0, StartOptions(queue=name, key=name or "k")) for name in ("q", "none", None)]
    good, bad, plain = q.store.run(lambda tx: insert_flows(tx, starts).outcomes)
    assert (good, plain) == (starts[0].id, starts[2].id)
    assert isinstance(bad, QueueNotFound)
    assert q.store.read(lambda tx: tx.fetch("SELECT count(*) FROM flows")) == [(2,)]


def test_deduplication(q: Scene) -> None:
    q.declare(concurrency=1)
    q.declare("other")
    (first,) = q.start("a", dedupe="k")
    assert q.start("b", "c", dedupe="k") == [first, first]
    assert q.start("d", dedupe="k", queue="other") != [first]
    assert sorted(q.claim()) == ["a", "d"]
    q.finish("a")
    (second,) = q.start("e", dedupe="k")
    assert second != first
    assert q.start("f", "g", dedupe="fresh")[0] == q.start("h", dedupe="fresh")[0]


def test_a_removed_queue_limits_nothing(q: Scene) -> None:
    q.declare(concurrency=1)
    q.start("a", "b")
    q.store.run(lambda tx: tx.execute("DELETE FROM queues"))
    assert q.claim() == ["a", "b"]
