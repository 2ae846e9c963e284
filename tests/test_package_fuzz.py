"""PK-9: whatever is done to an archive, it is refused by a named error, and nothing of it gets out of its directory."""

from __future__ import annotations

import stat
import struct
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random
from zlib import crc32

import pytest

from holdfast.packages.archive import open_archive, pack, unpack, write_manifest
from holdfast.packages.archive.errors import InvalidArchive
from holdfast.packages.errors import ContentHashMismatch
from tests.archive_kit import archive, entry, laid_out, manifest, with_lock, zipped
from tests.test_archive_locks import LOCK, NAME, WHEEL

GOOD = with_lock(LOCK, {NAME: WHEEL})
FILES = dict(open_archive(GOOD).files)
MANIFEST = write_manifest(open_archive(GOOD).manifest)
HASH = sha256(GOOD).hexdigest()
OTHER = archive({"source/shop/orders.py": b"pass\n", "source/x/y/z": bytes(300)}, label="two")
NAMES = ["/tmp/evil", "../../evil", "source/../../evil", "source/a\\b", "source//x", "wheels/../x.whl", "x" * 300, "\0"]
KINDS = [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK, stat.S_IFREG, 0]
TOKENS = [
    b'"',
    b"[",
    b"]",
    b"{",
    b"}",
    b"1",
    b"1.5",
    b"true",
    b"\n",
    b"=",
    b"'",
    b"",
    b"\0",
    b"[[packages]]\n",
    b"path",
    b"..",
]


def flip(random: Random) -> bytes:
    """Some bits."""
    body = bytearray(GOOD)
    for _ in range(random.choice((1, 1, 1, 2, 8, 64))):
        body[random.randrange(len(body))] ^= 1 << random.randrange(8)
    return bytes(body)


def truncate(random: Random) -> bytes:
    """Cut short at either end."""
    place = random.randrange(len(GOOD))
    return GOOD[:place] if random.random() < 0.7 else GOOD[place:]


def splice(random: Random) -> bytes:
    """A piece of an archive within another one, in place of something or not."""
    donor = random.choice((GOOD, OTHER))
    start = random.randrange(len(donor))
    piece = donor[start : start + random.randrange(1, 200)]
    place = random.randrange(len(GOOD))
    return GOOD[:place] + piece + GOOD[place + random.choice((0, len(piece), random.randrange(100))) :]


def append(random: Random) -> bytes:
    """Something behind or before."""
    more = random.choice((random.randbytes(random.randrange(1, 100)), GOOD, OTHER, b"PK\x05\x06" + bytes(18)))
    return GOOD + more if random.random() < 0.5 else more + GOOD


def header(random: Random) -> bytes:
    """A field of a header, everything else in order."""
    body = bytearray(GOOD)
    magic, size = random.choice(((b"PK\x03\x04", 30), (b"PK\x01\x02", 46), (b"PK\x05\x06", 22)))
    places = [place for place in range(len(body)) if body[place : place + 4] == magic]
    place = random.choice(places) + random.randrange(4, size - 1)
    struct.pack_into("<H", body, place, random.choice((0, 1, 8, 99, 0x7FFF, 0xFFFF, random.randrange(65536))))
    return bytes(body)


def content(random: Random) -> bytes:
    """Other content with the right CRC: another archive, and no damaged one, unless it is the manifest's."""
    files = [("manifest.json", MANIFEST), *sorted(FILES.items())]
    name, body = random.choice([file for file in files if file[1]])
    changed = bytearray(body)
    changed[random.randrange(len(changed))] = random.randrange(256)
    return laid_out([(each, bytes(changed) if each == name else text) for each, text in files])


def hostile(random: Random) -> bytes:
    """Entries that somebody else made."""
    name = random.choice((*NAMES, "source/fine", "source/FINE", "source/fine/x"))
    info = entry(
        name,
        mode=(random.choice((stat.S_IFREG, random.choice(KINDS))) | 0o644) << 16,
        method=random.choice((0, 0, 0, 8, 12, 14)),
    )
    info.comment = random.choice((b"", b"", b"x"))
    fine = (entry("source/fine"), b"x")
    pieces = [fine, (info, b"/etc/passwd" * random.randrange(3))][: random.choice((1, 2, 2, 2))]
    random.shuffle(pieces)
    body = bytearray(zipped(*pieces, comment=random.choice((b"", b"", b"PK\x05\x06"))))
    if random.random() < 0.3:
        body[random.randrange(len(body))] ^= 1 << random.randrange(8)
    return bytes(body)


def mended(random: Random) -> bytes:
    """Bits of content, and the CRC in both headers set right."""
    body = bytearray(GOOD)
    start = body.index(b"source/shop/orders.py") + len("source/shop/orders.py")
    size = len(FILES["source/shop/orders.py"])
    body[start + random.randrange(size)] ^= 1 << random.randrange(8)
    crc = crc32(body[start : start + size])
    struct.pack_into("<L", body, start - len("source/shop/orders.py") - 16, crc)
    line = body.index(b"source/shop/orders.py", start)
    struct.pack_into("<L", body, line - 30, crc)
    return bytes(body)


def relocked(random: Random) -> bytes:
    """Another lock, whose hash the manifest has."""
    lock = bytearray(LOCK)
    for _ in range(random.choice((1, 1, 2, 4))):
        place = random.randrange(len(lock))
        lock[place : place + random.randrange(1, 12)] = random.choice(TOKENS)
    whole = manifest(lock=sha256(lock).hexdigest())
    return laid_out([("manifest.json", write_manifest(whole)), *sorted((FILES | {"pylock.toml": bytes(lock)}).items())])


MUTATORS: list[Callable[[Random], bytes]] = [flip, truncate, splice, append, header, content, hostile, mended, relocked]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("count", [3_000, pytest.param(100_000, marks=[pytest.mark.prove, pytest.mark.timeout(1800)])])
def test_mutated_archives(count: int, tmp_path: Path) -> None:
    cache = tmp_path / "above" / "cache"
    cache.mkdir(parents=True)
    (tmp_path / "above" / "beside").write_text("mine")
    rules: Counter[str] = Counter()
    for seed in range(count):
        rules[outcome(mutated(seed), cache / "tree")] += 1
    print(f"{count:,} mutated archives: {dict(rules.most_common())}")

    assert {entry.name for entry in cache.iterdir()} <= {"tree", ".tree.lock"}
    assert [entry.name for entry in sorted((tmp_path / "above").iterdir())] == ["beside", "cache"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["above"]
    assert (tmp_path / "above" / "beside").read_text() == "mine"
    assert rules.keys() >= {
        "zip",
        "canonical",
        "path",
        "file-kind",
        "compression",
        "layout",
        "manifest",
        "lock",
        "another",
    }


def mutated(seed: int) -> bytes:
    """An archive that is not :data:`GOOD`."""
    random = Random(seed)
    while (body := MUTATORS[seed % len(MUTATORS)](random)) == GOOD:
        pass
    return body


def outcome(body: bytes, tree: Path) -> str:
    """How ``body`` ends: by the name of a rule, or ``another``: a sound archive of another hash."""
    with pytest.raises(ContentHashMismatch):
        open_archive(body, HASH)
    try:
        found = open_archive(body)
    except InvalidArchive as refused:
        return refused.rule
    assert pack(found.manifest, found.files) == body
    unpack(found, tree)
    held = {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if not path.is_dir()}
    assert held == found.files
    return "another"
