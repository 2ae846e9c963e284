"""FL-12 as a property: whatever is sent, waited for, withdrawn, released and expires, in whatever order, each wait gets
exactly one event, none is lost and none is given twice. A plain model beside the tables says what it has to be."""

from __future__ import annotations

from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from holdfast import codec
from holdfast.flows.engine.port import Answer
from holdfast.flows.inbox import manager, sql
from holdfast.store import Store, Transaction, open_store
from holdfast.testing import VirtualClock
from tests.inbox_kit import add_flows, event

FLOWS = 3
TTL, WEEK = 100, 7 * 86_400
Place = tuple[str, str]
places = st.sampled_from([("a", "x"), ("a", "y")])
flows = st.integers(1, FLOWS)
keys = st.sampled_from([None, None, "k1", "k2"])


@dataclass
class Event:
    """An event of the model; ``to`` is the call that has it."""

    payload: int
    place: Place
    key: str | None
    expires: float
    to: tuple[int, str] | None = None


@dataclass
class Model:
    """The inbox as a list of events, the waits as a list in the order of their registration."""

    now: float = 0
    events: list[Event] = field(default_factory=list)
    waits: dict[tuple[int, str], tuple[Place, Event | None]] = field(default_factory=dict)
    seen: dict[tuple[int, str], int] = field(default_factory=dict)
    touched: set[int] = field(default_factory=set)

    def settle(self, place: Place, *, own: frozenset[tuple[int, str]] = frozenset()) -> None:
        """Oldest to oldest."""
        for call, (where, answer) in self.waits.items():
            if where == place and answer is None:
                free = [e for e in self.events if e.place == place and e.to is None and e.expires > self.now]
                if not free:
                    return
                free[0].to = call
                self.waits[call] = (place, free[0])
                if call not in own:
                    self.touched.add(call[0])

    def send(self, payload: int, place: Place, key: str | None, ttl: float) -> tuple[bool, bool]:
        """Whether it was delivered, and whether it was a duplicate."""
        for earlier in self.events:
            if key is not None and (earlier.place, earlier.key) == (place, key):
                if earlier.to or earlier.expires > self.now:
                    return earlier.to is not None, True
                self.events.remove(earlier)
                break
        made = Event(payload, place, key, self.now + ttl)
        open_call = next((c for c, (where, answer) in self.waits.items() if where == place and answer is None), None)
        self.events.append(made)
        if open_call:
            made.to = open_call
            self.waits[open_call] = (place, made)
            self.touched.add(open_call[0])
        return made.to is not None, False


class Inbox(RuleBasedStateMachine):
    """Random acts on both."""

    store: Store
    clock: VirtualClock

    @initialize()
    def begin(self) -> None:
        self.model = Model()
        self.calls = 0
        self.payloads = 0
        self.store.run(_empty)

    @rule(place=places, key=keys, ttl=st.sampled_from([0, TTL, WEEK]), times=st.integers(1, 5))
    def send(self, place: Place, key: str | None, ttl: float, times: int) -> None:
        """Several, or under a key the same one again, as a sender does that had no answer."""
        for _ in range(times):
            self.payloads += 1
            sent = self.store.run(lambda tx: manager.emit(tx, *place, self.payloads, key=key, ttl=ttl))
            assert (sent.delivered, sent.duplicate) == self.model.send(self.payloads, place, key, ttl)

    @rule(wanted=st.lists(st.tuples(flows, places), min_size=1, max_size=4), again=st.booleans())
    def register(self, wanted: list[tuple[int, Place]], again: bool) -> None:
        waits = []
        for flow, place in wanted:
            self.calls += 1
            waits.append(event(flow, self.calls, *place))
            self.model.waits[flow, waits[-1].run_id] = (place, None)
        for _, place in wanted:
            self.model.settle(place, own=frozenset((wait.flow, wait.run_id) for wait in waits))
        for _ in range(1 + again):
            answers = self.store.run(lambda tx: sql.register(tx, waits))
            assert [(a.flow, a.run_id) for a in answers] == [(w.flow, w.run_id) for w in waits]
            self.check(answers)

    @rule(flow=flows)
    def see(self, flow: int) -> None:
        """The flow records its answers."""
        answered = [a for a in self.store.read(lambda tx: sql.standing(tx, [flow])) if a.at is not None]
        self.store.run(lambda tx: sql.forget(tx, [a.wait for a in answered]))
        for a in answered:
            _, got = self.model.waits.pop((a.flow, a.run_id))
            assert got is not None
            assert (a.flow, a.run_id) not in self.model.seen
            self.model.seen[a.flow, a.run_id] = got.payload

    @rule(flow=flows, whole=st.booleans(), data=st.data())
    def withdraw(self, flow: int, whole: bool, data: st.DataObject) -> None:
        answers = self.store.read(lambda tx: sql.standing(tx, [flow]))
        if whole:
            self.store.run(lambda tx: sql.withdraw_flows(tx, [flow]))
        elif answers:
            answers = data.draw(st.lists(st.sampled_from(answers), unique=True, min_size=1))
            self.store.run(lambda tx: sql.withdraw(tx, [a.wait for a in answers]))
        freed = [self.model.waits.pop((a.flow, a.run_id)) for a in answers]
        self.give_back([got for _, got in freed if got])

    @rule(flow=flows, data=st.data())
    def release(self, flow: int, data: st.DataObject) -> None:
        """A rewind undoes recorded answers."""
        recorded = sorted(call for call in self.model.seen if call[0] == flow)
        if not recorded:
            return
        undone = data.draw(st.lists(st.sampled_from(recorded), unique=True, min_size=1))
        self.store.run(lambda tx: sql.release(tx, flow, [run_id for _, run_id in undone]))
        for call in undone:
            del self.model.seen[call]
        freed = [e for e in self.model.events if e.to in undone]
        for e in freed:
            e.expires = max(e.expires, self.model.now + WEEK)
        self.give_back(freed)

    def give_back(self, freed: list[Event]) -> None:
        for e in freed:
            e.to = None
        for e in freed:
            self.model.settle(e.place)

    @rule(span=st.sampled_from([1, TTL, WEEK]))
    def pass_time(self, span: int) -> None:
        self.clock.advance(span)
        self.model.now += span

    @rule(limit=st.integers(1, 3))
    def collect(self, limit: int) -> None:
        gone = [e for e in self.model.events if e.to is None and e.expires <= self.model.now]
        assert self.store.run(lambda tx: sql.collect(tx, limit)) == min(limit, len(gone))
        for _ in range(len(gone)):
            self.store.run(lambda tx: sql.collect(tx, 1))
        self.model.events = [e for e in self.model.events if e not in gone]

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "model"):
            return
        answers = self.store.read(lambda tx: sql.standing(tx, range(1, FLOWS + 1)))
        assert len(answers) == len(self.model.waits)
        self.check(answers)
        kept = [e.payload for e in self.store.read(lambda tx: manager.pending_events(tx)).items]
        wanted = [e.payload for e in self.model.events if e.to is None and e.expires > self.model.now]
        assert kept == wanted
        given = [got.payload for _, got in self.model.waits.values() if got] + list(self.model.seen.values())
        assert len(given) == len(set(given))
        touched = self.store.read(lambda tx: tx.fetch("SELECT num FROM flows WHERE touched"))
        assert {num for (num,) in touched} == self.model.touched

    def check(self, answers: list[Answer]) -> None:
        for a in answers:
            _, got = self.model.waits[a.flow, a.run_id]
            assert a.answer == (codec.encode(got.payload) if got else None)
            assert (a.at is not None) == (got is not None)


def _empty(tx: Transaction) -> None:
    for table in ("inbox", "waits"):
        tx.execute(f"DELETE FROM {table}")
    tx.execute("UPDATE flows SET touched = FALSE")


@pytest.mark.parametrize("new_store_url", ["memory", "postgres"], indirect=True)
def test_each_wait_gets_exactly_one(store_url: str) -> None:
    with open_store(store_url, clock=VirtualClock()) as store:
        store.run(lambda tx: add_flows(tx, FLOWS))

        class Machine(Inbox):
            clock = store.clock  # type: ignore[assignment]

        Machine.store = store
        examples = 100 if store_url.startswith("sqlite") else 15
        slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
        run_state_machine_as_test(
            Machine,
            settings=settings(max_examples=examples, stateful_step_count=30, deadline=None, suppress_health_check=slow),
        )
