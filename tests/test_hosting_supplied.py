"""Archives that an operator supplies as files: versions that were never deployed, or whose body the store has lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.hosting.errors import VersionNotLoadable
from holdfast.hosting.serving import Hosting
from holdfast.hosting.shelf import Shelf
from holdfast.hosting.supervisor import HostingOptions
from holdfast.packages import route
from holdfast.packages.archive import pack
from holdfast.packages.files import supplied_archives
from holdfast.store import open_store
from tests.hosting_kit import ORDER, Shop, package, shop  # noqa: F401 (fixture)

ARCHIVE = package(ORDER)
BODY = pack(ARCHIVE.manifest, ARCHIVE.files)


def test_a_version_that_was_never_deployed_runs_from_its_file(shop: Shop, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "one.hfpkg").write_bytes(BODY)
    shop.hf.store.run(lambda tx: route(tx, "order", ARCHIVE.content_hash, supplied=True))
    options = HostingOptions(cache=shop.cache, supplied=supplied_archives(tmp_path))
    with open_store(shop.hf.url) as store, Hosting(store, options):
        handle = shop.start("order", number=3)
        assert handle.result(timeout=30) == "paid 3"
    assert handle.flow().package_hash == ARCHIVE.content_hash


@pytest.mark.parametrize("body", [None, b"", BODY[:-1], b"x" + BODY[1:]], ids=["lost", "empty", "cut", "changed"])
def test_a_file_stands_in_for_a_body_that_is_lost_or_damaged(body: bytes | None, tmp_path: Path) -> None:
    supplied = tmp_path / "one.hfpkg"
    supplied.write_bytes(BODY)
    with pytest.raises(VersionNotLoadable):
        Shelf(tmp_path / "cache", lambda _: body).fetch(ARCHIVE.content_hash)
    found = Shelf(tmp_path / "cache", lambda _: body, {ARCHIVE.content_hash: supplied}).fetch(ARCHIVE.content_hash)
    assert (found.source / "shop.py").read_text() == ARCHIVE.files["source/shop.py"].decode()


def test_a_file_that_was_replaced_meanwhile_is_refused(tmp_path: Path) -> None:
    supplied = tmp_path / "one.hfpkg"
    supplied.write_bytes(BODY[:-1])
    with pytest.raises(VersionNotLoadable, match="refused"):
        Shelf(tmp_path / "cache", lambda _: None, {ARCHIVE.content_hash: supplied}).fetch(ARCHIVE.content_hash)
