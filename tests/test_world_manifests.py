"""WO-7: views are stored content-addressed, so that the second checkpoint costs what changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.store import Store, Transaction, open_store
from holdfast.store.blobs import BlobCorrupt, put_blob, put_texts
from holdfast.worlds import StateView
from holdfast.worlds.errors import InvalidView, MissingBlob, ViewVersion
from holdfast.worlds.keyvalue import KeyValueWorld
from holdfast.worlds.keyvalue.model import Value, record_of
from holdfast.worlds.manifests import get_view, missing_texts, pack_view


def put_view(tx: Transaction, view: StateView[Any]) -> str:
    """Store ``view``, writing what is not there; returns its manifest's digest."""
    packed = pack_view(view)
    put_texts(tx, missing_texts(tx, packed))
    return packed.digest


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url) as opened:
        yield opened


def view_of(values: dict[str, object]) -> StateView[Value]:
    return StateView(
        service="keyvalue",
        version=1,
        resources={key: record_of(key, value) for key, value in values.items()},
        not_captured=("the weather",),
    )


def stored(store: Store) -> tuple[int, int]:
    """Bytes and number of all blobs."""
    ((size, count),) = store.read(lambda tx: tx.fetch("SELECT coalesce(sum(size), 0), count(*) FROM blobs"))
    return int(size), int(count)


def rows(count: int) -> dict[str, object]:
    return {f"row {number}": {"number": number, "text": "x" * 80} for number in range(count)}


@pytest.mark.parametrize("count", [0, 1, 17, 3000])
def test_a_view_comes_back(store: Store, count: int) -> None:
    view = view_of(rows(count) | {'"quoted"\n': "ü\u2028😀", "": None} if count else {})
    digest = store.run(lambda tx: put_view(tx, view))
    assert store.read(lambda tx: get_view(tx, digest, KeyValueWorld(store))) == view


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers()))
def test_any_names_come_back(values: dict[str, int]) -> None:
    view = view_of(dict(values))
    with open_store("sqlite://") as store:
        digest = store.run(lambda tx: put_view(tx, view))
        assert store.read(lambda tx: get_view(tx, digest, KeyValueWorld(store))) == view


def test_equal_views_have_one_manifest_whatever_their_order() -> None:
    values = rows(500)
    assert pack_view(view_of(values)).digest == pack_view(view_of(dict(reversed(values.items())))).digest


def test_one_change_among_10_000_writes_under_2_percent(store: Store) -> None:
    values = rows(10_000)
    store.run(lambda tx: put_view(tx, view_of(values)))
    first, _ = stored(store)
    spent = [first]
    for number in range(0, 10_000, 1250):
        values[f"row {number}"] = "changed"
        store.run(lambda tx: put_view(tx, view_of(values)))
        spent.append(stored(store)[0])
    shares = [(after - before) / first for before, after in pairwise(spent)]
    assert max(shares) < 0.02, shares
    assert min(shares) > 0


def test_a_newcomer_shifts_nothing() -> None:
    values = rows(5000)
    before = pack_view(view_of(values)).texts.keys()
    after = pack_view(view_of({**values, "row 2500 and a half": 1})).texts.keys()
    assert len(after - before) <= 5, "the leaf (or the two it was split into), its parents and the manifest"


def test_putting_a_view_again_writes_nothing(store: Store) -> None:
    view = view_of(rows(300))
    digest = store.run(lambda tx: put_view(tx, view))
    before = stored(store)
    assert store.run(lambda tx: put_view(tx, view)) == digest
    assert stored(store) == before


def test_a_missing_part_is_named(store: Store) -> None:
    view = view_of(rows(300))
    packed = pack_view(view)
    store.run(lambda tx: put_view(tx, view))
    lost = next(digest for digest in packed.texts if digest != packed.digest)
    store.run(lambda tx: tx.execute("DELETE FROM blobs WHERE digest = :lost", {"lost": lost}))
    with pytest.raises(MissingBlob) as caught:
        store.read(lambda tx: get_view(tx, packed.digest, KeyValueWorld(store)))
    assert caught.value.digests == [lost]
    with pytest.raises(MissingBlob):
        store.read(lambda tx: get_view(tx, "0" * 64, KeyValueWorld(store)))


def test_a_damaged_part_is_found(store: Store) -> None:
    digest = store.run(lambda tx: put_view(tx, view_of({"a": 1})))
    store.run(lambda tx: tx.execute("UPDATE blobs SET body = :other", {"other": b"{}"}))
    with pytest.raises(BlobCorrupt):
        store.read(lambda tx: get_view(tx, digest, KeyValueWorld(store)))


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"nonsense",
        b'{"depth":0,"format":2,"not_captured":[],"resources":0,"roots":[],"service":"keyvalue","version":1}',
        b'{"depth":0,"format":1,"not_captured":[],"resources":0,"roots":[],"service":"other","version":1}',
    ],
)
def test_what_is_no_manifest_is_refused(store: Store, body: bytes) -> None:
    digest = store.run(lambda tx: put_blob(tx, body))
    with pytest.raises(InvalidView):
        store.read(lambda tx: get_view(tx, digest, KeyValueWorld(store)))


@pytest.mark.parametrize(
    ("leaf", "fields"),
    [
        (b"{}", {"resources": 7}),
        (b'{"a":{"type":"integer","value":1}}', {"resources": 2}),
        (b"\xff\xfe", {"resources": 1}),
        (b"[1]", {}),
        (b"[" * 100_000, {}),
        (b'{"a":1}', {"depth": 1}),
        (b"[1]", {"depth": 1}),
        (b"\xff", {"depth": 1}),
        (b"{}", {"depth": -1}),
        (b"{}", {"depth": 1 << 40}),
        (b"{}", {"roots": [7]}),
        (b"{}", {"unknown": 1}),
    ],
)
def test_parts_that_are_none_are_refused(store: Store, leaf: bytes, fields: dict[str, object]) -> None:
    root = store.run(lambda tx: put_blob(tx, leaf))
    head = {"depth": 0, "format": 1, "not_captured": [], "resources": 0, "service": "keyvalue", "version": 1}
    manifest = json.dumps(head | {"roots": [root]} | fields).encode()
    digest = store.run(lambda tx: put_blob(tx, manifest))
    with pytest.raises(InvalidView):
        store.read(lambda tx: get_view(tx, digest, KeyValueWorld(store)))


def test_a_manifest_that_is_no_text_is_refused(store: Store) -> None:
    digest = store.run(lambda tx: put_blob(tx, b"\xff\xfe"))
    with pytest.raises(InvalidView, match="no part of a view"):
        store.read(lambda tx: get_view(tx, digest, KeyValueWorld(store)))


def test_a_view_of_another_version_is_refused(store: Store) -> None:
    view = StateView[Value](service="keyvalue", version=99, resources={})
    digest = store.run(lambda tx: put_view(tx, view))
    with pytest.raises(ViewVersion):
        store.read(lambda tx: get_view(tx, digest, KeyValueWorld(store)))
