"""What is deployed is checked at start-up, beside the files of the operator (PK-5, PK-7)."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError
from holdfast.packages import (
    PackageRecord,
    TroubleKind,
    deploy,
    read_archive,
    reload,
    route,
    supplied_archives,
)
from holdfast.packages.errors import (
    PackageFileUnusable,
)
from holdfast.packages.troubles import put_trouble, troubles
from holdfast.store import Store, open_store
from holdfast.testing import VirtualClock
from tests.package_kit import NOW, archive, body, deployed, routes, written

BOTH = ("fulfil", "refund")
ABSENT = "ab" * 32


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, clock=VirtualClock()) as store:
        yield store


def test_one_damaged_archive_stops_no_other(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """PK-7: twice the same, in the order of deployment; each fault is named."""
    sound, damaged, lost = archive("sound"), archive("damaged", *BOTH), archive("lost")
    deployed(store, sound, damaged, lost)
    _damage(store, damaged.content_hash, b"damaged")
    _damage(store, lost.content_hash, None)
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.ERROR, "holdfast.packages"):
            found = reload(store)
        assert found.ok == (("fulfil", sound.content_hash),)
        codes = [(content_hash, error.code) for content_hash, error in found.quarantined]
        assert codes == [(damaged.content_hash, "content_hash_mismatch"), (lost.content_hash, "invalid_package")]
        assert found.unresolved == ()
        assert sorted(trouble.content_hash for trouble in store.read(troubles)) == sorted(dict(codes))
        assert {trouble.kind for trouble in store.read(troubles)} == {TroubleKind.QUARANTINED}
        assert len([line for line in caplog.messages if "is quarantined" in line]) == 2


def test_what_breaks_a_rule_is_quarantined_though_its_hash_is_right(store: Store) -> None:
    record = PackageRecord.of("fulfil", b"no zip", NOW)
    store.run(lambda tx: deploy(tx, record))
    ((content_hash, error),) = reload(store).quarantined
    assert (content_hash, error.code) == (record.content_hash, "not_an_archive")


def test_a_mended_archive_is_out_of_quarantine(store: Store) -> None:
    shop, stranded = archive(), archive("stranded")
    deployed(store, stranded, shop)
    _damage(store, shop.content_hash, b"damaged")
    store.run(lambda tx: put_trouble(tx, stranded.content_hash, HoldfastError("its process died"), "elsewhere"))
    reload(store)
    store.run(
        lambda tx: tx.execute("UPDATE blobs SET body = :body WHERE body = :bad", {"body": body(), "bad": b"damaged"})
    )
    assert len(reload(store).ok) == 2
    assert [(each.content_hash, each.host) for each in store.read(troubles)] == [(stranded.content_hash, "elsewhere")]


def test_a_route_to_nothing_is_reported_loudly(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """PK-5: it stays as it is; the version is in trouble until its file is supplied."""
    deployed(store, archive("deployed"))
    store.run(lambda tx: route(tx, "fulfil", ABSENT, supplied=True))
    with caplog.at_level(logging.ERROR, "holdfast.packages"):
        (unresolved,) = reload(store).unresolved
    assert (unresolved.workflow_type, unresolved.content_hash) == ("fulfil", ABSENT)
    assert ABSENT in caplog.text
    assert routes(store) == {"fulfil": ABSENT}
    (trouble,) = store.read(troubles)
    assert (trouble.content_hash, trouble.kind, trouble.error["code"]) == (ABSENT, "stranded", "package_not_found")


def test_files_of_the_operator_stand_in(store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """PK-5: for what is not deployed and for what was lost; a bad file is left out, and said to be."""
    lost, other = archive("lost"), archive("other", "invoice", name="billing")
    deployed(store, lost)
    _damage(store, lost.content_hash, None)
    supplied = archive("supplied", *BOTH)
    for name in BOTH:
        store.run(lambda tx, name=name: route(tx, name, supplied.content_hash, supplied=True))
    store.run(lambda tx: route(tx, "refund", other.content_hash, supplied=True))
    assert len(reload(store).unresolved) == 2
    written(tmp_path, "supplied", *BOTH)
    written(tmp_path, "lost")
    written(tmp_path, "other", "invoice", name="billing")
    (tmp_path / "copy.hfpkg").write_bytes(body("lost"))
    (tmp_path / "bad.hfpkg").write_bytes(body("bad")[:-1])
    (tmp_path / "folder.hfpkg").mkdir()
    (tmp_path / "notes.txt").write_text("no package")
    with caplog.at_level(logging.ERROR, "holdfast.packages"):
        files = supplied_archives(tmp_path)
    assert files == {
        lost.content_hash: tmp_path / "copy.hfpkg",
        supplied.content_hash: tmp_path / "supplied.hfpkg",
        other.content_hash: tmp_path / "other.hfpkg",
    }
    assert "bad.hfpkg is left out" in caplog.text
    assert "folder.hfpkg is left out" in caplog.text
    found = reload(store, files)
    assert found.ok == (("fulfil", lost.content_hash),)
    assert [each.workflow_type for each in found.unresolved] == ["refund"], "the file has no such workflow"
    assert [trouble.content_hash for trouble in store.read(troubles)] == [other.content_hash]
    files[supplied.content_hash].write_bytes(b"replaced meanwhile")
    assert [each.workflow_type for each in reload(store, files).unresolved] == ["fulfil", "refund"]


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    for act in (supplied_archives, read_archive):
        for path in (tmp_path / "absent", tmp_path / "a\0b"):
            with pytest.raises(PackageFileUnusable):
                act(path)
    with pytest.raises(PackageFileUnusable, match="directory"):
        read_archive(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PackageFileUnusable, match="no file"):
        read_archive(tmp_path / "pipe")


def _damage(store: Store, content_hash: str, changed: bytes | None) -> None:
    row = {"hash": content_hash, "body": changed}
    act = "DELETE FROM blobs" if changed is None else "UPDATE blobs SET body = :body"
    store.run(lambda tx: tx.execute(f"{act} WHERE digest = :hash", row))
