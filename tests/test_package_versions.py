"""What is deployed: listed, found by the beginning of its hash, collected."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from holdfast.audit import SqlAuditLog
from holdfast.errors import HoldfastError
from holdfast.flows import FlowStatus
from holdfast.packages import (
    collectable,
    find_hash,
    gc,
    holders,
    retire,
    route,
    split,
    unload,
    versions,
)
from holdfast.packages.deployed import package_of
from holdfast.packages.errors import (
    AmbiguousHash,
    InvalidContentHash,
    NoVersionBegins,
    VersionPinned,
)
from holdfast.packages.ports import MANY
from holdfast.packages.troubles import put_trouble
from holdfast.store import Store, load_queries, open_store
from holdfast.testing import VirtualClock
from tests.package_kit import archive, counts, deployed, pin

BOTH = ("fulfil", "refund")
ABSENT = "ab" * 32


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, clock=VirtualClock()) as store:
        yield store


def listed(store: Store, **asked: object) -> list[tuple[str, str]]:
    page = store.read(lambda tx: versions(tx, **asked))  # type: ignore[arg-type]
    return [(each.workflow_type, each.content_hash) for each in page.items]


def test_versions_are_listed_newest_first_without_bodies(store: Store) -> None:
    old, new, other = archive("old", label="spring"), archive("new", *BOTH), archive("o", "invoice", name="billing")
    deployed(store, old, other, new)
    store.run(lambda tx: route(tx, "fulfil", old.content_hash))
    store.run(lambda tx: split(tx, "fulfil", new.content_hash, 12.5))
    pin(store, old)
    pin(store, old, FlowStatus.FINISHED)
    store.run(lambda tx: put_trouble(tx, new.content_hash, HoldfastError("it cannot be"), "here"))
    found = store.read(versions).items
    assert [(each.workflow_type, each.package, each.label) for each in found] == [
        ("refund", "shop", None),
        ("fulfil", "shop", None),
        ("invoice", "billing", None),
        ("fulfil", "shop", "spring"),
    ]
    assert [(each.routed, each.percent) for each in found] == [(True, 100), (False, 12.5), (True, 100), (True, 87.5)]
    assert [(each.pinned, each.ended) for each in found] == [(0, 0), (0, 0), (0, 0), (1, 1)]
    assert [each.trouble and each.trouble.error["message"] for each in found] == ["it cannot be"] * 2 + [None] * 2
    assert listed(store, package="billing") == [("invoice", other.content_hash)]
    assert listed(store, workflow_type="fulfil") == [("fulfil", new.content_hash), ("fulfil", old.content_hash)]
    assert listed(store, workflow_type="absent") == []
    pages, after = [], None
    while True:
        page = store.read(lambda tx, after=after: versions(tx, limit=1, after=after))
        pages += page.items
        after = page.next
        if after is None:
            break
    assert pages == found


def test_a_page_of_versions_costs_the_page(sqlite_url: str) -> None:
    """Whatever it joins is found by an index; what it counts is bounded."""
    asked = {"deployed_at": 0, "workflow_type": "a", "content_hash": "b", "of_type": "", "of_package": "", "limit": 9}
    with open_store(sqlite_url) as store:
        text = "EXPLAIN QUERY PLAN " + load_queries("holdfast.packages")["list_versions"].sqlite
        plan = [row[3] for row in store.read(lambda tx: tx.fetch(text, asked | {"many": MANY}))]
    assert {line.split()[1] for line in plan if line.startswith("SCAN")} <= {"o", "e"}, plan
    assert not [line for line in plan if "TEMP B-TREE" in line], plan
    assert len([line for line in plan if "flows_pinned " in line]) == 2, plan


def test_many_flows_are_not_counted_to_the_last(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        old = archive("old")
        deployed(store, old)
        pin(store, old)
        _multiply(store, 2 * MANY)
        (version,) = store.read(versions).items
        assert version.pinned == MANY


@pytest.mark.prove
def test_whether_a_version_is_pinned_is_known_at_once_among_a_million_flows(sqlite_url: str) -> None:
    """PK-8: with all of them on the version, and with none of them."""
    with open_store(sqlite_url) as store:
        old, new = archive("old"), archive("new")
        deployed(store, old, new, archive("last"))
        pin(store, old, FlowStatus.FINISHED)
        _multiply(store, 1_000_000)
        alive = pin(store, old)

        def refused() -> None:
            with pytest.raises(VersionPinned) as caught:
                store.run(lambda tx: unload(tx, "fulfil", old.content_hash))
            assert caught.value.holders[0] == alive

        assert _fastest(refused) < 0.010
        assert _fastest(lambda: store.read(lambda tx: holders(tx, "fulfil", new.content_hash, limit=6))) < 0.010
        assert store.run(lambda tx: unload(tx, "fulfil", new.content_hash)) is not None


def test_a_version_is_found_by_the_beginning_of_its_hash(store: Store) -> None:
    one, two = archive("one"), archive("two", "refund")
    deployed(store, one, two)
    for text in (one.content_hash[:8], one.content_hash[:20].upper(), one.content_hash):
        assert store.read(lambda tx, text=text: find_hash(tx, text)) == one.content_hash
        assert store.read(lambda tx, text=text: find_hash(tx, text, "fulfil")) == one.content_hash
    assert store.read(lambda tx: find_hash(tx, ABSENT)) == ABSENT
    with pytest.raises(NoVersionBegins, match="of 'refund'"):
        store.read(lambda tx: find_hash(tx, one.content_hash[:8], "refund"))
    with pytest.raises(NoVersionBegins):
        store.read(lambda tx: find_hash(tx, ABSENT[:8]))
    for text in ("", one.content_hash[:7], "x" * 8, "ab" * 33, "a\0" * 8, "٣" * 8):
        with pytest.raises(InvalidContentHash, match="not a content hash"):
            store.read(lambda tx, text=text: find_hash(tx, text))


def test_the_beginning_of_several_hashes_names_them(store: Store) -> None:
    deployed(store, archive("one"))
    hashes = [f"{'ab' * 4}{digit * 56}" for digit in "0123456"]
    for content_hash in hashes:
        row = {"type": "fulfil", "hash": content_hash}
        store.run(lambda tx, row=row: tx.execute("INSERT INTO packages VALUES (:type, :hash, 0)", row))
    for workflow_type in (None, "fulfil"):
        with pytest.raises(AmbiguousHash, match="and others") as caught:
            store.read(lambda tx, of=workflow_type: find_hash(tx, "ab" * 4, of))
        assert list(caught.value.candidates) == hashes[:5]
    assert store.read(lambda tx: find_hash(tx, "ab" * 4 + "3")) == hashes[3]


# -- collecting -------------------------------------------------------------------------------------------------------


def test_what_nothing_needs_is_collected(store: Store) -> None:
    """PK-11: not what is routed, split to, pinned (by an ended flow, too) or among the newest."""
    found = [archive(str(number)) for number in range(8)]
    deployed(store, *found)
    store.run(lambda tx: route(tx, "fulfil", found[0].content_hash))
    store.run(lambda tx: split(tx, "fulfil", found[1].content_hash, 1))
    pin(store, found[2])
    pin(store, found[3], FlowStatus.FAILED)
    wanted = sorted(("fulfil", each.content_hash) for each in found[4:6])
    assert store.read(lambda tx: collectable(tx, 2)) == wanted
    assert gc(store, 2, actor="ann") == wanted
    assert {content_hash for _, content_hash in listed(store)} == {
        each.content_hash for number, each in enumerate(found) if number not in (4, 5)
    }
    rows = store.read(lambda tx: SqlAuditLog(tx).list(subject="fulfil", limit=2)).items
    assert [(row.act, row.actor) for row in rows] == [("package.unloaded", "ann")] * 2
    assert gc(store, 2) == []
    with pytest.raises(ValueError, match="not a limit"):
        gc(store, -1)


def test_types_without_versions_belong_to_nobody_once_collected(store: Store) -> None:
    shop = archive("one", *BOTH)
    deployed(store, shop)
    store.run(lambda tx: retire(tx, "fulfil"))
    assert gc(store, 0, actor="ann") == [("fulfil", shop.content_hash)]
    assert [store.read(lambda tx, of=of: package_of(tx, of)) for of in BOTH] == [None, "shop"]
    assert counts(store).items() >= {"packages": 1, "package_archives": 1, "blobs": 1}.items()
    (row,) = store.read(lambda tx: SqlAuditLog(tx).list(subject="fulfil", limit=1)).items
    assert (row.act, row.actor, row.detail["package"]) == ("package.type_released", "ann", "shop")


def test_what_comes_to_be_needed_meanwhile_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [archive(str(number)) for number in range(3)]
    deployed(store, *found)
    listing = store.read(lambda tx: collectable(tx, 0))
    pin(store, found[0])
    monkeypatch.setattr("holdfast.packages.collecting.collectable", lambda tx, keep: listing)
    assert gc(store, 0) == [("fulfil", found[1].content_hash)]


def _multiply(store: Store, count: int) -> None:
    """As many more flows like the one that is there."""
    names = (
        "workflow_type, package_hash, owner_session_key, goal, state, status, attempt, revision, created_at,"
        " updated_at, seed, args, args_digest, finished_at"
    )
    text = f"""
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
    INSERT INTO flows (id, {names}) SELECT printf('%032x', n.i), {names} FROM n, (SELECT * FROM flows LIMIT 1)
    """
    store.run(lambda tx: tx.execute(text, {"count": count}))


def _fastest(act: object) -> float:
    def took() -> float:
        start = time.perf_counter()
        act()  # type: ignore[operator]
        return time.perf_counter() - start

    return min(took() for _ in range(5))
