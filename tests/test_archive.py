"""PK-9: archives are canonical, and hostile ones are refused by the name of a rule."""

from __future__ import annotations

import struct
from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from stat import S_IFDIR, S_IFIFO, S_IFLNK
from typing import Any
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZipFile

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from holdfast.packages.archive import layout, open_archive, pack, write_manifest
from holdfast.packages.archive.errors import InvalidArchive
from holdfast.packages.errors import ContentHashMismatch
from tests.archive_kit import FILES, archive, entry, laid_out, manifest, zipped

GOOD = archive()
HASH = sha256(GOOD).hexdigest()
MANIFEST = write_manifest(manifest())


def rule(body: Any) -> str:
    """The rule by which ``body`` is refused."""
    with pytest.raises(InvalidArchive) as refused:
        open_archive(body)
    assert refused.value.remedy
    return refused.value.rule


# -- canonical ------------------------------------------------------------------------------------------------


def test_an_archive_reads_back() -> None:
    found = open_archive(GOOD, HASH)
    assert found.content_hash == HASH
    assert found.manifest == manifest()
    assert dict(found.files) == FILES
    assert found.source["shop/__init__.py"] == b""
    assert found.lock is None


def test_the_bytes_are_those_of_the_format() -> None:
    files = {**FILES, "source/shop/é.txt": b"x"}
    expected = laid_out([("manifest.json", MANIFEST), *sorted(files.items())])
    assert archive(files) == expected
    assert open_archive(expected).files == files


def test_the_bytes_never_change() -> None:
    """What an older Holdfast packed has to hash alike for ever."""
    assert HASH == "bd12629e919e816b5fd5d3496a521036a00e0f55f5fb153fa4ded40b7c25f1ae"


def test_the_order_in_which_files_are_given_is_of_no_account() -> None:
    assert archive(dict(reversed(FILES.items()))) == GOOD


names = st.lists(st.text("abcxyz09_-é 字", min_size=1, max_size=8), min_size=1, max_size=4).map("/".join)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(names.map("source/".__add__), st.binary(max_size=64), max_size=6), st.text("aZ 0.é", max_size=4))
def test_what_is_packed_is_what_is_read_is_what_is_packed(files: dict[str, bytes], label: str) -> None:
    folded = [name.lower() for name in files]
    assume(len(set(folded)) == len(folded))
    assume(not any(one != other and other.startswith(f"{one}/") for one in folded for other in folded))
    body = archive(files, label=label or None)
    found = open_archive(body, sha256(body).hexdigest())
    assert dict(found.files) == files
    assert pack(found.manifest, found.files) == body


# -- the rules ------------------------------------------------------------------------------------------------


def test_another_hash_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ContentHashMismatch):
        open_archive(b"no zip at all", HASH)
    with pytest.raises(ContentHashMismatch):
        open_archive(GOOD, HASH.upper())


@pytest.mark.parametrize(
    "name",
    [
        *("/etc/passwd", "../x", "source/../../x", "source/./x", "source//x", "source\\x", "C:\\x", "source/x\n"),
        *("source/\x1b[31m", "source/\u202ex", "source/e\u0301", "source/" + 240 * "x", "source/" + 100 * "字"),
    ],
)
def test_paths_that_lead_elsewhere(name: str) -> None:
    assert rule(zipped((entry(name), b"x"))) == "path"
    with pytest.raises(InvalidArchive) as refused:
        archive({name: b"x"})
    assert refused.value.rule == "path"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("source/a.py", "source/A.py"),
        ("source/a/x.py", "source/A/y.py"),
        ("source/a", "source/a/b"),
        ("source/a/b", "source/A"),
        ("source/ß", "source/SS"),
        ("source/É", "source/é"),
    ],
)
def test_paths_that_are_the_same_somewhere(one: str, other: str) -> None:
    assert rule(zipped((entry(one), b"x"), (entry(other), b"x"))) == "duplicate"
    assert rule(zipped((entry(other), b"x"), (entry(one), b"x"))) == "duplicate"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_same_path_twice() -> None:
    assert rule(zipped((entry("source/a"), b"x"), (entry("source/a"), b"y"))) == "duplicate"


@pytest.mark.parametrize("method", [ZIP_DEFLATED, ZIP_BZIP2, ZIP_LZMA])
def test_a_bomb_is_not_decompressed(method: int) -> None:
    assert rule(zipped((entry("source/zeros", method=method), bytes(30 << 20)))) == "compression"


KINDS = {"link": S_IFLNK | 0o777, "folder": S_IFDIR | 0o755, "pipe": S_IFIFO | 0o644}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file(kind: str) -> None:
    assert rule(zipped((entry("source/x", mode=KINDS[kind] << 16), b"/etc/passwd"))) == "file-kind"


def test_a_folder_by_its_name() -> None:
    assert rule(zipped((entry("source/x/"), b""))) == "file-kind"


@pytest.mark.parametrize(
    "name", ["evil.py", "source", "wheels/a/b.whl", "wheels/x.py", "Source/x", "wheels", ".git/config"]
)
def test_what_has_no_place_in_an_archive(name: str) -> None:
    assert rule(zipped((entry(name), b"x"))) == "layout"


def test_another_makers_modes_times_and_systems() -> None:
    later = entry("source/x")
    later.date_time = (2030, 1, 1, 0, 0, 0)
    extra = entry("source/x")
    extra.extra = struct.pack("<HH4s", 0x7075, 4, b"evil")
    commented = entry("source/x")
    commented.comment = b"x"
    executable = entry("source/x", mode=0o100755 << 16)
    for info in (later, extra, commented, executable, entry("source/x", system=0)):
        assert rule(zipped((info, b"x"))) == "canonical"
    assert rule(zipped((entry("source/b"), b"x"), (entry("source/a"), b"x"))) == "canonical"


@pytest.mark.parametrize(
    "changed",
    [
        lambda body: body + b"\n",
        lambda body: b"#!/bin/sh\n" + body,
        lambda body: body[:-2] + b"\x03\x00abc",
        lambda body: shifted(body, b"between"),
    ],
    ids=["behind", "before", "comment", "between"],
)
def test_bytes_that_belong_to_no_file(changed: Callable[[bytes], bytes]) -> None:
    assert rule(changed(GOOD)) == "canonical"


def shifted(body: bytes, gap: bytes) -> bytes:
    """``body`` with a gap before its directory, and an end that knows."""
    start = struct.unpack_from("<L", body, len(body) - 6)[0]
    return body[:start] + gap + body[start:-6] + struct.pack("<LH", start + len(gap), 0)


@pytest.mark.parametrize(
    "body", [b"", b"PK", b"no zip", bytes(1000), GOOD[:-1], GOOD[:100], GOOD[:20], b"PK\x05\x06" + bytes(17)]
)
def test_what_is_no_zip(body: bytes) -> None:
    assert rule(body) == "zip"


@pytest.mark.parametrize("body", [None, "text", bytearray(GOOD), 7])
def test_what_is_no_bytes(body: Any) -> None:
    assert rule(body) == "zip"


def test_a_zip_of_nothing() -> None:
    assert rule(zipped(manifested=False)) == "manifest-missing"
    assert rule(zipped((entry("source/x"), b""), manifested=False)) == "manifest-missing"


def test_what_is_encrypted() -> None:
    directory = GOOD.index(b"PK\x01\x02")
    for flag in (0x01, 0x40, 0x2000):
        body = bytearray(GOOD)
        struct.pack_into("<H", body, directory + 8, flag)
        assert rule(bytes(body)) == "encryption"


def test_content_that_is_not_what_it_was() -> None:
    place = GOOD.index(b"return 1")
    assert rule(GOOD[:place] + b"return 2" + GOOD[place + 8 :]) == "zip"


def test_entries_that_claim_the_same_bytes_many_times() -> None:
    """An archive of a few MB, were it read as it says, would take gigabytes of memory."""
    body = bytes(20 << 20)
    plain = laid_out([("manifest.json", MANIFEST), ("source/0000", body)])
    start = struct.unpack_from("<L", plain, len(plain) - 6)[0]
    first = plain.index(b"PK\x01\x02", start + 1)
    lines = [plain[first:-22].replace(b"source/0000", b"source/%04d" % number) for number in range(5)]
    directory = plain[start:first] + b"".join(lines)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 6, 6, len(directory), start, 0)
    assert rule(plain[:start] + directory + end) == "archive-size"


def test_a_directory_that_claims_to_be_elsewhere() -> None:
    for place in (0, 1, 2**32 - 1):
        assert rule(GOOD[:-6] + struct.pack("<LH", place, 0)) in {"zip", "canonical"}


def test_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "MAX_FILE", 1000)
    big = {"source/big": bytes(1001)}
    assert rule(zipped((entry("source/big"), big["source/big"]))) == "file-size"
    with pytest.raises(InvalidArchive) as refused:
        archive(big)
    assert refused.value.rule == "file-size"
    monkeypatch.setattr(layout, "MAX_ARCHIVE", len(GOOD) - 1)
    assert rule(GOOD) == "archive-size"
    with pytest.raises(InvalidArchive) as refused:
        archive()
    assert refused.value.rule == "archive-size"


def test_the_number_of_files() -> None:
    assert open_archive(archive({f"source/{number}": b"" for number in range(9_999)}))
    many = {f"source/{number}": b"" for number in range(10_000)}
    assert rule(laid_out([("manifest.json", MANIFEST), *sorted(many.items())])) == "file-count"
    with pytest.raises(InvalidArchive) as refused:
        archive(many)
    assert refused.value.rule == "file-count"


def test_a_manifest_that_is_spelled_otherwise() -> None:
    for text in (MANIFEST + b"\n", MANIFEST.replace(b":", b": ", 1), b'{"name":"x",' + MANIFEST[1:]):
        assert rule(laid_out([("manifest.json", text), *sorted(FILES.items())])) == "canonical"


def test_other_formats_are_named_as_such() -> None:
    text = b'{"format":2,"whatever":[1]}'
    assert rule(laid_out([("manifest.json", text)])) == "format"


def test_a_file_cannot_be_the_manifest() -> None:
    with pytest.raises(InvalidArchive) as refused:
        archive({"manifest.json": MANIFEST})
    assert refused.value.rule == "layout"


def test_other_tools_can_read_it() -> None:
    with ZipFile(BytesIO(GOOD)) as found:
        assert found.testzip() is None
        assert found.namelist() == ["manifest.json", *sorted(FILES)]
