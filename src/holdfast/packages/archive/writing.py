"""The one way to write an archive: the same content gives the same bytes on any machine, at any time."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from io import BytesIO
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from holdfast.packages.archive.errors import UnknownEntry
from holdfast.packages.archive.layout import MANIFEST, check_files, check_size
from holdfast.packages.archive.locks import check_lock
from holdfast.packages.archive.manifest import Manifest, write_manifest

_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_MODE = (stat.S_IFREG | 0o644) << 16


def pack(manifest: Manifest, files: Mapping[str, bytes]) -> bytes:
    """The archive of these files.

    Args:
        manifest: its ``lock`` is the SHA-256 of the file ``pylock.toml``, or ``None`` where there is none.
        files: by their names in the archive: ``pylock.toml``, ``source/…``, ``wheels/….whl``.

    Raises:
        InvalidArchive: a rule of PK-9 that it would break.
    """
    if MANIFEST in files:
        raise UnknownEntry(f"{MANIFEST} is written from the manifest, and cannot be one of the files.")
    whole = {MANIFEST: write_manifest(manifest), **files}
    check_files(whole)
    check_lock(manifest, files)
    packed = pack_files(whole)
    check_size(len(packed))
    return packed


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """The canonical zip of ``files``, which are checked: sorted by name (the manifest comes first), stored, without
    times, modes, comments and extra fields of their own."""
    out = BytesIO()
    with ZipFile(out, "w", ZIP_STORED) as zipped:
        for name in sorted(files):
            zipped.writestr(_info(name), files[name])
    return out.getvalue()


def _info(name: str) -> ZipInfo:
    info = ZipInfo(name, _TIME)
    info.compress_type = ZIP_STORED
    info.create_system = _UNIX
    info.external_attr = _MODE
    return info
