"""WO-9, WO-10, WO-13: checkpoints, restores, diffs and owners of worlds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest

from holdfast import codec
from holdfast.audit import SqlAuditLog
from holdfast.errors import InvalidId, InvalidInput
from holdfast.store import Store, open_store
from holdfast.worlds import Scope, StateView
from holdfast.worlds.checkpoints import Checkpoint, Moment, SqlCheckpoints
from holdfast.worlds.errors import (
    CheckpointExists,
    CheckpointInUse,
    CheckpointNotFound,
    InvalidScope,
    MissingBlob,
    RestoreLost,
    RestorePending,
    ScopeInUse,
    UnknownService,
    ViewVersion,
    WorldShared,
)
from holdfast.worlds.keyvalue.model import Value
from holdfast.worlds.ownership import release_all
from holdfast.worlds.restoring import begin_restore, check_still_ours, end_restore, pending_restore, take_over
from holdfast.worlds.world import World
from tests.world_kit import ELSEWHERE, HOME, OTHER_RUN, RUN, Alpha, Beta, expected, put, services, state, world


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url) as opened:
        yield opened


def audited(store: Store) -> list[str]:
    return [row.act for row in store.read(lambda tx: SqlAuditLog(tx).list()).items]


def tables(store: Store) -> dict[str, object]:
    """Everything that is kept of worlds, to see that nothing was written."""
    names = ("worlds", "world_scopes", "world_checkpoints", "world_states", "world_restores", "audit_rows")
    return {name: sorted(map(repr, store.read(lambda tx, n=name: tx.fetch(f"SELECT * FROM {n}")))) for name in names}


def test_a_restore_brings_everything_back(store: Store) -> None:
    """WO-10."""
    site = world(store)
    put(store, 1)
    first = site.checkpoint("first")
    put(store, 2)
    second = site.checkpoint()
    restored = site.restore("first", actor="ann")
    assert state(store) == expected(1)
    assert restored.checkpoint == first
    assert [s.manifest for s in restored.before.states] == [s.manifest for s in second.states]
    site.restore(restored.before, run=RUN)
    assert state(store) == expected(2)
    site.restore(first.id)
    assert state(store) == expected(1)


def test_a_restore_is_audited_once_with_from_and_to(store: Store) -> None:
    site = world(store)
    put(store, 1)
    first = site.checkpoint("first")
    assert audited(store) == [], "checkpoints are no administrative acts"
    put(store, 2)
    second = site.checkpoint("second")
    restored = site.restore("first", run=RUN, actor="ann")
    (row,) = store.read(lambda tx: SqlAuditLog(tx).list()).items
    assert (row.act, row.subject, row.actor) == ("world.restored", "site", "ann")
    digests = {
        which: {f"{s.service}/acme/north": s.manifest for s in cp.states}
        for which, cp in (("from", second), ("to", first))
    }
    named = {"checkpoint": str(first.id), "name": "first", "before": str(restored.before.id), "run": str(RUN)}
    assert row.detail == digests | named


def test_a_restore_leaves_other_scopes_alone(store: Store) -> None:
    site = world(store)
    put(store, 1)
    site.checkpoint("first")
    put(store, 2)
    put(store, 7, ELSEWHERE)
    site.restore("first")
    assert (state(store), state(store, ELSEWHERE)) == (expected(1), expected(7))


def test_checkpoints_cover_the_scopes_in_use(store: Store) -> None:
    site = world(store)
    assert site.scopes() == [HOME]
    put(store, 1, ELSEWHERE)
    site.checkpoint(scopes=[ELSEWHERE])
    assert world(store).scopes() == [HOME, ELSEWHERE], "another process knows it, too"
    states = site.checkpoint().states
    assert [(s.service, s.scope) for s in states] == [(n, s) for n in ("alpha", "beta") for s in (HOME, ELSEWHERE)]
    assert [s.resources for s in states] == [0, 3, 0, 3]


def test_lists_are_newest_first_and_paged(store: Store) -> None:
    site = world(store)
    names = [site.checkpoint(f"c{number}").name for number in range(5)]
    World(store, "another", services(store), [HOME]).checkpoint("c0")
    page = site.checkpoints(limit=2)
    assert [c.name for c in page.items] == names[:2:-1]
    rest = site.checkpoints(after=page.next)
    assert [c.name for c in rest.items] == names[2::-1]
    assert rest.next is None
    assert len(store.read(lambda tx: SqlCheckpoints(tx).list()).items) == 6
    assert site.checkpoints(limit=0).items == []
    with pytest.raises(ValueError, match="not a limit"):
        site.checkpoints(limit=-1)
    with pytest.raises(ValueError, match="cursor"):
        site.checkpoints(after="x")


def test_a_name_is_taken_once_in_a_world(store: Store) -> None:
    site = world(store)
    site.checkpoint("first")
    with pytest.raises(CheckpointExists):
        site.checkpoint("first")
    assert World(store, "another", services(store), [HOME]).checkpoint("first").name == "first"
    site.forget("first")
    site.checkpoint("first")


@pytest.mark.parametrize("name", ["", "a/b", "-x", "x" * 65, "a\0", "é", 5])
def test_names_that_cannot_be(store: Store, name: str) -> None:
    site = world(store)
    before = tables(store)
    with pytest.raises(InvalidScope):
        site.checkpoint(name)
    with pytest.raises(InvalidScope):
        World(store, name, services(store))
    assert tables(store) == before


def test_nothing_is_found_that_is_not_there(store: Store) -> None:
    site = world(store)
    elsewhere = World(store, "another", services(store), [HOME]).checkpoint("first")
    for wanted in ("first", "", "a\0b", str(uuid4()), uuid4(), elsewhere.id, elsewhere):
        for ask in (site.find, site.restore, site.diff, site.forget, site.views):
            with pytest.raises(CheckpointNotFound):
                ask(wanted)  # type: ignore[operator]


def test_a_world_without_scopes_says_so(store: Store) -> None:
    with pytest.raises(InvalidScope, match="no scopes"):
        World(store, "empty", services(store)).checkpoint()


def test_two_services_of_one_name_are_refused(store: Store) -> None:
    with pytest.raises(InvalidInput, match="two services 'alpha'"):
        World(store, "site", [Alpha(store, "a"), Alpha(store, "b")])


def test_what_cannot_be_restored_is_refused_before_anything_changes(store: Store) -> None:
    """WO-2."""
    site = world(store)
    put(store, 1)
    first = site.checkpoint("first")
    put(store, 2)
    part = World(store, "site", [Alpha(store, "a")], [HOME])
    before = tables(store)
    with pytest.raises(UnknownService, match="'beta'"):
        part.restore("first")
    lost = first.states[1].manifest
    store.run(lambda tx: tx.execute("DELETE FROM blobs WHERE digest = :lost", {"lost": lost}))
    with pytest.raises(MissingBlob):
        site.restore("first")
    assert (state(store), tables(store)) == (expected(2), before)


class Choosy(Beta):
    """Takes no view that has the number 1."""

    def _check(self, view: StateView[Value]) -> None:
        if view.resources["number"].value == 1:
            raise MissingBlob(["1" * 64])


def test_a_view_that_its_service_refuses_begins_nothing(store: Store) -> None:
    put(store, 1)
    world(store).checkpoint("first")
    put(store, 2)
    site = World(store, "site", [Alpha(store, "a"), Choosy(store, "b")], [HOME])
    before = tables(store)
    with pytest.raises(MissingBlob):
        site.restore("first")
    assert (state(store), tables(store)) == (expected(2), before)


class Foreign:
    """A service of somebody else's, which offers what the port asks for and no more."""

    service_name = "alpha"

    def __init__(self, inner: Alpha) -> None:
        self.snapshot, self.restore, self.merge, self.decode = inner.snapshot, inner.restore, inner.merge, inner.decode


def test_a_foreign_service_needs_the_port_alone(store: Store) -> None:
    inner = Alpha(store, "a")
    site = World(store, "site", [Foreign(inner)], [HOME])  # type: ignore[list-item]
    inner.put(*HOME, "number", 1)
    views = site.snapshot()
    inner.put(*HOME, "number", 2)
    site.restore(site.record(views))
    assert inner.get(*HOME, "number") == 1
    unfit = {part: StateView[Value](service="alpha", version=99, resources={}) for part in views}
    with pytest.raises(ViewVersion):
        site.record(unfit)


def test_views_from_elsewhere_become_a_checkpoint(store: Store) -> None:
    site = world(store)
    put(store, 1)
    views = site.snapshot()
    put(store, 2)
    site.restore(site.record(views, "first"))
    assert state(store) == expected(1)
    with pytest.raises(UnknownService):
        site.record({("other", HOME): next(iter(views.values()))})


def test_a_restore_that_began_is_carried_out_by_whoever_comes_next(store: Store) -> None:
    put(store, 1)
    first = world(store).checkpoint("first")
    put(store, 2)
    store.run(lambda tx: begin_restore(tx, first, run=RUN), actor="ann")
    assert state(store) == expected(2)
    assert world(store).recover() is None, "opening it did that"
    assert state(store) == expected(1)
    (row,) = store.read(lambda tx: SqlAuditLog(tx).list()).items
    before = world(store).find(row.detail["before"])
    assert (row.actor, row.detail["run"]) == ("ann", str(RUN))
    assert row.detail["from"] == {f"{s.service}/acme/north": s.manifest for s in before.states}


@pytest.mark.parametrize(
    "ask",
    [
        lambda site: site.snapshot(),
        lambda site: site.checkpoint("next"),
        lambda site: site.diff("first"),
        lambda site: site.preview("first"),
        lambda site: site.restore("first"),
        lambda site: site.recover(),
    ],
)
def test_whatever_is_asked_comes_after_the_restore(store: Store, ask: Callable[[World], object]) -> None:
    put(store, 1)
    site = world(store)
    first = site.checkpoint("first")
    put(store, 2)
    store.run(lambda tx: begin_restore(tx, first))
    ask(site)
    assert state(store) == expected(1)
    assert store.read(lambda tx: pending_restore(tx, "site")) is None
    assert not site.diff("first")


def test_a_second_restore_cannot_begin_beside_the_first(store: Store) -> None:
    put(store, 1)
    first = world(store).checkpoint("first")
    store.run(lambda tx: begin_restore(tx, first))
    with pytest.raises(RestorePending):
        store.run(lambda tx: begin_restore(tx, first))


def test_a_restore_that_was_taken_over_is_fenced(store: Store) -> None:
    put(store, 1)
    first = world(store).checkpoint("first")
    stale = store.run(lambda tx: begin_restore(tx, first, before=first.states))
    ours = store.run(lambda tx: take_over(tx, "site"))
    assert ours is not None
    for late in (check_still_ours, lambda tx, pending: end_restore(tx, pending, first)):
        with pytest.raises(RestoreLost):
            store.run(lambda tx, late=late: late(tx, stale))
    store.run(lambda tx: end_restore(tx, ours, first))
    assert audited(store) == ["world.restored"]
    with pytest.raises(RestoreLost):
        store.run(lambda tx: end_restore(tx, ours, first))
    assert audited(store) == ["world.restored"]


class Robbed(Alpha):
    """While it restores, its process loses its hold, and another one takes the restore over."""

    def restore(self, account_id: str, region: str, view: StateView[Value]) -> None:
        super().restore(account_id, region, view)
        self._store.run(lambda tx: take_over(tx, "site"))


def test_who_lost_a_restore_goes_no_further(store: Store) -> None:
    put(store, 1)
    world(store).checkpoint("first")
    put(store, 2)
    with pytest.raises(RestoreLost):
        World(store, "site", [Robbed(store, "a"), Beta(store, "b")], [HOME]).restore("first")
    assert state(store)["beta"] == expected(2)["beta"]
    world(store)
    assert state(store) == expected(1)
    assert audited(store) == ["world.restored"]


class Gated(Beta):
    """Its restore waits in the midst."""

    begun = threading.Event()
    gate = threading.Event()

    def restore(self, account_id: str, region: str, view: StateView[Value]) -> None:
        self.begun.set()
        assert self.gate.wait(60)
        super().restore(account_id, region, view)


def test_while_one_restores_the_others_are_refused(store: Store) -> None:
    put(store, 1)
    world(store).checkpoint("first")
    put(store, 2)
    world(store).checkpoint("second")
    Gated.begun, Gated.gate = threading.Event(), threading.Event()
    impatient = world(store, patience=0.0)
    slow = World(store, "site", [Alpha(store, "a"), Gated(store, "b")], [HOME])
    with ThreadPoolExecutor() as pool:
        restoring = pool.submit(slow.restore, "first")
        try:
            assert Gated.begun.wait(60)
            assert state(store) not in (expected(1), expected(2))
            for ask in (impatient.recover, impatient.snapshot, lambda: world(store, patience=0.0)):
                with pytest.raises(RestorePending):
                    ask()
            for act in (lambda: impatient.restore("second"), lambda: impatient.checkpoint("mixed")):
                with pytest.raises(RestorePending):
                    act()
            waiting = pool.submit(world, store)
        finally:
            Gated.gate.set()
        restoring.result()
        assert waiting.result().checkpoints(limit=1).items[0].name is None
    assert state(store) == expected(1)
    assert audited(store) == ["world.restored"]


class Overtaken(Beta):
    """Another process restores the world between the snapshots of the two services, once."""

    meanwhile: Callable[[], object] | None = None

    def snapshot(self, account_id: str, region: str) -> StateView[Value]:
        act, Overtaken.meanwhile = Overtaken.meanwhile, None
        if act:
            act()
        return super().snapshot(account_id, region)


def test_a_checkpoint_that_a_restore_overtook_is_taken_anew(store: Store) -> None:
    put(store, 1)
    other = world(store)
    other.checkpoint("first")
    put(store, 2)
    site = World(store, "site", [Alpha(store, "a"), Overtaken(store, "b")], [HOME])
    Overtaken.meanwhile = lambda: other.restore("first")
    site.checkpoint("next")
    assert not site.diff("first", "next"), "no mixture of two times"


def test_a_capture_is_not_written_after_a_restore(store: Store) -> None:
    site = world(store)
    put(store, 1)
    site.checkpoint("first")
    capture = site.capture()
    site.restore("first")
    with pytest.raises(RestorePending):
        store.run(lambda tx: capture.write(tx, name="late"))
    again = site.capture()
    assert store.run(lambda tx: again.write(tx, moment=Moment(RUN, 3))).position == 3


def test_restores_by_several_processes_never_mix(new_store_url: Callable[[], str]) -> None:
    url = new_store_url()
    with open_store(url) as store:
        put(store, 1)
        world(store).checkpoint("1")
        put(store, 2)
        world(store).checkpoint("2")

        def restore(name: str) -> None:
            if url == "sqlite://":
                world(store).restore(name)
                return
            with open_store(url) as mine:
                world(mine).restore(name)

        with ThreadPoolExecutor(6) as pool:
            for done in [pool.submit(restore, name) for name in "121212"]:
                done.result()
        assert state(store) in (expected(1), expected(2))
        assert audited(store) == ["world.restored"] * 6


def test_a_forgotten_checkpoint_is_gone_unless_a_restore_needs_it(store: Store) -> None:
    site = world(store)
    put(store, 1)
    first = site.checkpoint("first")
    store.run(lambda tx: begin_restore(tx, first))
    with pytest.raises(CheckpointInUse):
        store.run(lambda tx: SqlCheckpoints(tx).delete(first))
    site.recover()
    site.forget("first")
    with pytest.raises(CheckpointNotFound):
        store.run(lambda tx: begin_restore(tx, first))
    with pytest.raises(CheckpointNotFound):
        site.find(first.id)


def names(*found: Checkpoint | None) -> list[str | None]:
    return [checkpoint.name if checkpoint else None for checkpoint in found]


def test_rewinding_finds_the_checkpoint_of_the_kept_steps(store: Store) -> None:
    """FL-20, CO-10."""
    site = world(store)
    for step in (2, 4, 6):
        site.checkpoint(f"at-{step}", flow=RUN, step=step)
    site.checkpoint("wave-3", run=OTHER_RUN, wave=3)
    assert names(*(site.find_at(RUN, n) for n in (1, 2, 3, 4, 5, 6, 99))) == [
        None, "at-2", "at-2", "at-4", "at-4", "at-6", "at-6",
    ]  # fmt: skip
    assert store.run(lambda tx: SqlCheckpoints(tx).supersede(Moment(RUN, 3))) == 2
    assert names(site.find_at(RUN, 99), site.find_at(OTHER_RUN, 3)) == ["at-2", "wave-3"]
    site.checkpoint("at-5", flow=RUN, step=5)
    assert names(site.find_at(RUN, 4), site.find_at(RUN, 99)) == ["at-2", "at-5"]
    site.checkpoint("at-5-again", flow=RUN, step=5)
    assert names(site.find_at(RUN, 5)) == ["at-5-again"]
    assert site.find("at-6").superseded
    World(store, "another", services(store), [HOME]).checkpoint(flow=RUN, step=0)
    assert store.read(lambda tx: SqlCheckpoints(tx).worlds_of(RUN)) == ["another", "site"]


@pytest.mark.parametrize(
    "moment",
    [
        {"flow": RUN},
        {"step": 1},
        {"flow": RUN, "wave": 1},
        {"run": RUN, "wave": 1, "flow": RUN, "step": 1},
        {"flow": RUN, "step": -1},
        {"flow": RUN, "step": 1 << 70},
        {"flow": RUN, "step": True},
        {"run": UUID(int=0), "wave": 0},
        {"run": "me", "wave": 0},
    ],
)
def test_moments_that_cannot_be(store: Store, moment: dict[str, object]) -> None:
    site = world(store)
    before = tables(store)
    with pytest.raises((InvalidInput, InvalidId)):
        site.checkpoint(**moment)  # type: ignore[arg-type]
    assert tables(store) == before


def test_diffs_are_readable_and_machine_readable(store: Store) -> None:
    """WO-9."""
    site = world(store)
    alpha, beta = services(store)
    alpha.put_many(*HOME, {"gone": 1, "kept": 1, "moved": {"mode": 1}})
    site.checkpoint("before")
    alpha.delete(*HOME, "gone")
    alpha.put_many(*HOME, {"moved": {"mode": 2}, "new": True})
    site.checkpoint("after")
    found = site.diff("before", "after")
    assert list(found.lines()) == ["- gone", '~ moved value {"mode":1}→{"mode":2}', "+ new"]
    told = codec.decode(codec.encode(found.to_object()))
    assert told["equal"] is False
    (part,) = told["parts"]
    assert (part["service"], part["account_id"], part["region"]) == ("alpha", *HOME)
    kinds = [(change["resource"], change["kind"]) for change in part["changes"]]
    assert kinds == [("gone", "deleted"), ("moved", "updated"), ("new", "created")]
    assert part["changes"][1]["after"] == {"type": "object", "value": {"mode": 2}}
    assert site.diff("before") == found, "by default, to the present"
    beta.put(*HOME, "too", 1)
    assert list(site.diff("after").lines()) == ["+ too"]
    assert list(site.diff("before").lines())[::4] == ["alpha acme/north", "beta acme/north"]
    assert site.diff("after", "before") == site.diff("after", "before")
    assert not site.diff("after", "after")
    assert [line[0] for line in site.preview("before").lines()] == ["a", "+", "~", "-", "b", "-"]


def test_a_name_cannot_pass_for_a_line_of_a_diff(store: Store) -> None:
    """Names are those of hostile files, too."""
    site = world(store)
    site.checkpoint("before")
    services(store)[0].put(*HOME, "x\n- /etc/passwd\x1b[31m", 1)
    services(store)[0].put(*HOME, "ü\u2028", 1)
    assert list(site.diff("before").lines()) == ["+ x\\n- /etc/passwd\\x1b[31m", "+ ü\\u2028"]
    site.checkpoint("after")
    services(store)[0].put(*HOME, "ü\u2028", "a\nb")
    assert list(site.diff("after").lines()) == ["~ ü\\u2028 type integer→text, value 1→a\\nb"]


@pytest.mark.parametrize("name", ["a\0", "a\udcff", "../x", ""])
def test_a_list_of_a_world_that_cannot_be(store: Store, name: str) -> None:
    with pytest.raises(InvalidScope):
        store.read(lambda tx: SqlCheckpoints(tx).list(name))


@pytest.mark.parametrize("scopes", [("acme", "north"), ("ab", "cd"), [1], [("a",)], ["a/b"], [None]])
def test_scopes_that_are_none(store: Store, scopes: list[Scope]) -> None:
    with pytest.raises(InvalidScope):
        World(store, "site", services(store), scopes)


def test_a_scope_has_one_owner(store: Store) -> None:
    """WO-13."""
    site = world(store)
    assert site.owner(HOME) is None
    assert site.claim_scope(HOME, RUN)
    assert not site.claim_scope(HOME, RUN), "once is enough"
    with pytest.raises(WorldShared) as caught:
        site.claim_scope(HOME, OTHER_RUN)
    assert caught.value.owner == str(RUN)
    assert site.claim_scope(ELSEWHERE, OTHER_RUN)
    assert not site.release_scope(HOME, OTHER_RUN)
    assert site.owner(HOME) == RUN
    assert site.release_scope(HOME, RUN)
    assert site.claim_scope(HOME, OTHER_RUN)
    assert store.run(lambda tx: release_all(tx, OTHER_RUN)) == 2
    assert site.owner(HOME) is None
    assert site.scopes() == [HOME, ELSEWHERE]


def test_of_many_claims_one_succeeds(store: Store) -> None:
    site = world(store)
    runs = [uuid4() for _ in range(12)]

    def claim(run: UUID) -> bool:
        try:
            return site.claim_scope(HOME, run)
        except WorldShared:
            return False

    with ThreadPoolExecutor(12) as pool:
        won = [run for run, claimed in zip(runs, pool.map(claim, runs), strict=True) if claimed]
    assert won == [site.owner(HOME)]


@pytest.mark.parametrize("run", [OTHER_RUN, None])
def test_a_scope_of_another_run_is_not_restored(store: Store, run: UUID | None) -> None:
    site = world(store)
    put(store, 1)
    put(store, 1, ELSEWHERE)
    first = site.checkpoint("first", [HOME, ELSEWHERE])
    put(store, 2)
    put(store, 2, ELSEWHERE)
    site.claim_scope(ELSEWHERE, RUN)
    before = tables(store)
    with pytest.raises(WorldShared):
        site.restore("first", run=run)
    with pytest.raises(WorldShared):
        store.run(lambda tx: begin_restore(tx, first, run=run))
    assert (state(store), state(store, ELSEWHERE), tables(store)) == (expected(2), expected(2), before)
    site.restore("first", run=RUN)
    assert (state(store), state(store, ELSEWHERE)) == (expected(1), expected(1))


def test_a_fork_gets_its_own_copy(store: Store) -> None:
    site = world(store)
    put(store, 1)
    first = site.checkpoint("first")
    site.claim_scope(HOME, RUN)
    put(store, 2)
    assert site.fork_scope(HOME, ELSEWHERE, OTHER_RUN) is not None
    assert (state(store), state(store, ELSEWHERE)) == (expected(2), expected(2))
    assert (site.owner(HOME), site.owner(ELSEWHERE)) == (RUN, OTHER_RUN)
    put(store, 3, ELSEWHERE)
    assert site.fork_scope(HOME, ELSEWHERE, OTHER_RUN) is None, "asking again does not copy again"
    assert (state(store), state(store, ELSEWHERE)) == (expected(2), expected(3))
    earlier = Scope("acme", "west")
    site.fork_scope(HOME, earlier, uuid4(), checkpoint=first)
    assert state(store, earlier) == expected(1)
    with pytest.raises(ScopeInUse):
        site.fork_scope(HOME, earlier, OTHER_RUN)
    site.claim_scope(("acme", "east"), RUN)
    with pytest.raises(WorldShared):
        site.fork_scope(HOME, ("acme", "east"), OTHER_RUN)
    assert state(store, Scope("acme", "east")) == {"alpha": {}, "beta": {}}
