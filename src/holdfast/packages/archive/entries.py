"""The files in the bytes of a zip, without trust in any of them, and without decompressing anything.

Only what archives need is read: one disk, no zip64, nothing compressed, the directory at the end. Whether the bytes
are canonical, too, is seen by packing the files again, so nothing is checked here twice.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

from holdfast.packages.archive.errors import (
    CompressedEntry,
    EncryptedEntry,
    NotAFile,
    NotAnArchive,
    NotCanonical,
)
from holdfast.packages.archive.layout import check_count, check_file_size, check_names, check_size

_END = struct.Struct("<4s4H2LH")
_LISTED = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_END_MAGIC, _LISTED_MAGIC, _LOCAL_MAGIC = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_MAX_COMMENT = 0xFFFF


class _Entry(NamedTuple):
    """A line of the directory."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    kind: int
    offset: int


def read_entries(body: bytes) -> dict[str, bytes]:
    """The files in ``body`` by name.

    Raises:
        InvalidArchive: the first rule of PK-9 that they break, of those about size, number, kind and names.
    """
    check_size(len(body))
    entries = list(_directory(body))
    for entry in entries:
        _check_entry(entry)
    check_names(entry.name for entry in entries)
    check_size(sum(entry.size for entry in entries))  # several may claim the same bytes
    return {entry.name: _content(body, entry) for entry in entries}


def _directory(body: bytes) -> Iterator[_Entry]:
    start, count = _end(body)
    for _ in range(count):
        line = _unpack(_LISTED, body, start, _LISTED_MAGIC)
        system, flags, method, crc, packed, size = line[1] >> 8, line[3], line[4], line[7], line[8], line[9]
        name_size, extra, comment, attributes, offset = line[10], line[11], line[12], line[15], line[16]
        start += _LISTED.size
        name = _name(body[start : start + name_size], name_size)
        kind = stat.S_IFMT(attributes >> 16) if system == 3 else 0
        yield _Entry(name, flags, method, crc, packed, size, kind, offset)
        start += name_size + extra + comment


def _end(body: bytes) -> tuple[int, int]:
    """Where the directory starts, and how many entries it has."""
    last = len(body) - _END.size
    place = body.rfind(_END_MAGIC, max(last - _MAX_COMMENT, 0), max(last + len(_END_MAGIC), 0))
    if place < 0:
        raise NotAnArchive("It does not end as a zip does.")
    if place < last:
        raise NotCanonical("There is a comment, or there are bytes behind the end of the archive.")
    _, disk, first_disk, here, count, size, start, comment = _END.unpack_from(body, place)
    check_count(max(here, count))
    if disk or first_disk or here != count or start + size > place or comment:
        raise NotAnArchive("Its end does not say where its directory is.")
    if start + size != place:
        raise NotCanonical("There are bytes before the archive, or between its directory and its end.")
    return start, count


def _unpack(record: struct.Struct, body: bytes, start: int, magic: bytes) -> tuple[int, ...]:
    if start + record.size > len(body) or body[start : start + 4] != magic:
        raise NotAnArchive(f"At byte {start:,} of it there is not what should be there.")
    found: tuple[int, ...] = record.unpack_from(body, start)
    return found


def _name(raw: bytes, size: int) -> str:
    try:
        if len(raw) == size:
            return raw.decode()
    except UnicodeDecodeError:
        pass
    raise NotAnArchive(f"{raw!r:.300} is no name in UTF-8.")


def _check_entry(entry: _Entry) -> None:
    named = f"{entry.name!r:.300}"
    if entry.flags & _ENCRYPTED:
        raise EncryptedEntry(f"{named} is encrypted.")
    if entry.kind not in (0, stat.S_IFREG) or entry.name.endswith("/"):
        raise NotAFile(f"{named} is a link, a folder or a device.")
    check_file_size(entry.name, max(entry.size, entry.packed))
    if entry.method or entry.packed != entry.size:
        raise CompressedEntry(f"{named} is compressed.")


def _content(body: bytes, entry: _Entry) -> bytes:
    head = _unpack(_LOCAL, body, entry.offset, _LOCAL_MAGIC)
    start = entry.offset + _LOCAL.size + head[9] + head[10]
    found = body[start : start + entry.size]
    if len(found) != entry.size or crc32(found) != entry.crc:
        raise NotAnArchive(f"The content of {entry.name!r} is cut short, or is not what it was.")
    return found
