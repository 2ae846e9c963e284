"""The key-value world: what it keeps, and what becomes of that when several processes use it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from holdfast.errors import InvalidInput, NotSerialisable, PayloadTooLarge
from holdfast.pages import Page
from holdfast.store import Store, Transaction, load_queries, open_store
from holdfast.testing.flows.samples import ODD_VALUES, all_pages, deep
from holdfast.worlds import Change, Scope, StateChange, StateView
from holdfast.worlds.errors import InvalidScope, InvalidView, RevisionGone
from holdfast.worlds.keyvalue import ABSENT, Integer, Item, KeyValueWorld, Number, SqlValues, Value
from holdfast.worlds.keyvalue.errors import InvalidKey, ValueChanged, ValueNotFound, ValueUnfit
from holdfast.worlds.model import apply_delta, encode_view
from tests.threads import aside

HERE = Scope("account", "region")
THERE = Scope("account", "elsewhere")
SECONDS = 30
ODD_KEYS = [
    "a",
    "A",
    "é",
    "e\u0301",
    "日本",
    "😀",
    "\ufffd",
    "a/b",
    " ",
    "'; --",
    "%_",
    "\x01",
    "\U0010ffff",
    "k" * 1024,
]
BAD_KEYS: list[Any] = ["", "\0", "a\0b", "\ud800", "k" * 1025, "é" * 513, None, 1, b"a"]


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url) as opened:
        yield opened


@pytest.fixture
def world(store: Store) -> KeyValueWorld:
    return KeyValueWorld(store)


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def shared_url(request: pytest.FixtureRequest) -> str:
    """A store that several processes can open."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.mark.parametrize("value", ODD_VALUES, ids=range(len(ODD_VALUES)))
def test_a_value_is_kept_to_the_byte(world: KeyValueWorld, value: Any) -> None:
    """WO-1."""
    world.put(*HERE, "key", value)
    assert json.dumps(world.get(*HERE, "key"), sort_keys=True) == json.dumps(value, sort_keys=True)
    view = world.snapshot(*HERE)
    world.delete(*HERE, "key")
    world.restore(*HERE, world.decode(encode_view(view)))
    assert json.dumps(world.get(*HERE, "key"), sort_keys=True) == json.dumps(value, sort_keys=True)


def test_values_that_python_takes_for_equal_differ(world: KeyValueWorld) -> None:
    """WO-1, WO-5, WO-9: each is a change, told as such."""
    heard: list[StateChange[Value]] = []
    world.notifier.subscribe(heard.append)
    values: list[Any] = [1, 1.0, True, [1], [1.0], [True], {"a": 0.0}, {"a": -0.0}, {"a": 0}, {"a": False}]
    for value in values:
        world.put(*HERE, "key", value)
        world.put(*HERE, "key", value)
    assert world.notifier.drain(SECONDS)
    found = [json.dumps(change.view().resources["key"].value) for change in heard]
    assert found == [json.dumps(value) for value in values]
    assert Integer(1) != Number(1.0)
    assert len({Integer(1), Integer(1), Number(1.0)}) == 2


def test_a_value_is_copied(world: KeyValueWorld) -> None:
    value = {"list": [1]}
    world.put(*HERE, "key", value)
    value["list"].append(2)
    world.get(*HERE, "key")["list"].append(3)
    world.snapshot(*HERE).resources["key"].value["list"].append(4)  # type: ignore[index, call-overload, union-attr]
    assert world.get(*HERE, "key") == {"list": [1]}


def test_null_is_a_value_and_absence_is_not(world: KeyValueWorld) -> None:
    world.put(*HERE, "null", None)
    assert world.get(*HERE, "null") is None
    assert world.get(*HERE, "null", default=7) is None
    assert world.get(*HERE, "absent", default=7) == 7
    assert world.get(*HERE, "absent", default=None) is None
    with pytest.raises(ValueNotFound) as caught:
        world.get(*HERE, "absent")
    assert caught.value.key == "absent"
    assert world.delete(*HERE, "null")
    assert not world.delete(*HERE, "null")


def test_odd_keys_are_kept_and_listed_by_code_point(world: KeyValueWorld) -> None:
    world.put_many(*HERE, {key: key for key in ODD_KEYS})
    assert world.keys(*HERE).items == sorted(ODD_KEYS)
    assert [tuple(item) for item in world.items(*HERE).items] == [(key, key) for key in sorted(ODD_KEYS)]
    assert list(world.snapshot(*HERE).resources) == sorted(ODD_KEYS)
    for key in ODD_KEYS:
        assert world.get(*HERE, key) == key
        assert world.keys(*HERE, key).items == sorted(other for other in ODD_KEYS if other.startswith(key))


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_keys_come_in_pages(world: KeyValueWorld, limit: int) -> None:
    keys = sorted(f"{letter}{number}" for letter in "abc" for number in range(4))
    world.put_many(*HERE, dict.fromkeys(keys))
    world.put(*THERE, "b9", None)
    for prefix in ("", "b", "b1", "c", "d"):
        wanted = [key for key in keys if key.startswith(prefix)]

        def keys_page(limit: int | None, after: str | None, prefix: str = prefix) -> Page[str]:
            return world.keys(*HERE, prefix, limit=limit, after=after)

        def items_page(limit: int | None, after: str | None, prefix: str = prefix) -> Page[Item]:
            return world.items(*HERE, prefix, limit=limit, after=after)

        assert all_pages(keys_page, limit) == wanted
        assert [item.key for item in all_pages(items_page, limit)] == wanted
    assert world.keys(*HERE, "b", after="a").items == ["b0", "b1", "b2", "b3"]
    assert world.keys(*HERE, "a", after="b").items == []
    assert world.keys(*HERE, limit=0) == ([], None)
    with pytest.raises(ValueError, match="not a limit"):
        world.keys(*HERE, limit=-1)
    for bad in ("\0", "\ud800"):
        with pytest.raises(InvalidInput):
            world.keys(*HERE, bad)
        with pytest.raises(InvalidInput):
            world.items(*HERE, after=bad)


@pytest.mark.parametrize("query", ["list_keys", "list_values"])
def test_a_page_costs_the_page(sqlite_url: str, query: str) -> None:
    params = {"world": "w", **HERE._asdict(), "start": "a", "end": "b", "limit": 10}
    with open_store(sqlite_url) as store:
        text = "EXPLAIN QUERY PLAN " + load_queries("holdfast.worlds.keyvalue")[query].sqlite
        plan = [row[3] for row in store.read(lambda tx: tx.fetch(text, params))]
    assert plan
    assert not [line for line in plan if line.startswith("SCAN") or "TEMP B-TREE" in line], plan


@pytest.mark.parametrize("key", BAD_KEYS, ids=range(len(BAD_KEYS)))
def test_bad_keys_are_refused(store: Store, key: Any) -> None:
    world = KeyValueWorld(store)
    world.put(*HERE, "good", 1)
    acts: list[Callable[[], object]] = [
        lambda: world.get(*HERE, key),
        lambda: world.put(*HERE, key, 1),
        lambda: world.put_many(*HERE, {"other": 1, key: 1}),
        lambda: world.delete(*HERE, key),
        lambda: world.compare_and_set(*HERE, key, expected=ABSENT, value=1),
        lambda: KeyValueWorld(store, types={key: int}),
    ]
    for act in acts:
        with pytest.raises(InvalidKey) as caught:
            act()
        str(caught.value).encode()
    assert world.items(*HERE).items == [("good", 1)]


@pytest.mark.parametrize("value", [object(), float("nan"), [float("inf")], "\ud800", {1: 2}, deep(100_000)])
def test_values_without_a_json_form_are_refused(world: KeyValueWorld, value: Any) -> None:
    with pytest.raises(NotSerialisable):
        world.put_many(*HERE, {"good": 1, "key": value})
    with pytest.raises(PayloadTooLarge):
        world.put_many(*HERE, {"good": 1, "key": "x" * (4 * 1024 * 1024)})
    assert world.keys(*HERE).items == []


def test_bad_names_are_refused(store: Store) -> None:
    for name in ("", "a/b", "..", None):
        with pytest.raises(InvalidScope):
            KeyValueWorld(store, name)  # type: ignore[arg-type]
        with pytest.raises(InvalidScope):
            KeyValueWorld(store).get("account", name, "key")  # type: ignore[arg-type]


def test_worlds_are_apart(store: Store) -> None:
    first, second = KeyValueWorld(store), KeyValueWorld(store, "second")
    first.put(*HERE, "key", 1)
    second.put(*HERE, "key", 2)
    view = first.snapshot(*HERE)
    second.restore(*HERE, view)
    second.put(*HERE, "key", 3)
    assert first.get(*HERE, "key") == 1


@dataclass(frozen=True)
class Order:
    number: int
    lines: list[str]


def test_declared_types_are_held(store: Store) -> None:
    world = KeyValueWorld(store, types={"order": Order, "count": int})
    world.put(*HERE, "order", Order(1, ["tea"]))
    world.put(*HERE, "count", 3)
    world.put(*HERE, "other", "anything")
    assert world.get(*HERE, "order") == Order(1, ["tea"])
    view = world.snapshot(*HERE)
    for key, value in (("order", {"number": "one", "lines": []}), ("order", None), ("count", 1.5), ("count", "3")):
        with pytest.raises(ValueUnfit) as caught:
            world.put_many(*HERE, {"other": 2, key: value})
        assert caught.value.key == key
        with pytest.raises(ValueUnfit):
            world.compare_and_set(*HERE, key, expected=3, value=value)
        spoilt = KeyValueWorld(store, "loose")
        spoilt.put(*HERE, key, value)
        for take in (world.restore, world.merge):
            with pytest.raises(InvalidView) as refused:
                take(*HERE, spoilt.snapshot(*HERE))
            assert refused.value.path == f'$.resources["{key}"]'
    assert world.snapshot(*HERE) == view
    KeyValueWorld(store).put(*HERE, "count", "three")
    with pytest.raises(ValueUnfit):
        world.get(*HERE, "count")


def test_compare_and_set(world: KeyValueWorld) -> None:
    heard: list[StateChange[Value]] = []
    world.notifier.subscribe(heard.append)
    world.compare_and_set(*HERE, "key", expected=ABSENT, value=None)
    with pytest.raises(ValueChanged) as caught:
        world.compare_and_set(*HERE, "key", expected=ABSENT, value=1)
    assert (caught.value.expected, caught.value.actual) == (ABSENT, None)
    world.compare_and_set(*HERE, "key", expected=None, value=1)
    for wrong in (1.0, True, [1], None, ABSENT):
        with pytest.raises(ValueChanged):
            world.compare_and_set(*HERE, "key", expected=wrong, value=2)
    world.compare_and_set(*HERE, "key", expected=1, value=1)
    world.compare_and_set(*HERE, "key", expected=1, value=ABSENT)
    assert world.keys(*HERE).items == []
    assert world.notifier.drain(SECONDS)
    assert [change.delta[0].kind.value for change in heard] == ["created", "updated", "deleted"]


def test_a_change_of_another_process_is_seen_and_does_not_leak(shared_url: str) -> None:
    """WO-1, WO-5: an event's view is of its revision, whatever others did in between; their changes are told too."""
    with open_store(shared_url) as store, open_store(shared_url) as other_store:
        world, other = KeyValueWorld(store), KeyValueWorld(other_store)
        heard: list[StateChange[Value]] = []
        world.notifier.subscribe(heard.append)
        other.put(*HERE, "a", 0)
        world.put(*HERE, "mine", 1)
        other.put(*HERE, "a", 1)
        assert world.get(*HERE, "a") == 1
        other.put_many(*HERE, {"a": 2, "b": 1})
        other.delete(*HERE, "b")
        world.put(*HERE, "mine", 2)
        other.put(*HERE, "mine", "theirs")
        world.notifier.drain(SECONDS)
        states = [{key: record.value for key, record in change.view().resources.items()} for change in heard]
        assert states == [{"a": 0, "mine": 1}, {"a": 2, "mine": 1}, {"a": 2, "mine": 2}]
        assert [change.revision for change in heard] == [2, 5, 6]
        world.notify_state_changed(*HERE)
        world.notifier.drain(SECONDS)
        assert [(change.revision, len(change.delta)) for change in heard[3:]] == [(7, 1), (7, 0)]
        mirror: dict[str, Value] = {"a": Integer(0)}
        for change in heard:
            apply_delta(mirror, change.delta)
        assert mirror == world.snapshot(*HERE).resources == other.snapshot(*HERE).resources


def test_history_that_is_gone_is_not_made_up(shared_url: str) -> None:
    """WO-5: when others changed too much, an old view is refused, and listeners are told to look at the state."""
    with open_store(shared_url) as store, open_store(shared_url) as other_store:
        world, other = KeyValueWorld(store, history=3), KeyValueWorld(other_store, history=3)
        heard: list[StateChange[Value]] = []
        world.notifier.subscribe(heard.append)
        for variant in range(8):
            world.put(*HERE, "mine", variant)
        world.notifier.drain(SECONDS)
        assert heard[0].view().resources == {"mine": Integer(0)}, "one's own history does not end"
        for variant in range(3):
            other.put(*HERE, "theirs", variant)
        assert heard[0].view().resources == {"mine": Integer(0)}
        for variant in range(3, 7):
            other.put(*HERE, "theirs", variant)
        with pytest.raises(RevisionGone) as caught:
            heard[0].view()
        assert caught.value.revision == 1
        world.put(*HERE, "mine", 9)
        world.notifier.drain(SECONDS)
        told = [change.delta and change.delta[0].resource for change in heard[-3:]]
        assert told == ["theirs", (), "mine"]
        assert [change.view().resources["mine"] for change in heard[-2:]] == [Integer(7), Integer(9)]
        rows = store.read(lambda tx: tx.fetch("SELECT count(*) FROM value_undo"))
        assert rows == [(3,)]


def test_a_store_that_was_put_back_is_not_taken_for_unchanged(sqlite_url: str) -> None:
    """WO-5: nothing can be told of how a backup differs from what was there."""
    with open_store(sqlite_url) as store:
        world = KeyValueWorld(store)
        heard: list[StateChange[Value]] = []
        world.notifier.subscribe(heard.append)
        for variant in range(5):
            world.put(*HERE, "mine", variant)
        assert world.notifier.drain(SECONDS)

        def put_back(tx: Transaction) -> None:
            tx.execute("UPDATE value_scopes SET revision = 3")
            tx.execute("DELETE FROM value_undo WHERE revision > 3")
            tx.execute("UPDATE world_values SET value = '2'")

        store.run(put_back)
        with pytest.raises(RevisionGone):
            heard[0].view()
        world.put(*HERE, "mine", 9)
        assert world.notifier.drain(SECONDS)
        assert heard[-1].view().resources == {"mine": Integer(9)}


def test_no_update_is_lost_between_processes(shared_url: str) -> None:
    """WO-5: whoever changes a scope sees what the one before has done, and pairs are never torn."""
    with open_store(shared_url) as store, open_store(shared_url) as other_store:
        worlds = [KeyValueWorld(store), KeyValueWorld(other_store)]
        torn: list[object] = []

        def count(world: KeyValueWorld) -> None:
            for _ in range(20):
                while True:
                    found = world.get(*HERE, "count", ABSENT)
                    try:
                        value = 1 if found is ABSENT else found + 1
                        world.compare_and_set(*HERE, "count", expected=found, value=value)
                        break
                    except ValueChanged:
                        continue

        def pair(world: KeyValueWorld, number: int) -> None:
            for variant in range(20):
                world.put_many(*HERE, {"left": [number, variant], "right": [number, variant]})
                view = world.snapshot(*HERE).resources
                torn.extend([view] if view["left"] != view["right"] else [])

        with ThreadPoolExecutor(6) as pool:
            work = [pool.submit(count, worlds[n % 2]) for n in range(4)]
            work += [pool.submit(pair, world, number) for number, world in enumerate(worlds)]
            for future in work:
                future.result(SECONDS)
        assert worlds[0].get(*HERE, "count") == 80
        assert not torn
        assert store.read(lambda tx: SqlValues(tx, "default", HERE).state()).revision == 120


def test_a_process_that_merges_waits_for_the_one_that_changes(postgres_url: str) -> None:
    """WO-3: under READ COMMITTED, a plan is made of what is there when the lock is held."""
    with open_store(postgres_url) as store:
        world, other = KeyValueWorld(store), KeyValueWorld(store)
        world.put(*HERE, "a", 1)
        view = world.snapshot(*HERE)
        world.delete(*HERE, "a")
        waiting = threading.Thread(target=lambda: other.merge(*HERE, view))

        def change(tx: Transaction) -> None:
            SqlValues(tx, "default", HERE).change(lambda present: (Change("a", None, Integer(2)),))
            waiting.start()
            while not aside(lambda: store.read(lambda reader: reader.fetch(_WAITING))):
                assert waiting.is_alive(), "the merge did not wait for the change"

        store.run(change)
        waiting.join(SECONDS)
        assert world.get(*HERE, "a") == 2, "the merge replaced what it had not seen"


_WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR NO KEY UPDATE%'"


def test_values_change_in_the_same_transaction_as_other_things(store: Store) -> None:
    """All or nothing, and the world's listeners hear of it as of another process's change."""
    world = KeyValueWorld(store)
    heard: list[StateChange[Value]] = []
    world.notifier.subscribe(heard.append)
    world.put(*HERE, "mine", 1)

    def work(tx: Transaction, fail: bool) -> None:
        SqlValues(tx, "default", HERE).change(lambda present: (Change("theirs", present.get("theirs"), Integer(2)),))
        if fail:
            raise KeyError("no")

    with pytest.raises(KeyError):
        store.run(lambda tx: work(tx, fail=True))
    assert world.keys(*HERE).items == ["mine"]
    store.run(lambda tx: work(tx, fail=False))
    world.notify_state_changed(*HERE)
    world.notifier.drain(SECONDS)
    assert [len(change.delta) for change in heard] == [1, 1, 0]
    assert heard[0].view().resources == {"mine": Integer(1)}


_KILLED = """
import os, signal, sys
from holdfast.store import open_store
from holdfast.worlds.keyvalue import KeyValueWorld
world = KeyValueWorld(open_store(sys.argv[1]))
world.put("account", "region", "kept", {"by": "a process that is dead"})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_put_survives_the_process(shared_url: str) -> None:
    """WO-12: durable when put returns."""
    done = subprocess.run([sys.executable, "-c", _KILLED, shared_url], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    with open_store(shared_url) as store:
        assert KeyValueWorld(store).get(*HERE, "kept") == {"by": "a process that is dead"}


KEYS = st.sampled_from(["a", "b", "é", "b/c"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("aé\0😀"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("aé", max_size=2), inner, max_size=3),
    max_leaves=5,
)


class AgainstADict(RuleBasedStateMachine):
    """Two processes' worlds on one store do what a plain dict does, and listeners can follow by deltas alone."""

    views = Bundle("views")

    def __init__(self) -> None:
        super().__init__()
        self.store = open_store("sqlite://")
        self.worlds = [KeyValueWorld(self.store), KeyValueWorld(self.store)]
        self.model: dict[str, str] = {}
        self.mirrors: list[dict[str, Value]] = [{}, {}]
        self.pinned: list[tuple[StateChange[Value], dict[str, Value]]] = []
        for world, mirror in zip(self.worlds, self.mirrors, strict=True):
            world.snapshot(*HERE)
            world.notifier.subscribe(self.follower(mirror))

    def follower(self, mirror: dict[str, Value]) -> Callable[[StateChange[Value]], None]:
        def follow(change: StateChange[Value]) -> None:
            apply_delta(mirror, change.delta)
            self.pinned.append((change, dict(mirror)))

        return follow

    def teardown(self) -> None:
        for change, state in self.pinned[:: max(1, len(self.pinned) // 10)]:
            assert change.view().resources == state
        self.store.close()

    @rule(n=st.integers(0, 1), key=KEYS, value=VALUES)
    def put(self, n: int, key: str, value: Any) -> None:
        self.worlds[n].put(*HERE, key, value)
        self.model[key] = text(value)

    @rule(n=st.integers(0, 1), values=st.dictionaries(KEYS, VALUES))
    def put_many(self, n: int, values: dict[str, Any]) -> None:
        self.worlds[n].put_many(*HERE, values)
        self.model |= {key: text(value) for key, value in values.items()}

    @rule(n=st.integers(0, 1), key=KEYS)
    def delete(self, n: int, key: str) -> None:
        assert self.worlds[n].delete(*HERE, key) == (self.model.pop(key, None) is not None)

    @rule(target=views, n=st.integers(0, 1))
    def snapshot(self, n: int) -> tuple[StateView[Value], dict[str, str]]:
        world = self.worlds[n]
        return world.decode(encode_view(world.snapshot(*HERE))), dict(self.model)

    @rule(n=st.integers(0, 1), taken=views)
    def restore(self, n: int, taken: tuple[StateView[Value], dict[str, str]]) -> None:
        view, self.model = taken[0], dict(taken[1])
        self.worlds[n].restore(*HERE, view)

    @rule(n=st.integers(0, 1), taken=views, policy=st.sampled_from(["keep", "replace"]), dry_run=st.booleans())
    def merge(self, n: int, taken: tuple[StateView[Value], dict[str, str]], policy: Any, dry_run: bool) -> None:
        view, theirs = taken
        report = self.worlds[n].merge(*HERE, view, policy=policy, dry_run=dry_run)
        assert set(report.added) == theirs.keys() - self.model.keys()
        differing = {key for key in theirs.keys() & self.model.keys() if theirs[key] != self.model[key]}
        assert {conflict.resource for conflict in report.conflicts} == differing
        if not dry_run:
            self.model = theirs | self.model if policy == "keep" else self.model | theirs

    @invariant()
    def the_worlds_are_the_model(self) -> None:
        for world, mirror in zip(self.worlds, self.mirrors, strict=True):
            resources = world.snapshot(*HERE).resources
            assert {key: text(record.value) for key, record in resources.items()} == self.model
            world.notify_state_changed(*HERE)
            assert world.notifier.drain(SECONDS)
            assert mirror == resources


def text(value: Any) -> str:
    """A value as comparable text: 1, 1.0 and True differ, the order of an object's keys does not matter."""
    return msgspec.json.encode(value, order="sorted").decode()


TestAgainstADict = AgainstADict.TestCase
TestAgainstADict.settings = settings(max_examples=40, stateful_step_count=15, deadline=None)
