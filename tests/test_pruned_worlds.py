"""With a pruned flow goes its world: records, and the folder that is its alone (FL-9)."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from holdfast import Holdfast, WorldHandle, directory, open_world, step, workflow
from holdfast.flows import SqlFlowStore, retention
from holdfast.flows.remains import bury
from holdfast.flows.retention import prune
from holdfast.rewind import remains
from holdfast.rewind.errors import WorldLeft
from holdfast.rewind.model import own_opening
from holdfast.rewind.remains import Folder, Left, clear_some, expect_nothing_left, note_world
from holdfast.store import Store, Transaction, load_queries, open_store
from holdfast.testing.clock import VirtualClock
from holdfast.testing.crash import Operation, explore_operation
from holdfast.testing.crash.fuse import Fuse, Killed, rehearse
from holdfast.worlds import Moment, Scope
from holdfast.worlds.checkpoints import SqlCheckpoints, State
from holdfast.worlds.directory import DirectoryWorld
from holdfast.worlds.errors import RestorePending
from holdfast.worlds.ownership import hold_scopes
from holdfast.worlds.restoring import begin_restore
from tests.durable import KILLED_ON
from tests.rewind_kit import FLOW, OTHER, finish, new_flow, record

SECONDS = 30
RECORDS = ("world_checkpoints", "world_states", "world_scopes", "worlds", "world_restores", "flow_worlds")
SHARED = Scope("acme", "main")
OPENING = own_opening("site", FLOW)


@step
def write(site: WorldHandle, name: str) -> None:
    (site / "deep").mkdir(exist_ok=True)
    (site / "deep" / name).write_text(name)


@workflow
async def build(root: str, shared: bool = False) -> None:
    site = await open_world("site", directory(root), scopes=[SHARED] if shared else None)
    for name in ("a", "b"):
        await write(site, name)
        await site.checkpoint(name)


def left(store: Store) -> dict[str, int]:
    """How many rows of worlds there are, by table."""
    counts = {table: store.read(lambda tx, t=table: tx.fetch(f"SELECT count(*) FROM {t}"))[0][0] for table in RECORDS}  # type: ignore[misc]
    return {table: number for table, number in counts.items() if number}


def places(root: Path) -> set[str]:
    """What each flow has below the root."""
    return {str(path.relative_to(root)) for way in ("flow", ".holdfast/flow") for path in (root / way).glob("*")}


def test_with_a_flow_goes_its_world(store_url: str, tmp_path: Path) -> None:
    with Holdfast(store_url) as hf:
        gone, kept = hf.start(build, str(tmp_path)), hf.start(build, str(tmp_path))
        for handle in (gone, kept):
            handle.result(SECONDS)
        made = hf.fork(gone.id, "a")
        made.result(SECONDS)
        hf.rewind(gone.id, "a")
        gone.result(SECONDS)
        before = left(hf.store)
        assert len(places(tmp_path)) == 6
        store = hf.store
        age(store, str(gone.id))
        assert prune(store, 86_400).flows == 1
        assert places(tmp_path) == {f"{way}/{h.id}" for way in ("flow", ".holdfast/flow") for h in (kept, made)}
        after = left(store)
        assert after["flow_worlds"] == before["flow_worlds"] - 1 == after["worlds"]
        ids = store.read(lambda tx: {row[0] for row in tx.fetch("SELECT world FROM world_checkpoints")})
        assert ids == {f"site.{kept.id}", f"site.{made.id}"}
        hf.rewind(kept.id, "a")
        kept.result(SECONDS)
        for handle in (kept, made):
            age(store, str(handle.id))
        assert prune(store, 86_400).flows == 2
        assert left(store) == {}
        assert places(tmp_path) == set()


def age(store: Store, flow_id: str) -> None:
    at = store.clock.micros() - 10 * retention.DAY_SECONDS * 1_000_000
    store.run(
        lambda tx: tx.execute(
            "UPDATE flows SET created_at = :at, updated_at = :at WHERE id = :id", {"at": int(at), "id": flow_id}
        )
    )


def test_of_a_world_that_others_have_too_only_the_flows_checkpoints_go(store_url: str, tmp_path: Path) -> None:
    with Holdfast(store_url) as hf:
        first = hf.start(build, str(tmp_path), True)
        first.result(SECONDS)
        second = hf.start(build, str(tmp_path), True)
        second.result(SECONDS)
        age(hf.store, str(first.id))
        assert prune(hf.store, 86_400).flows == 1
        runs = hf.store.read(lambda tx: tx.fetch("SELECT DISTINCT run FROM world_checkpoints"))
        assert runs == [(str(second.id),)]
        assert left(hf.store) == {
            "world_checkpoints": 3, "world_states": 3, "world_scopes": 1, "worlds": 1, "flow_worlds": 1,
        }  # fmt: skip
        assert (tmp_path / SHARED.account_id / SHARED.region / "deep" / "a").exists()
        hf.rewind(second.id, "a")
        second.result(SECONDS)


# -- crashes ----------------------------------------------------------------------------------------------------------


def prepare(tx: Transaction) -> None:
    """A flow that ended long ago, its world with two checkpoints and a restore; and a flow like it that stays."""
    for flow_id in (FLOW, OTHER):
        new_flow(tx, flow_id)
        opening = own_opening("site", flow_id)
        (scope,) = opening.scopes
        hold_scopes(tx, opening.stored, opening.scopes, flow_id)
        note_world(tx, flow_id, opening, [Folder("/nowhere", scope)])
        for number in (1, 2):
            num = record(tx, f"checkpoint:site#{number}@1", flow_id)
            state = State(service="s", account_id=scope[0], region=scope[1], manifest=f"{number:064}", resources=1)
            made = SqlCheckpoints(tx).insert(opening.stored, [state], name=f"c{number}", moment=Moment(flow_id, num))
        begin_restore(tx, made, run=flow_id)
    finish(tx)


def observe(tx: Transaction) -> Any:
    """All but tokens, which differ."""
    columns = {"world_restores": "world, checkpoint", "flows": "id", "world_checkpoints": "world, name, superseded"}
    tables = (*RECORDS, "flow_remains", "flows")
    return [sorted(map(str, tx.fetch(f"SELECT {columns.get(table, '*')} FROM {table}"))) for table in tables]


def bury_it(tx: Transaction) -> None:
    bury(tx, tx.fetch("SELECT num FROM flows WHERE id = :id", {"id": str(FLOW)}))


def buried(tx: Transaction) -> None:
    prepare(tx)
    bury_it(tx)


def clear_it(tx: Transaction) -> None:
    clear_some(tx, Left(str(FLOW), OPENING.stored, True, []))


OPERATIONS = {"bury": Operation(prepare, bury_it, observe), "clear": Operation(buried, clear_it, observe)}


@pytest.mark.parametrize("new_store_url", KILLED_ON, indirect=True)
@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_anywhere(name: str, new_store_url: Callable[[], str]) -> None:
    visits = list(explore_operation(OPERATIONS[name], new_store_url))
    assert {visit.where for visit in visits} == {"statement", "before commit", "after commit"}
    assert not [visit for visit in visits if visit.faults]


def furnish(tx: Transaction, root: Path) -> None:
    new_flow(tx)
    finish(tx)
    note_world(tx, FLOW, OPENING, [Folder(str(root), OPENING.scopes[0])])
    for number in range(5):
        record(tx, f"work#{number}@1")
        SqlCheckpoints(tx).insert(OPENING.stored, [], moment=Moment(FLOW, number))


def burn(fuse: Fuse, lit: list[bool], where: str) -> None:
    if lit:
        fuse(where)


def furnish_files(root: Path, store: Store) -> None:
    DirectoryWorld(root, store).write(*OPENING.scopes[0], "a/b.txt", b"1")


@pytest.mark.parametrize("new_store_url", KILLED_ON, indirect=True)
def test_a_prune_that_is_killed_anywhere_is_finished_by_the_next(
    new_store_url: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody ever sees a flow without its world, and the next prune leaves nothing."""
    monkeypatch.setattr(remains, "ROUND", 2)
    seen = set()
    for point in count(1):
        url, root = new_store_url(), tmp_path / str(point)
        with open_store(url, clock=VirtualClock()) as store:
            store.run(lambda tx, root=root: furnish(tx, root))  # type: ignore[misc]
            furnish_files(root, store)
        fuse, lit = Fuse(point, rehearse), list[bool]()
        probe = partial(burn, fuse, lit)
        with open_store(url, clock=VirtualClock(), probe=probe) as store:
            lit.append(True)
            with suppress(Killed):
                prune(store, 0)
        with open_store(url, clock=VirtualClock()) as store:
            there = store.read(lambda tx: SqlFlowStore(tx).get(FLOW)) is not None
            if there:
                assert left(store)["world_checkpoints"] == 5
                assert len(places(root)) == 2
            seen.add((there, bool(left(store)), bool(places(root))))
            prune(store, 0)
            assert left(store) == {}
            assert places(root) == set()
        if fuse.where is None:
            break
    assert seen == {(True, True, True), (False, True, True), (False, True, False), (False, False, False)}


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, clock=VirtualClock()) as opened:
        yield opened


def test_folders_that_cannot_be_removed_are_left_to_the_next_prune(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store.run(lambda tx: furnish(tx, tmp_path))
    furnish_files(tmp_path, store)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", refuse)
        prune(store, 0)
        with pytest.raises(WorldLeft, match="not permitted"):
            expect_nothing_left(store, FLOW, OPENING.stored)
    assert "stays for now" in caplog.text
    assert left(store)["flow_worlds"] == 1
    prune(store, 0)
    assert left(store) == {}
    assert places(tmp_path) == set()


def refuse(*args: Any, **options: Any) -> None:
    raise PermissionError("not permitted")


def test_a_flow_of_the_same_id_inherits_nothing(store_url: str, tmp_path: Path) -> None:
    with Holdfast(store_url) as hf:
        hf.start(build, str(tmp_path), id=str(FLOW)).result(SECONDS)
        hf.store.run(bury_it)
        (tmp_path / "flow" / str(FLOW) / "stale").touch()
        again = hf.start(build, str(tmp_path), id=str(FLOW))
        again.result(SECONDS)
        assert [path.name for path in (tmp_path / "flow" / str(FLOW)).iterdir()] == ["deep"]
        prune(hf.store, 365 * 86_400)
        assert left(hf.store)["world_checkpoints"] == 3
        assert (tmp_path / "flow" / str(FLOW) / "deep" / "a").exists()


def test_two_do_not_clear_at_once(store: Store, tmp_path: Path) -> None:
    store.run(lambda tx: furnish(tx, tmp_path))
    store.run(bury_it)
    release = store.backend.hold("pruned-worlds")
    assert release is not None
    prune(store, 0)
    assert left(store)["world_checkpoints"] == 5
    with pytest.raises(RestorePending):
        expect_nothing_left(store, FLOW, OPENING.stored)
    release()
    expect_nothing_left(store, FLOW, OPENING.stored)
    assert left(store) == {}


def test_links_are_not_followed(store: Store, tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    (elsewhere / str(FLOW)).mkdir(parents=True)
    root.mkdir()
    (root / "flow").symlink_to(elsewhere)
    store.run(lambda tx: furnish(tx, root))
    prune(store, 0)
    assert (elsewhere / str(FLOW)).is_dir()


LOOK_UPS: dict[str, dict[str, Any]] = {
    "folders": {"flow": "f", "world": "w"},
    "buried_worlds": {"flow": "f", "world": "w", "limit": 1},
    "buried_world": {"flow": "f", "world": "w"},
    "own_checkpoints": {"world": "w", "limit": 1},
    "left_checkpoints": {"flow": "f", "world": "w", "limit": 1},
    "drop_restore": {"world": "w"},
    "drop_scopes": {"world": "w"},
    "drop_world": {"world": "w"},
    "world_cleared": {"flow": "f", "world": "w"},
}


@pytest.mark.parametrize("query", LOOK_UPS)
def test_everything_is_found_by_an_index(sqlite_url: str, query: str) -> None:
    with open_store(sqlite_url) as opened:
        text = "EXPLAIN QUERY PLAN " + load_queries("holdfast.rewind")[query].sqlite
        plan = [row[3] for row in opened.read(lambda tx: tx.fetch(text, LOOK_UPS[query]))]
    assert plan
    assert not [line for line in plan if line.startswith("SCAN")], plan


def test_the_mark_is_found_by_the_flow(sqlite_url: str) -> None:
    with open_store(sqlite_url) as opened:
        text = "EXPLAIN QUERY PLAN " + load_queries("holdfast.rewind")["bury_worlds"].sqlite
        plan = [row[3] for row in opened.read(lambda tx: tx.fetch(text, rows=[(1,)]))]
    assert plan[0].startswith("SEARCH flow_worlds USING PRIMARY KEY (flow=?)")
    assert any(line.startswith("SEARCH f USING INTEGER PRIMARY KEY") for line in plan), plan
