"""What may be in an archive: names, kinds and limits. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

from holdfast.packages.archive.errors import (
    ArchiveTooLarge,
    DuplicatePath,
    FileTooLarge,
    NotAnArchive,
    TooManyFiles,
    UnknownEntry,
    UnsafePath,
)

MAX_ARCHIVE: Final = 64 * 1024 * 1024
"""Bytes of an archive."""
MAX_FILES: Final = 10_000
MAX_FILE: Final = 32 * 1024 * 1024
"""Bytes of a file."""
MAX_PATH: Final = 240
"""Characters of a path."""
_MAX_PART = 255
"""Bytes of what is between two slashes: more do not fit into a folder."""

MANIFEST: Final = "manifest.json"
LOCK: Final = "pylock.toml"
SOURCE: Final = "source/"
WHEELS: Final = "wheels/"


def check_size(size: int) -> None:
    """Raises:
    ArchiveTooLarge: no archive may have ``size`` bytes.
    """
    if size > MAX_ARCHIVE:
        raise ArchiveTooLarge(f"The archive has more than {MAX_ARCHIVE:,} bytes.")


def check_count(count: int) -> None:
    """Raises:
    TooManyFiles: no archive may have ``count`` files.
    """
    if count > MAX_FILES:
        raise TooManyFiles(f"The archive has more than {MAX_FILES:,} files.")


def check_file_size(name: str, size: int) -> None:
    """Raises:
    FileTooLarge: no file may have ``size`` bytes.
    """
    if size > MAX_FILE:
        raise FileTooLarge(f"{name!r:.300} has more than {MAX_FILE:,} bytes.")


def check_files(files: Mapping[str, bytes]) -> None:
    """See that these files, the manifest among them or not, may be in an archive.

    Raises:
        InvalidArchive: one of the rules of :func:`check_names`, or of size and number.
    """
    check_count(len(files))
    for name, body in files.items():
        if not isinstance(body, bytes):
            raise NotAnArchive(f"The content of {name!r:.300} is not bytes but {type(body).__name__}.")
        check_file_size(name, len(body))
    check_names(files)
    check_size(sum(map(len, files.values())))


def check_names(names: Iterable[str]) -> None:
    """See that files of these names may be in an archive, and side by side on any file system.

    Raises:
        UnsafePath, DuplicatePath, UnknownEntry: see there.
    """
    seen: dict[str, str] = {}
    for name in names:
        check_path(name)
        _check_place(name)
        _note(name, seen)


def check_path(name: str) -> None:
    """Raises:
    UnsafePath: a file of this name could be anywhere, or nowhere.
    """
    problem = _fault(name)
    if problem:
        raise UnsafePath(f"{name!r:.300} {problem}.")


def _fault(name: object) -> str | None:
    if not isinstance(name, str) or not name:
        return "is no path"
    if len(name) > MAX_PATH:
        return f"has more than {MAX_PATH} characters"
    if not name.isprintable() or "\\" in name:
        return "has a backslash, or a character that does not print"
    if name.startswith("/"):
        return "is absolute"
    parts = name.split("/")
    if not {"", ".", ".."}.isdisjoint(parts):
        return "has a part that is empty, . or .."
    if any(len(part.encode()) > _MAX_PART for part in parts):
        return f"has a part of more than {_MAX_PART} bytes"
    return None if unicodedata.is_normalized("NFC", name) else "is not in Unicode's form NFC"


def _check_place(name: str) -> None:
    below = name.removeprefix(WHEELS)
    is_wheel = below != name and "/" not in below and below.endswith(".whl")
    if not (is_wheel or name in (MANIFEST, LOCK) or name.startswith(SOURCE)):
        raise UnknownEntry(f"{name!r:.300} is neither {MANIFEST}, {LOCK}, below {SOURCE}, nor a wheel in {WHEELS}.")


def _note(name: str, seen: dict[str, str]) -> None:
    """Keep how ``name`` and the folders above it are spelled; ``seen`` is by what all their spellings have in
    common, and a folder's own spelling ends with a slash."""
    folded = _folded(name)
    if folded in seen:
        raise _same(name, seen[folded])
    seen[folded] = name
    while name := name.rstrip("/").rpartition("/")[0]:
        name += "/"
        folded = _folded(name[:-1])
        spelled = seen.get(folded)
        if spelled == name:
            return  # and so are those above it
        if spelled is not None:
            raise _same(name, spelled)
        seen[folded] = name


def _same(name: str, other: str) -> DuplicatePath:
    return DuplicatePath(f"{name!r} and {other!r} are the same path, or may be on some file systems.")


def _folded(path: str) -> str:
    return path.lower() if path.isascii() else unicodedata.normalize("NFC", path.casefold())
