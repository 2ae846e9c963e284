"""FL-12: an event goes to exactly one wait, an early one is kept, what was taken in vain is given back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from holdfast import Holdfast, codec
from holdfast.audit import SqlAuditLog
from holdfast.errors import InvalidId, InvalidInput, NotSerialisable, PayloadTooLarge
from holdfast.flows.errors import AlreadyTerminal, FlowNotFound, InvalidTimeout
from holdfast.flows.inbox import manager, sql
from holdfast.flows.inbox.errors import InvalidMessage, MessageNotFound
from holdfast.ids import row_id
from holdfast.store import Row, Store, Transaction, open_store
from holdfast.store.transaction import NONE
from holdfast.testing import VirtualClock
from tests.inbox_kit import add_flows, answers, awake, child, event, flow_id, is_open, set_flow, signal

COUNTS = "SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM waits)"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def store(store_url: str, clock: VirtualClock) -> Iterator[Store]:
    with open_store(store_url, clock=clock) as store:
        store.run(lambda tx: add_flows(tx, 4))
        yield store


def rows(tx: Transaction) -> tuple[int, int]:
    """How many messages and waits there are."""
    ((messages, waits),) = tx.fetch(COUNTS)
    return messages, waits


def test_an_early_event_is_kept(store: Store) -> None:
    sent = store.run(lambda tx: manager.emit(tx, "shipped", "A-17", {"by": "sea"}))
    assert not sent.delivered
    assert not sent.duplicate
    (kept,) = store.read(lambda tx: manager.pending_events(tx)).items
    assert (kept.id, kept.topic, kept.correlation_id, kept.payload) == (sent.id, "shipped", "A-17", {"by": "sea"})
    assert kept.expires_at - kept.sent_at == timedelta(days=7)
    (answer,) = store.run(lambda tx: sql.register(tx, [event(1)]))
    assert (answer.flow, answer.run_id, answer.answer, answer.failed) == (1, "event:shipped#1@1", '{"by":"sea"}', False)
    assert answer.at is not None
    assert store.read(lambda tx: manager.pending_events(tx)).items == []
    assert store.read(awake) == []  # whoever registered it has the answer


def test_a_late_event_wakes_its_flow(store: Store, clock: VirtualClock) -> None:
    (answer,) = store.run(lambda tx: sql.register(tx, [event(2)]))
    assert is_open(answer)
    clock.advance(60)
    assert store.run(lambda tx: manager.emit(tx, "shipped", "A-17", 1)).delivered
    assert store.read(awake) == [(2, clock.micros())]
    (answer,) = store.read(lambda tx: sql.standing(tx, [2]))
    assert (answer.at, answer.answer) == (clock.micros(), "1")


def test_an_event_goes_to_the_oldest_wait_and_to_no_other(store: Store) -> None:
    store.run(lambda tx: sql.register(tx, [event(3), event(1), event(2, 2, correlation="B-1")]))
    store.run(lambda tx: sql.register(tx, [event(2)]))
    for payload in "ab":
        store.run(lambda tx, payload=payload: manager.emit(tx, "shipped", "A-17", payload))  # type: ignore[misc]
    found = store.read(lambda tx: [answers(tx, flow) for flow in (3, 1, 2)])
    assert found == [['"a"'], ['"b"'], [None, None]]


def test_waits_of_one_group_never_get_the_same_event(store: Store) -> None:
    for payload in range(3):
        store.run(lambda tx, payload=payload: manager.emit(tx, "shipped", "A-17", payload))  # type: ignore[misc]
    waits = [event(2), event(1), event(1, 2, "other"), event(1, 3), event(3)]
    found = store.run(lambda tx: sql.register(tx, waits))
    assert [(a.flow, a.run_id) for a in found] == [(w.flow, w.run_id) for w in waits]
    assert [a.answer for a in found] == ["0", "1", None, "2", None]


def test_registering_again_gives_what_stands(store: Store) -> None:
    waits = [event(1), event(1, 2)]
    before = store.run(lambda tx: sql.register(tx, waits[:1]))
    store.run(lambda tx: manager.emit(tx, "shipped", "A-17", "x"))
    first, second = store.run(lambda tx: sql.register(tx, waits))
    assert (first.wait, first.answer) == (before[0].wait, '"x"')
    assert is_open(second)
    assert store.run(lambda tx: sql.register(tx, waits)) == [first, second]


def test_a_key_is_good_for_one_event(store: Store) -> None:
    def emit(payload: str) -> Any:
        return store.run(lambda tx: manager.emit(tx, "shipped", "A-17", payload, key="k"))

    first, second = emit("one"), emit("two")
    assert (second.id, second.delivered, second.duplicate) == (first.id, False, True)
    assert not store.run(lambda tx: manager.emit(tx, "shipped", "B-1", key="k")).duplicate
    (taken,) = store.run(lambda tx: sql.register(tx, [event(1)]))
    assert taken.answer == '"one"'
    store.run(lambda tx: sql.forget(tx, [taken.wait]))
    third = emit("three")  # also after it was taken
    assert (third.id, third.delivered, third.duplicate) == (first.id, True, True)
    assert is_open(store.run(lambda tx: sql.register(tx, [event(2)]))[0])


def test_a_dropped_duplicate_answers_no_other_wait(store: Store) -> None:
    store.run(lambda tx: sql.register(tx, [event(1), event(2)]))
    for _ in range(2):
        store.run(lambda tx: manager.emit(tx, "shipped", "A-17", "x", key="k"))
    assert store.read(lambda tx: [answers(tx, flow) for flow in (1, 2)]) == [['"x"'], [None]]


def test_what_expired_is_not_delivered(store: Store, clock: VirtualClock) -> None:
    store.run(lambda tx: manager.emit(tx, "shipped", "A-17", "old", key="k", ttl=60))
    store.run(lambda tx: manager.emit(tx, "shipped", "A-17", "fresh", ttl=timedelta(hours=1)))
    clock.advance(60)
    assert [kept.payload for kept in store.read(lambda tx: manager.pending_events(tx)).items] == ["fresh"]
    assert store.run(lambda tx: sql.register(tx, [event(1)]))[0].answer == '"fresh"'
    again = store.run(lambda tx: manager.emit(tx, "shipped", "A-17", "new", key="k"))
    assert not again.duplicate  # what had that key is gone
    assert store.run(lambda tx: sql.register(tx, [event(2)]))[0].answer == '"new"'


def test_without_a_time_to_live_only_who_waits_gets_it(store: Store) -> None:
    store.run(lambda tx: manager.emit(tx, "shipped", "A-17", "missed", ttl=0))
    store.run(lambda tx: sql.register(tx, [event(1)]))
    assert store.run(lambda tx: manager.emit(tx, "shipped", "A-17", "heard", ttl=0)).delivered
    assert store.read(lambda tx: answers(tx, 1)) == ['"heard"']


def test_collecting_deletes_what_expired_in_slices(store: Store, clock: VirtualClock) -> None:
    def prepare(tx: Transaction) -> None:
        sql.register(tx, [event(1)])
        manager.emit(tx, "shipped", "A-17", ttl=1)  # taken: it stays with its flow
        for n in range(5):
            manager.emit(tx, "shipped", "A-17", n, ttl=1)
        manager.emit(tx, "shipped", "A-17", "kept")

    store.run(prepare)
    assert store.run(lambda tx: sql.collect(tx, 10)) == 0
    clock.advance(2)
    assert [store.run(lambda tx: sql.collect(tx, 3)) for _ in range(3)] == [3, 2, 0]
    assert store.read(rows) == (2, 1)


def test_a_withdrawn_wait_gives_its_event_to_the_next(store: Store, clock: VirtualClock) -> None:
    (first,) = store.run(lambda tx: sql.register(tx, [event(1)]))
    store.run(lambda tx: manager.emit(tx, "shipped", "A-17", "x"))
    store.run(lambda tx: sql.register(tx, [event(2), event(3)]))
    store.run(lambda tx: sql.withdraw(tx, [first.wait]))
    assert store.read(lambda tx: [answers(tx, flow) for flow in (1, 2, 3)]) == [[], ['"x"'], [None]]
    assert store.read(awake) == [(1, clock.micros()), (2, clock.micros())]


def test_an_open_wait_is_withdrawn_and_gets_nothing(store: Store) -> None:
    store.run(lambda tx: sql.register(tx, [event(1), event(1, 2), event(2)]))
    store.run(lambda tx: sql.withdraw_flows(tx, [1]))
    store.run(lambda tx: manager.emit(tx, "shipped", "A-17", "x"))
    assert store.read(lambda tx: [answers(tx, flow) for flow in (1, 2)]) == [[], ['"x"']]


def test_a_rewind_gives_events_back(store: Store, clock: VirtualClock) -> None:
    """In their order; kept anew for the default time, though they had expired meanwhile."""
    for payload in "abc":
        store.run(lambda tx, payload=payload: manager.emit(tx, "shipped", "A-17", payload, ttl=60))  # type: ignore[misc]
    taken = store.run(lambda tx: sql.register(tx, [event(1, call) for call in (1, 2, 3)]))
    store.run(lambda tx: sql.forget(tx, [answer.wait for answer in taken]))
    clock.advance(timedelta(days=3))
    store.run(lambda tx: sql.register(tx, [event(2)]))
    store.run(lambda tx: sql.release(tx, 1, [taken[1].run_id, taken[2].run_id, "unknown#1@1"]))
    assert store.read(lambda tx: answers(tx, 2)) == ['"b"']
    (kept,) = store.read(lambda tx: manager.pending_events(tx)).items
    assert (kept.payload, kept.expires_at) == ("c", clock.now() + timedelta(days=7))
    assert store.run(lambda tx: sql.register(tx, [event(1, 4)]))[0].answer == '"c"'


def test_touching_wakes_those_who_wait(store: Store, clock: VirtualClock) -> None:
    def prepare(tx: Transaction) -> None:
        add_flows(tx, 1, status="running", epoch=7)
        add_flows(tx, 1, paused=True)
        add_flows(tx, 1, status="created", due_at=5)
        add_flows(tx, 1, status="finished")
        sql.touch(tx, [1, 5, 6, 7, 8, 99])

    store.run(prepare)
    assert store.read(awake) == [(1, clock.micros()), (5, None), (6, None), (7, 5)]


def test_a_signal_is_for_one_flow(store: Store, clock: VirtualClock) -> None:
    store.run(lambda tx: manager.signal(tx, flow_id(1), "stop", "early"))
    clock.advance(timedelta(days=1000))  # it is kept as long as its flow
    other, mine = store.run(lambda tx: sql.register(tx, [signal(2), signal(1)]))
    assert (other.answer, mine.answer) == (None, '"early"')
    late = store.run(lambda tx: manager.signal(tx, str(flow_id(2)), "stop", key="k"))
    assert late.delivered
    assert store.run(lambda tx: manager.signal(tx, flow_id(2), "stop", key="k")).duplicate
    assert store.read(lambda tx: manager.pending_events(tx)).items == []


def test_no_signal_to_nobody(store: Store) -> None:
    store.run(lambda tx: set_flow(tx, 1, status="failed"))
    with pytest.raises(AlreadyTerminal, match="already failed"):
        store.run(lambda tx: manager.signal(tx, flow_id(1), "stop"))
    with pytest.raises(FlowNotFound):
        store.run(lambda tx: manager.signal(tx, uuid4(), "stop"))
    with pytest.raises(InvalidId):
        store.run(lambda tx: manager.signal(tx, "x", "stop"))
    assert store.read(rows) == (0, 0)


def test_children_answer_when_they_end(store: Store, clock: VirtualClock) -> None:
    store.run(lambda tx: sql.register(tx, [child(1, 2), child(1, 3), child(4, 3)]))
    error = '{"kind":"builtins.ValueError"}'
    ended = [(str(flow_id(2)), '"done"', False), (str(flow_id(3)), error, True)]
    store.run(lambda tx: sql.answer_children(tx, ended))
    found = store.read(lambda tx: sql.standing(tx, [1, 4]))
    assert [(a.flow, a.answer, a.failed) for a in found] == [(1, '"done"', False), (1, error, True), (4, error, True)]
    assert [num for num, _ in store.read(awake)] == [1, 4]
    store.run(lambda tx: sql.answer_children(tx, [(str(flow_id(2)), '"other"', False)]))
    assert store.read(lambda tx: answers(tx, 1))[0] == '"done"'  # an answered wait never changes


def test_a_child_that_has_ended_answers_at_once(store: Store) -> None:
    def prepare(tx: Transaction) -> None:
        add_flows(tx, 1, status="finished", result="null")
        add_flows(tx, 1, status="failed", error='{"kind":"x"}')
        add_flows(tx, 1, status="cancelled")

    store.run(prepare)
    found = store.run(lambda tx: sql.register(tx, [child(1, of) for of in (2, 5, 6, 7, 99)]))
    assert is_open(found[0])
    assert [(a.answer, a.failed) for a in found[1:3]] == [("null", False), ('{"kind":"x"}', True)]
    told = [codec.decode(a.answer or "") for a in found[3:]]
    assert [t["kind"].rpartition(".")[2] for t in told] == ["FlowCancelled", "FlowNotFound"]
    assert all(a.failed for a in found[3:])
    assert store.run(lambda tx: sql.register(tx, [child(1, 5)])) == [found[1]]


def test_pages_of_pending_events(store: Store) -> None:
    for n in range(5):
        store.run(lambda tx, n=n: manager.emit(tx, "even" if n % 2 == 0 else "odd", "x", n))  # type: ignore[misc]
    page = store.read(lambda tx: manager.pending_events(tx, limit=3))
    rest = store.read(lambda tx: manager.pending_events(tx, limit=3, after=page.next))
    assert [kept.payload for kept in (*page.items, *rest.items)] == list(range(5))
    assert rest.next is None
    even = store.read(lambda tx: manager.pending_events(tx, "even", limit=2))
    assert [kept.payload for kept in even.items] == [0, 2]
    assert even.next is not None


LOOP: list[Any] = []
LOOP.append(LOOP)
BAD: dict[str, tuple[type[InvalidInput], Callable[[Transaction], object]]] = {
    "empty topic": (InvalidMessage, lambda tx: manager.emit(tx, "", "x")),
    "long topic": (InvalidMessage, lambda tx: manager.emit(tx, "x" * 501, "x")),
    "unprintable topic": (InvalidMessage, lambda tx: manager.emit(tx, "a\nb", "x")),
    "empty correlation": (InvalidMessage, lambda tx: manager.emit(tx, "x", "")),
    "number": (InvalidMessage, lambda tx: manager.emit(tx, "x", 17)),  # type: ignore[arg-type]
    "surrogate": (InvalidMessage, lambda tx: manager.emit(tx, "x", "\ud800")),
    "NUL": (InvalidMessage, lambda tx: manager.emit(tx, "x", "\0")),
    "empty key": (InvalidMessage, lambda tx: manager.emit(tx, "x", "x", key="")),
    "long key": (InvalidMessage, lambda tx: manager.emit(tx, "x", "x", key="k" * 501)),
    "no JSON": (NotSerialisable, lambda tx: manager.emit(tx, "x", "x", object())),
    "NaN": (NotSerialisable, lambda tx: manager.emit(tx, "x", "x", [float("nan")])),
    "loop": (NotSerialisable, lambda tx: manager.emit(tx, "x", "x", LOOP)),
    "large": (PayloadTooLarge, lambda tx: manager.emit(tx, "x", "x", "y" * 100, max_bytes=100)),
    "negative ttl": (InvalidTimeout, lambda tx: manager.emit(tx, "x", "x", ttl=-1)),
    "absurd ttl": (InvalidTimeout, lambda tx: manager.emit(tx, "x", "x", ttl=timedelta(days=36_501))),
    "ttl is no number": (InvalidTimeout, lambda tx: manager.emit(tx, "x", "x", ttl=float("nan"))),
    "empty signal": (InvalidMessage, lambda tx: manager.signal(tx, flow_id(1), "")),
    "signal's key": (InvalidMessage, lambda tx: manager.signal(tx, flow_id(1), "x", key="")),
    "large signal": (PayloadTooLarge, lambda tx: manager.signal(tx, flow_id(1), "x", "y" * 100, max_bytes=100)),
    "topic to list": (InvalidMessage, lambda tx: manager.pending_events(tx, "")),
    "limit": (InvalidInput, lambda tx: manager.pending_events(tx, limit=-1)),
    "cursor": (InvalidInput, lambda tx: manager.approvals(tx, after="x")),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("new_store_url", ["memory"], indirect=True)
def test_bad_input(name: str, store: Store) -> None:
    kind, act = BAD[name]
    with pytest.raises(kind) as refused:
        store.run(act)
    assert refused.value.remedy
    assert store.read(rows) == (0, 0)


def test_an_error_names_the_payload(store: Store) -> None:
    with pytest.raises(PayloadTooLarge, match="The payload of the event 'shipped' takes"):
        store.run(lambda tx: manager.emit(tx, "shipped", "A-17", "y" * 100, max_bytes=100))


def test_few_statements(store: Store) -> None:
    class Counting:
        """A transaction that counts its statements."""

        def __init__(self, tx: Transaction) -> None:
            self.tx, self.clock, self.count = tx, tx.clock, 0

        def fetch(self, query: Any, params: Any = NONE, *, rows: Any = None) -> list[Row]:
            self.count += rows is None or len(rows) > 0
            return self.tx.fetch(query, params, rows=rows)

        def fetch_one(self, query: Any, params: Any = NONE) -> Row | None:
            return next(iter(self.fetch(query, params)), None)

        def execute(self, query: Any, params: Any = NONE, *, rows: Any = None) -> int:
            self.count += rows is None or len(rows) > 0
            return self.tx.execute(query, params, rows=rows)

        def lock(self, *names: str) -> None:
            self.count += 1
            self.tx.lock(*names)

    def count(act: Callable[[Any], object]) -> int:
        def work(tx: Transaction) -> int:
            counting = Counting(tx)
            act(counting)
            return counting.count

        return store.run(work)

    waits = [event(flow % 4 + 1, flow, correlation=str(flow)) for flow in range(1000)]
    assert count(lambda tx: sql.register(tx, waits)) == 3
    assert count(lambda tx: manager.emit(tx, "shipped", "none")) == 3
    assert count(lambda tx: manager.emit(tx, "shipped", "999")) == 5
    assert count(lambda tx: sql.withdraw_flows(tx, [1, 2, 3, 4])) == 6
    assert count(lambda tx: sql.withdraw_flows(tx, [1, 2, 3, 4])) == 1


def test_what_nobody_has_taken_is_discarded_by_the_app(store_url: str) -> None:
    with open_store(store_url) as store:
        store.run(lambda tx: add_flows(tx, 1))
        store.run(lambda tx: manager.emit(tx, "old", "x", ttl=0))
        with pytest.raises(MessageNotFound):
            store.run(lambda tx: manager.discard(tx, row_id(1)))
    with Holdfast(store_url, worker=False) as hf:
        if store_url == "sqlite://":  # another store
            hf.store.run(lambda tx: add_flows(tx, 1))
        sent = [hf.signal(flow_id(1), name).id for name in ("go", "stop")]
        assert [signal.name for signal in hf.pending_signals(flow_id(1)).items] == ["go", "stop"]
        gone = hf.discard(sent[0], actor="ann")
        assert (gone.id, gone.sent_at) == (sent[0], gone.sent_at)
        assert [signal.id for signal in hf.pending_signals(flow_id(1)).items] == sent[1:]
        event_id = hf.emit("shipped", "B-1").id
        assert hf.discard(event_id).id == event_id
        assert hf.pending_events().items == []
        rows = hf.store.read(lambda tx: SqlAuditLog(tx).list()).items
        assert [(row.act, row.actor) for row in rows] == [("event.discarded", "user"), ("signal.discarded", "ann")]
        with pytest.raises(MessageNotFound):
            hf.discard(sent[0])
