"""Archives for tests, sound and hostile."""

from __future__ import annotations

import stat
import struct
from collections.abc import Mapping, Sequence
from hashlib import sha256
from io import BytesIO
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo
from zlib import crc32

from holdfast.packages.archive import Manifest, make_manifest, pack, write_manifest

REGULAR = (stat.S_IFREG | 0o644) << 16
WORKFLOW = {
    "name": "fulfil",
    "entry": "shop.orders:fulfil",
    "arguments": {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]},
    "result": {"type": "integer"},
    "retention": None,
}
FILES = {
    "source/shop/__init__.py": b"",
    "source/shop/orders.py": b"async def fulfil(order: str) -> int:\n    return 1\n",
    "source/shop/templates/mail.txt": "Grüße\n".encode(),
}


def manifest(**changed: Any) -> Manifest:
    """A manifest that fits :data:`FILES`."""
    return make_manifest(
        {"name": "shop", "python": "3.11", "modules": ["shop.orders"], "workflows": [WORKFLOW]} | changed
    )


def archive(files: Mapping[str, bytes] = FILES, **changed: Any) -> bytes:
    """A sound archive."""
    return pack(manifest(**changed), files)


def with_lock(lock: bytes, wheels: Mapping[str, bytes] | None = None) -> bytes:
    """A sound archive with a lock."""
    files = {**FILES, "pylock.toml": lock, **{f"wheels/{name}": body for name, body in (wheels or {}).items()}}
    return archive(files, lock=sha256(lock).hexdigest())


def entry(name: str, *, mode: int = REGULAR, method: int = ZIP_STORED, flags: int = 0, system: int = 3) -> ZipInfo:
    """An entry as of a zip that somebody else made."""
    info = ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.filename = name  # ZipInfo cuts names at NUL
    info.external_attr, info.compress_type, info.create_system, info.flag_bits = mode, method, system, flags
    return info


def zipped(*entries: tuple[ZipInfo, bytes], comment: bytes = b"", manifested: bool = True) -> bytes:
    """A zip of these entries as they are, behind a manifest where they are ``manifested``."""
    out = BytesIO()
    with ZipFile(out, "w") as target:
        if manifested:
            target.writestr(entry("manifest.json"), write_manifest(manifest()))
        for info, body in entries:
            target.writestr(info, body)
        target.comment = comment
    return out.getvalue()


def laid_out(files: Sequence[tuple[str, bytes]]) -> bytes:
    """The canonical zip, byte by byte, without the library that archives are written with."""
    heads, lines, place = [], [], 0
    for name, body in files:
        flags = 0 if name.isascii() else 0x800
        common = struct.pack("<5H3L2H", 20, flags, 0, 0, 33, crc32(body), len(body), len(body), len(name.encode()), 0)
        head = b"PK\x03\x04" + common + name.encode() + body
        lines.append(
            b"PK\x01\x02"
            + struct.pack("<BB", 20, 3)
            + common
            + struct.pack("<3H2L", 0, 0, 0, REGULAR, place)
            + name.encode()
        )
        heads.append(head)
        place += len(head)
    directory = b"".join(lines)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, len(files), len(files), len(directory), place, 0)
    return b"".join(heads) + directory + end
