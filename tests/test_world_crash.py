"""WO-10: what a world does, killed at each of its write points, is done entirely or not at all."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

from holdfast.audit import SqlAuditLog
from holdfast.store import Store, open_store
from holdfast.testing.crash.fuse import Fuse, Killed, rehearse
from holdfast.worlds.directory import DirectoryWorld
from holdfast.worlds.errors import CheckpointExists
from holdfast.worlds.restoring import begin_restore, pending_restore
from holdfast.worlds.world import World
from tests.world_kit import ELSEWHERE, HOME, NAMES, OTHER_RUN, Alpha, expected, put, state, world

durable = pytest.mark.parametrize("new_store_url", ["sqlite", "postgres"], indirect=True)
NOTHING: dict[str, dict[str, object]] = {name: {} for name in NAMES}


class Visit(NamedTuple):
    """A run that was killed: where, and the store as the next process finds it."""

    where: str
    store: Store


def killed(
    new_url: Callable[[], str], prepare: Callable[[Store], object], act: Callable[[Store], object]
) -> Iterator[Visit]:
    """Kill ``act`` at each of its write points in turn; services keep their values in the store, so that points lie
    within and between them, too."""
    point = 1
    while True:
        url = new_url()
        with open_store(url) as store:
            prepare(store)
        fuse = Fuse(point, rehearse)
        lit: list[bool] = []
        with open_store(url, probe=lambda where, f=fuse, lit=lit: f(where) if lit else None) as store:
            lit.append(True)
            with suppress(Killed):
                act(store)
        if fuse.where is None:
            return
        with open_store(url) as store:
            yield Visit(fuse.where, store)
        point += 1


def two_checkpoints(store: Store) -> None:
    for number, name in ((1, "first"), (2, "second")):
        put(store, number)
        world(store).checkpoint(name)


@durable
def test_a_restore_killed_anywhere(new_store_url: Callable[[], str]) -> None:
    seen = []
    for visit in killed(new_store_url, two_checkpoints, lambda store: world(store).restore("first")):
        store = visit.store
        begun = store.read(lambda tx: pending_restore(tx, "site")) is not None
        torn = state(store) not in (expected(1), expected(2))
        assert begun or not torn
        ended = len(store.read(lambda tx: SqlAuditLog(tx).list()).items) == 1
        site = world(store)
        assert state(store) == expected(1 if begun or ended else 2)
        assert len(store.read(lambda tx: SqlAuditLog(tx).list()).items) == (begun or ended)
        assert not site.diff("first" if begun or ended else "second")
        site.restore("first")
        assert state(store) == expected(1)
        assert len(store.read(lambda tx: SqlAuditLog(tx).list()).items) == 1 + (begun or ended)
        seen.append((begun, torn, ended))
    assert {(False, False, False), (True, True, False), (True, False, False), (False, False, True)} <= set(seen)


@durable
def test_a_restore_that_is_killed_while_it_is_carried_out_anew(new_store_url: Callable[[], str]) -> None:
    def prepare(store: Store) -> None:
        two_checkpoints(store)
        first = world(store).find("first")
        store.run(lambda tx: begin_restore(tx, first, run=OTHER_RUN), actor="ann")

    points = 0
    for visit in killed(new_store_url, prepare, world):
        world(visit.store)
        assert state(visit.store) == expected(1)
        (row,) = visit.store.read(lambda tx: SqlAuditLog(tx).list()).items
        assert (row.actor, row.detail["run"]) == ("ann", str(OTHER_RUN))
        before = world(visit.store).views(row.detail["before"])
        assert before["alpha", HOME].resources.keys() == {"number", "only 2", "same"}, "of before, never of in between"
        points += 1
    assert points > 8


@durable
def test_a_checkpoint_killed_anywhere(new_store_url: Callable[[], str]) -> None:
    kept = []
    for visit in killed(new_store_url, lambda store: put(store, 1), lambda store: world(store).checkpoint("first")):
        site = world(visit.store)
        kept.append(len(site.checkpoints().items))
        with suppress(CheckpointExists):
            site.checkpoint("first")
        put(visit.store, 2)
        site.restore("first")
        assert state(visit.store) == expected(1)
    assert set(kept) == {0, 1}


@durable
def test_a_fork_killed_anywhere(new_store_url: Callable[[], str]) -> None:
    copied = []
    for visit in killed(
        new_store_url, two_checkpoints, lambda store: world(store).fork_scope(HOME, ELSEWHERE, OTHER_RUN)
    ):
        site = world(visit.store)
        owner = site.owner(ELSEWHERE)
        assert state(visit.store, ELSEWHERE) == (NOTHING if owner is None else expected(2))
        site.fork_scope(HOME, ELSEWHERE, OTHER_RUN)
        assert state(visit.store, ELSEWHERE) == state(visit.store) == expected(2)
        assert site.owner(ELSEWHERE) == OTHER_RUN
        copied.append(owner)
    assert set(copied) == {None, OTHER_RUN}


@durable
def test_a_process_killed_between_two_services(new_store_url: Callable[[], str]) -> None:
    """A real SIGKILL: what the dead process held is free."""
    url = new_store_url()
    with open_store(url) as store:
        two_checkpoints(store)
        command = [sys.executable, "-m", "tests.world_kit", url]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        assert state(store) == {"alpha": expected(1)["alpha"], "beta": expected(2)["beta"]}
        world(store)
        assert state(store) == expected(1)
        (row,) = store.read(lambda tx: SqlAuditLog(tx).list()).items
        assert row.actor == "ann"


def test_a_restore_of_files_and_values_killed_anywhere(tmp_path: Path) -> None:
    """Write points of the store and of the directory alike."""
    torn = 0
    for point in count(1):
        folder = tmp_path / str(point)
        url = f"sqlite:///{tmp_path / str(point)}.db"
        with open_store(url) as store:
            for number, name in ((1, "first"), (2, "second")):
                put_both(store, folder, number)
                both(store, folder).checkpoint(name)
        fuse = Fuse(point, rehearse)
        lit: list[bool] = []
        with open_store(url, probe=lambda where, f=fuse, lit=lit: f(where) if lit else None) as store:
            site = both(store, folder, probe=fuse)
            lit.append(True)
            with suppress(Killed):
                site.restore("first")
        with open_store(url) as store:
            begun = store.read(lambda tx: pending_restore(tx, "site")) is not None
            ended = len(store.read(lambda tx: SqlAuditLog(tx).list()).items)
            found = seen(store, folder)
            torn += found not in (seen_at(1), seen_at(2))
            site = both(store, folder)
            assert seen(store, folder) == seen_at(1 if begun or ended else 2)
            assert not site.diff("first" if begun or ended else "second")
        if fuse.where is None:
            break
    assert torn
    assert point > 15


def both(store: Store, folder: Path, probe: Callable[[str], None] = lambda point: None) -> World:
    return World(store, "site", [DirectoryWorld(folder, store, probe=probe), Alpha(store, "a")], [HOME])


def put_both(store: Store, folder: Path, number: int) -> None:
    files = DirectoryWorld(folder, store)
    for other in (1, 2):
        if f"only {other}" in files.listdir(*HOME):
            files.remove(*HOME, f"only {other}", recursive=True)
    files.write(*HOME, f"only {number}/x", b"x")
    files.write(*HOME, "number", b"%d" % number)
    Alpha(store, "a").put(*HOME, "number", number)


def seen(store: Store, folder: Path) -> tuple[object, ...]:
    """What is on the disk and in the store, whatever is pending."""
    tree = folder / "acme" / "north"
    return sorted(str(path.relative_to(tree)) for path in tree.rglob("*")), (tree / "number").read_text(), state(store)


def seen_at(number: int) -> tuple[object, ...]:
    values = {"alpha": {"number": number}, "beta": {}}
    return sorted(["number", f"only {number}", f"only {number}/x"]), str(number), values
