"""Progress and world go back together, in one transaction (FL-20, WO-10, WO-13)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast import step
from holdfast.audit import SqlAuditLog
from holdfast.errors import InvalidInput
from holdfast.flows.errors import FlowExists
from holdfast.flows.rewinding.errors import FlowRunning, NoSuchStep, NothingToRetry
from holdfast.flows.rewinding.model import Kept
from holdfast.flows.settling import settle
from holdfast.rewind.errors import CheckpointLost, NotCheckpointed, ScopesNeeded
from holdfast.rewind.manager import fork, positions, retry, rewind
from holdfast.rewind.model import OpenedWorld, Opening, Taken, nearest, rewindable
from holdfast.store import Store, Transaction, load_queries, open_store
from holdfast.testing.clock import VirtualClock
from holdfast.testing.crash import Operation, explore_operation
from holdfast.testing.crash.fuse import Fuse, Killed, rehearse
from holdfast.worlds import Moment, Scope
from holdfast.worlds.checkpoints import SqlCheckpoints, State
from holdfast.worlds.errors import InvalidScope, RestorePending, WorldShared
from holdfast.worlds.restoring import pending_restore
from tests.durable import KILLED_ON
from tests.rewind_kit import FLOW, OTHER, Site, finish, kept, new_flow, present, record

SHARED = Scope("acme", "main")
COPY = Scope("acme", "copy")


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, clock=VirtualClock()) as opened:
        yield opened


@pytest.fixture
def site(store: Store) -> Site:
    """Three waves: world:site, put, checkpoint, put, checkpoint, put, checkpoint."""
    store.run(new_flow)
    made = Site(store)
    made.waves(3)
    return made


def acts(store: Store) -> list[str]:
    return [row.act for row in reversed(store.read(lambda tx: SqlAuditLog(tx).list()).items)]


@pytest.mark.parametrize(
    ("target", "position", "seen"),
    [
        ("wave 2", 5, 2),
        (5, 5, 2),
        ("checkpoint:site#2", 5, 2),
        ("wave 1", 3, 1),
        (1, 1, None),
        (0, 0, None),
        (7, 7, 3),
        ("wave 3", 7, 3),
    ],
)
def test_both_go_back(site: Site, target: int | str, position: int, seen: int | None) -> None:
    store = site.store
    flow = store.run(lambda tx: rewind(tx, FLOW, target, note="why", patch={"a": 1}), actor="ann")
    assert (flow.attempt, len(store.read(kept))) == (2, position + 1)
    assert site.seen() == [3], "not yet"
    assert site.world.recover() is None
    assert site.seen() == [seen]
    rewound, restored = reversed(store.read(lambda tx: SqlAuditLog(tx).list()).items)
    assert (rewound.act, restored.act, rewound.actor, restored.actor) == (
        "flow.rewound",
        "world.restored",
        "ann",
        "ann",
    )
    assert (rewound.subject, restored.detail["run"]) == (str(FLOW), str(FLOW))
    assert rewound.detail["worlds"] == {site.opening.stored: restored.detail["checkpoint"]}
    assert rewound.detail["note"] == "why"
    assert site.world.owner(site.opening.scopes[0]) == FLOW


def test_steps_since_the_checkpoint_are_refused(site: Site) -> None:
    store = site.store
    site.put(4)
    for position, places in ((2, (1, 3)), (4, (3, 5)), (6, (5, 7)), (8, (7,))):
        with pytest.raises(NotCheckpointed) as caught:
            store.run(lambda tx, position=position: rewind(tx, FLOW, position))  # type: ignore[misc]
        assert caught.value.nearest == places
        assert all(str(place) in caught.value.remedy for place in places)
        with pytest.raises(NotCheckpointed):
            store.run(lambda tx, position=position: fork(tx, FLOW, position))  # type: ignore[misc]
    assert (present_attempt(store), len(store.read(kept)), acts(store)) == (1, 8, [])


def present_attempt(store: Store) -> int:
    return store.read(present).attempt


def test_what_is_no_step_may_lie_between(site: Site) -> None:
    def prepare(tx: Transaction) -> None:
        for run_id in ("sleep#1@1", "event:go#1@1", "signal:go#1@1", "approval:go#1@1"):
            record(tx, run_id)

    site.store.run(prepare)
    site.put(4)
    site.store.run(lambda tx: rewind(tx, FLOW, "approval:go#1"))
    site.world.recover()
    assert site.seen() == [3]


def test_again_before_the_first_was_carried_out(site: Site) -> None:
    store = site.store
    for target, seen in (("wave 3", 3), ("wave 2", 2), ("wave 1", 1), (0, None)):
        store.run(lambda tx, target=target: rewind(tx, FLOW, target))  # type: ignore[misc]
        assert site.seen() == [3]
        pending = store.read(lambda tx: pending_restore(tx, site.opening.stored))
        assert pending is not None
        wanted = store.read(lambda tx, pending=pending: SqlCheckpoints(tx).get(pending.checkpoint))  # type: ignore[misc]
        assert wanted is not None
        assert (wanted.name or None) == (f"wave {seen}" if seen else None)
    site.world.recover()
    assert site.seen() == [None]
    assert acts(store) == ["flow.rewound"] * 4 + ["world.restored"]


def test_again_after_it_went_on(site: Site) -> None:
    store = site.store
    store.run(lambda tx: rewind(tx, FLOW, "wave 2"))
    site.world.recover()
    site.put(30, attempt=2)
    site.checkpoint("wave 3", attempt=2, number=3)
    assert site.seen() == [30]
    store.run(lambda tx: rewind(tx, FLOW, "wave 1"))
    site.world.recover()
    assert site.seen() == [1]
    with pytest.raises(NoSuchStep) as caught:
        store.run(lambda tx: rewind(tx, FLOW, "wave 3"))
    assert "wave 1" in caught.value.remedy


@pytest.mark.parametrize("name", ["world:create", "checkpoint:all", "world:"])
def test_no_step_is_called_like_worlds(name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be a name") as refused:
        step(name=name)(len)
    assert "world:, checkpoint:" in refused.value.remedy


def test_two_worlds(store: Store) -> None:
    store.run(new_flow)
    first, second = Site(store), Site(store, scopes=[SHARED])
    first.open()
    first.put(1)
    first.checkpoint("one")
    capture = second.world.capture(second.opening.scopes)

    def opens(tx: Transaction) -> None:
        num = record(
            tx, "world:other#1@1", result={"name": "other", "stored": "site", "scopes": [SHARED], "own": False}
        )
        capture.write(tx, moment=Moment(FLOW, num))

    store.run(opens)
    second.put(2)
    with pytest.raises(NotCheckpointed):
        store.run(lambda tx: rewind(tx, FLOW, "put#2"))
    second.taken = 1
    second.checkpoint("two")
    with pytest.raises(NotCheckpointed):
        store.run(lambda tx: rewind(tx, FLOW, "two"))
    first.taken = 2
    first.checkpoint("two")
    store.run(lambda tx: rewind(tx, FLOW, "two"))
    store.run(lambda tx: rewind(tx, FLOW, "one"))
    assert (first.world.recover(), second.world.recover()) == (None, None)
    assert (first.seen(), second.seen()) == ([1], [None])


# -- owners -----------------------------------------------------------------------------------------------------------


def end(store: Store, flow_id: UUID = FLOW, status: str = "finished", error: Any = None) -> None:
    def work(tx: Transaction) -> None:
        finish(tx, flow_id, status, error)
        ((num,),) = tx.fetch("SELECT num FROM flows WHERE id = :id", {"id": str(flow_id)})
        settle(tx, [num])

    store.run(work)


def test_a_flow_that_has_ended_takes_its_scopes_again(site: Site) -> None:
    end(site.store)
    assert site.world.owner(site.opening.scopes[0]) is None, "the end of a flow releases them"
    site.store.run(lambda tx: rewind(tx, FLOW, "wave 1"))
    assert site.world.owner(site.opening.scopes[0]) == FLOW
    end(site.store, status="failed", error={"kind": "x"})
    site.store.run(lambda tx: retry(tx, FLOW))
    assert site.world.owner(site.opening.scopes[0]) == FLOW


def test_a_retry_leaves_the_world_as_it_is(site: Site) -> None:
    store = site.store
    site.put(4)
    store.run(lambda tx: record(tx, "charge#1@1", error={"kind": "k"}))
    site.checkpoint("after")
    end(store, status="failed", error={"kind": "k"})
    with pytest.raises(NothingToRetry):
        store.run(lambda tx: new_flow(tx, OTHER) and retry(tx, OTHER))
    store.run(lambda tx: retry(tx, FLOW), actor="ann")
    assert store.read(kept)[-1] == "put#4@1"
    assert site.seen() == [4]
    assert site.world.find_at(FLOW, 1 << 40).name == "wave 3"  # type: ignore[union-attr]
    assert acts(store) == ["flow.retried"]


def shared(store: Store, flow_id: UUID = FLOW) -> Site:
    store.run(lambda tx: new_flow(tx, flow_id))
    made = Site(store, flow_id, [SHARED])
    made.waves(2)
    return made


def test_a_scope_that_another_run_owns_by_now(store: Store) -> None:
    site = shared(store)
    end(store)
    later = shared(store, OTHER)
    before = store.read(lambda tx: (present(tx), kept(tx), acts))
    for verb in (lambda tx: rewind(tx, FLOW, "wave 1"), lambda tx: retry(tx, FLOW)):
        with pytest.raises((WorldShared, NothingToRetry)):
            store.run(verb)
    assert store.read(lambda tx: (present(tx), kept(tx), acts)) == before
    assert store.read(lambda tx: pending_restore(tx, "site")) is None
    assert later.world.owner(SHARED) == OTHER
    store.run(lambda tx: rewind(tx, OTHER, "wave 1"))
    later.world.recover()
    assert later.seen() == site.seen() == [1], "each run finds its own checkpoints of one name"


def test_a_restore_of_another_run_is_waited_for(store: Store) -> None:
    shared(store)
    pending = Site(store, OTHER, [COPY])
    store.run(lambda tx: new_flow(tx, OTHER))
    pending.waves(1)
    store.run(lambda tx: rewind(tx, OTHER, 0))
    with pytest.raises(RestorePending):
        store.run(lambda tx: rewind(tx, FLOW, "wave 1"))
    assert present_attempt(store) == 1


def test_a_checkpoint_that_was_deleted(site: Site) -> None:
    world = site.world
    opening = world.find_at(FLOW, store_num(site))
    assert opening is not None
    world.forget(opening)
    with pytest.raises(CheckpointLost):
        site.store.run(lambda tx: rewind(tx, FLOW, 0))
    world.forget("wave 2")
    with pytest.raises(NotCheckpointed):
        site.store.run(lambda tx: rewind(tx, FLOW, 5))
    with pytest.raises(NoSuchStep):
        site.store.run(lambda tx: rewind(tx, FLOW, "wave 2"))


def store_num(site: Site) -> int:
    ((num,),) = site.store.read(lambda tx: tx.fetch("SELECT num FROM steps WHERE run_id = 'world:site#1@1'"))
    return int(num)


def test_what_is_held_is_refused_but_a_wrong_place_comes_first(site: Site) -> None:
    site.store.run(lambda tx: tx.execute("UPDATE flows SET epoch = 3, due_at = NULL"))
    with pytest.raises(NotCheckpointed):
        site.store.run(lambda tx: rewind(tx, FLOW, 4))
    with pytest.raises(FlowRunning):
        site.store.run(lambda tx: rewind(tx, FLOW, 5))


# -- forks ------------------------------------------------------------------------------------------------------------


def test_a_fork_has_a_copy_of_its_own(site: Site) -> None:
    store = site.store
    made = store.run(lambda tx: fork(tx, FLOW, "wave 2", patch={"a": 1}), actor="ann")
    copy = Site(store, made.id)
    assert (site.seen(), copy.seen()) == ([3], [None])
    copy.world.recover()
    assert (site.seen(), copy.seen()) == ([3], [2])
    assert copy.world.owner(copy.opening.scopes[0]) == made.id
    assert [c.name for c in reversed(copy.world.checkpoints().items)][:3] == [None, "wave 1", "wave 2"]
    copy.put(20, attempt=2)
    assert (site.seen(), copy.seen()) == ([3], [20])
    store.run(lambda tx: rewind(tx, made.id, "wave 1"))
    copy.world.recover()
    assert (site.seen(), copy.seen()) == ([3], [1]), "a fork goes back further than it began"
    store.run(lambda tx: rewind(tx, FLOW, "wave 2"))
    site.world.recover()
    assert (site.seen(), copy.seen()) == ([2], [1])
    again = store.run(lambda tx: fork(tx, made.id, 0))
    assert Site(store, again.id).seen() == [None]
    assert acts(store)[0] == "flow.forked"


def test_a_fork_before_the_world_was_opened_has_none(site: Site) -> None:
    made = site.store.run(lambda tx: fork(tx, FLOW, 0))
    assert site.store.read(lambda tx: SqlCheckpoints(tx).worlds_of(made.id)) == []


def test_a_fork_of_a_shared_world_is_told_where_its_copy_is_to_be(store: Store) -> None:
    site = shared(store)
    for wrong in (None, {}, {SHARED: SHARED}, {COPY: SHARED}):
        with pytest.raises(ScopesNeeded) as caught:
            store.run(lambda tx, wrong=wrong: fork(tx, FLOW, "wave 1", scopes=wrong))  # type: ignore[misc]
        assert caught.value.missing == [SHARED]
    with pytest.raises(InvalidScope):
        store.run(lambda tx: fork(tx, FLOW, "wave 1", scopes={SHARED: ("a b", "c")}))
    made = store.run(lambda tx: fork(tx, FLOW, "wave 1", scopes={SHARED: COPY}))
    copy = Site(store, made.id, [COPY])
    with pytest.raises((WorldShared, RestorePending)):
        store.run(lambda tx: fork(tx, FLOW, "wave 1", scopes={SHARED: COPY}))
    site.world.recover()
    assert (site.seen(), copy.seen()) == ([2], [1])
    with pytest.raises(WorldShared):
        store.run(lambda tx: fork(tx, FLOW, "wave 1", scopes={SHARED: COPY}))
    store.run(lambda tx: rewind(tx, made.id, 0))
    copy.world.recover()
    assert (site.seen(), copy.seen()) == ([2], [None])


# -- the list of places -----------------------------------------------------------------------------------------------


def test_the_places_and_their_checkpoints(site: Site) -> None:
    store = site.store
    found = store.read(lambda tx: positions(tx, FLOW)).items
    assert [place.position for place in found] == list(range(8))
    assert [place.rewindable for place in found] == [True, True, False, True, False, True, False, True]
    assert [place.checkpoints for place in found if place.checkpoints] == [("",), ("wave 1",), ("wave 2",), ("wave 3",)]
    assert [place.run_id for place in found][1:3] == ["world:site#1@1", "put#1@1"]
    pages, after = [], None
    while True:
        page = store.read(lambda tx, after=after: positions(tx, FLOW, limit=3, after=after))  # type: ignore[misc]
        pages += page.items
        after = page.next
        if after is None:
            break
    assert pages == found
    assert store.read(lambda tx: positions(tx, FLOW, limit=0)).items == []
    with pytest.raises(ValueError):
        store.read(lambda tx: positions(tx, FLOW, limit=-1))


def test_each_place_is_what_it_is_said_to_be(site: Site) -> None:
    site.put(4)
    for place in site.store.read(lambda tx: positions(tx, FLOW)).items:
        tried: list[bool] = []

        def attempt(tx: Transaction, position: int = place.position, tried: list[bool] = tried) -> None:
            with suppress(NotCheckpointed):
                rewind(tx, FLOW, position)
                tried.append(True)
            raise Undone

        with pytest.raises(Undone):
            site.store.run(attempt)
        assert bool(tried) == place.rewindable


class Undone(Exception):
    pass


Tasks = st.lists(
    st.sampled_from(["work", "sleep", "event:go", "world:a", "world:b", "checkpoint:a", "checkpoint:b"]), max_size=12
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(Tasks)
def test_the_places_against_a_plain_model(tasks: list[str]) -> None:
    """A world is of position n when replaying its changes up to n gives what its last checkpoint up to n has."""
    history = [Kept(10 * n, f"{task}#{n}@1") for n, task in enumerate(tasks, 1)]
    opened: dict[str, int] = {}
    taken: list[Taken] = []
    for one in history:
        kind, _, world = one.task.partition(":")
        if kind == "world":
            opened.setdefault(world, one.num)
            taken.append(Taken(world, None, one.num))
        elif kind == "checkpoint" and world in opened:
            taken.append(Taken(world, None, one.num))
    found = rewindable(
        history,
        [OpenedWorld(num, "", Opening(world, world, (), own=False)) for world, num in opened.items()],
        taken,
    )
    for position in range(len(history) + 1):
        worlds = {world for world, num in opened.items() if num <= 10 * position}
        works = [one.num for one in history[:position] if one.task == "work"]
        last = {w: max(t.num for t in taken if t.world == w and t.num <= 10 * position) for w in worlds}
        assert found[position] == all(not [num for num in works if num > last[world]] for world in worlds)
    assert all(found[place] for place in nearest(found, len(history) // 2))


# -- crashes ----------------------------------------------------------------------------------------------------------


def prepare(tx: Transaction) -> None:
    """Two waves, the second one unfinished; the flow failed and its scope is nobody's."""
    new_flow(tx)
    opening = {"name": "site", "stored": f"site.{FLOW}", "scopes": [["flow", str(FLOW)]], "own": True}
    checkpoints = SqlCheckpoints(tx)
    for number, run_id in enumerate(
        ("world:site#1@1", "put#1@1", "checkpoint:site#1@1", "put#2@1", "checkpoint:site#2@1")
    ):
        num = record(tx, run_id, result=opening)
        if "put" not in run_id:
            checkpoints.insert(f"site.{FLOW}", [state(number)], name=f"c{number}", moment=Moment(FLOW, num))
    record(tx, "charge#1@1", error={"kind": "k"})
    finish(tx, status="failed", error={"kind": "k"})


def state(number: int) -> State:
    return State(service="keyvalue", account_id="flow", region=str(FLOW), manifest=f"{number:064}", resources=number)


SEEN = {
    "flows": "SELECT id, status, attempt, revision, due_at FROM flows ORDER BY num",
    "steps": "SELECT f.id, s.run_id, s.superseded_by, s.result FROM steps s JOIN flows f ON f.num = s.flow "
    "ORDER BY s.num",
    "restores": "SELECT r.world, c.name, r.run, r.actor FROM world_restores r JOIN world_checkpoints c "
    "ON c.num = r.checkpoint",
    "scopes": "SELECT world, account, region, owner FROM world_scopes ORDER BY 1, 2, 3",
    "checkpoints": "SELECT c.world, c.name, c.run, c.superseded, s.run_id, t.account, t.region, t.manifest "
    "FROM world_checkpoints c JOIN steps s ON s.num = c.position JOIN world_states t ON t.checkpoint = c.num "
    "ORDER BY c.num",
    "worlds": "SELECT name, restores FROM worlds ORDER BY 1",
    "audit": "SELECT seq, act, subject FROM audit_rows ORDER BY seq",
}


def observe(tx: Transaction) -> Any:
    """All but numbers, which differ after a transaction that was rolled back."""
    return {name: [tuple(map(str, row)) for row in tx.fetch(text)] for name, text in SEEN.items()}


OPERATIONS = {
    "rewind": Operation(prepare, lambda tx: present(tx).attempt > 1 or rewind(tx, FLOW, "c2", patch={"a": 1}), observe),
    "fork": Operation(prepare, lambda tx: fork(tx, FLOW, "c2", id=OTHER), observe, (FlowExists,)),
    "retry": Operation(prepare, lambda tx: retry(tx, FLOW), observe, (NothingToRetry,)),
}


@pytest.mark.parametrize("new_store_url", KILLED_ON, indirect=True)
@pytest.mark.parametrize("name", ["rewind", "fork", "retry"])
def test_killed_anywhere(name: str, new_store_url: Callable[[], str]) -> None:
    visits = list(explore_operation(OPERATIONS[name], new_store_url))
    assert {visit.where for visit in visits} == {"statement", "before commit", "after commit"}
    assert not [visit for visit in visits if visit.faults]


@pytest.mark.parametrize("new_store_url", ["sqlite"], indirect=True)
def test_killed_anywhere_in_rewind_and_restore_both_are_of_one_time(new_store_url: Callable[[], str]) -> None:
    """The whole way: rewind, then open the world; whoever opens it next finds progress and world of one time."""
    seen = set()
    for point in count(1):
        url = new_store_url()
        with open_store(url) as store:
            store.run(new_flow)
            Site(store).waves(3)
        fuse, lit = Fuse(point, rehearse), list[bool]()
        with open_store(url, probe=lambda where, fuse=fuse, lit=lit: fuse(where) if lit else None) as store:  # type: ignore[misc]
            lit.append(True)
            with suppress(Killed):
                store.run(lambda tx: rewind(tx, FLOW, "wave 1"))
                Site(store).world.recover()
        with open_store(url) as store:
            site = Site(store)
            began = len(store.read(kept)) == 3
            site.world.recover()
            assert site.seen() == [1 if began else 3]
            seen.add((began, fuse.where))
        if fuse.where is None:
            break
    assert {began for began, _ in seen} == {True, False}
    assert point > 4


LOOK_UPS: dict[str, dict[str, Any]] = {
    "opened": {"flow": 1},
    "taken": {"run": "r", "world": "w"},
    "past": {"run": "r", "world": "w"},
    "details": {"flow": 1, "first": 1, "last": 2},
    "rewrite": {"flow": 1, "run_id": "r", "result": "x"},
    "copy_checkpoints": {"run": "r", "world": "w", "cut": 1, "fork": 2, "fork_id": "f", "copy": "c"},
}


@pytest.mark.parametrize("query", LOOK_UPS)
def test_everything_is_found_by_flow_or_run(sqlite_url: str, query: str) -> None:
    with open_store(sqlite_url) as store:
        text = "EXPLAIN QUERY PLAN " + load_queries("holdfast.rewind")[query].sqlite
        plan = [row[3] for row in store.read(lambda tx: tx.fetch(text, LOOK_UPS[query]))]
    assert plan
    assert not [line for line in plan if line.startswith("SCAN") or "rowid>" in line], plan
