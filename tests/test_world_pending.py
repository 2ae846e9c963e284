"""WO-10: restores that have begun and cannot go on, and what the next one finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.audit import SqlAuditLog
from holdfast.store import Store, open_store
from holdfast.worlds import StateView
from holdfast.worlds.checkpoints import find_checkpoint
from holdfast.worlds.directory import DirectoryWorld
from holdfast.worlds.errors import InvalidScope, RestoreLost, RestorePending, RestoreStuck
from holdfast.worlds.keyvalue import Value
from holdfast.worlds.restoring import (
    abandon_restore,
    begin_restore,
    end_restore,
    fenced,
    holding,
    pending_restore,
    take_over,
)
from holdfast.worlds.world import World
from tests.test_world import Choosy
from tests.world_kit import HOME, RUN, Alpha, Beta, expected, put, state, world


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url) as opened:
        put(opened, 1)
        first = world(opened).checkpoint("first")
        put(opened, 2)
        opened.run(lambda tx: begin_restore(tx, first, run=RUN), actor="ann")
        yield opened


def choosy(store: Store) -> World:
    return World(store, "site", [Alpha(store, "a"), Choosy(store, "b")], [HOME])


def test_an_intent_that_a_service_refuses_tears_nothing(store: Store) -> None:
    """Who wrote it had no services to ask: the first one would be restored, and the second one refuse."""
    with pytest.raises(RestoreStuck, match="cannot go on: 1 bodies of the view"):
        choosy(store)
    assert state(store) == expected(2)
    world(store)
    assert state(store) == expected(1), "whoever has what it needs carries it out"


def test_a_restore_whose_body_is_lost_can_be_given_up(store: Store) -> None:
    lost = store.read(lambda tx: tx.fetch("SELECT manifest FROM world_states WHERE service = 'beta'"))[0][0]
    store.run(lambda tx: tx.execute("DELETE FROM blobs WHERE digest = :lost", {"lost": lost}))
    with pytest.raises(RestoreStuck):
        world(store)
    pending = abandon_restore(store, "site", actor="eve")
    assert pending is not None
    assert (pending.run, pending.before) == (RUN, None)
    site = world(store)
    assert state(store) == expected(2)
    row = store.read(lambda tx: SqlAuditLog(tx).list()).items[0]
    assert (row.act, row.subject, row.actor) == ("world.restore_abandoned", "site", "eve")
    assert row.detail == {"checkpoint": str(pending.checkpoint), "before": None, "run": str(RUN)}
    assert abandon_restore(store, "site") is None
    assert site.checkpoint("next").name == "next"


def test_only_what_nobody_carries_out_is_given_up(store: Store) -> None:
    with holding(store, "site", 0), pytest.raises(RestorePending):
        abandon_restore(store, "site", patience=0)
    assert store.read(lambda tx: pending_restore(tx, "site")) is not None
    with pytest.raises(InvalidScope):
        abandon_restore(store, "no/name")


class Overtaken(Beta):
    """Its process stalls when its restore is about to begin, and loses its hold; others finish, and go on."""

    def restore(self, account_id: str, region: str, view: StateView[Value]) -> None:
        store = self._store
        store.run(lambda tx: take_over(tx, "site"))
        pending = store.read(lambda tx: pending_restore(tx, "site"))
        assert pending is not None
        target = store.read(lambda tx: find_checkpoint(tx, "site", pending.checkpoint))
        assert target is not None
        store.run(lambda tx: end_restore(tx, pending, target))
        put(store, 3)
        super().restore(account_id, region, view)


@pytest.mark.parametrize("new_store_url", ["sqlite", "postgres"], indirect=True)
def test_who_lost_a_restore_and_wakes_late_changes_nothing(store: Store) -> None:
    with pytest.raises(RestoreLost):
        World(store, "site", [Alpha(store, "a"), Overtaken(store, "b")], [HOME])
    assert state(store) == expected(3)


@pytest.mark.parametrize("new_store_url", ["sqlite", "postgres"], indirect=True)
def test_files_are_fenced_alike(store: Store, tmp_path: Path) -> None:
    files = DirectoryWorld(tmp_path / "root", store)
    view = files.snapshot(*HOME)
    files.write(*HOME, "a.txt", b"later")
    pending = store.read(lambda tx: pending_restore(tx, "site"))
    assert pending is not None
    store.run(lambda tx: take_over(tx, "site"))
    with fenced(store, pending), pytest.raises(RestoreLost):
        files.restore(*HOME, view)
    assert files.read(*HOME, "a.txt") == b"later"
    files.restore(*HOME, view)
    assert files.listdir(*HOME) == []
