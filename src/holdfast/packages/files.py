"""Archives as files of the operator."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from holdfast.packages.archive.layout import MAX_ARCHIVE
from holdfast.packages.archive.reading import Archive, open_archive
from holdfast.packages.errors import InvalidPackage, PackageFileUnusable

log = logging.getLogger("holdfast.packages")
SUFFIX = ".hfpkg"


def read_archive(path: Path, content_hash: str | None = None) -> Archive:
    """The archive in a file.

    Args:
        content_hash: what it must hash to; ``None``: whatever it does.

    Raises:
        PackageFileUnusable: it is no file, or cannot be read.
        InvalidArchive, ContentHashMismatch: as :func:`~holdfast.packages.archive.open_archive`.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise PackageFileUnusable(f"{path} is no file.")
            body = file.read(MAX_ARCHIVE + 1)  # no more is needed to find it too large
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _unusable(path, error) from error
    return open_archive(body, content_hash)


def supplied_archives(directory: Path) -> dict[str, Path]:
    """The archives that an operator supplies as the files ``*.hfpkg`` of a directory, by content hash (PK-5). A file
    that is no sound archive is logged, and left out.

    Raises:
        PackageFileUnusable: it is no directory, or cannot be read.
    """
    try:
        paths = sorted(path for path in directory.iterdir() if path.name.endswith(SUFFIX))
    except (OSError, ValueError) as error:
        raise _unusable(directory, error) from error
    found: dict[str, Path] = {}
    for path in paths:
        try:
            found.setdefault(read_archive(path).content_hash, path)
        except InvalidPackage as error:
            log.error("%s is left out: %s", path, error)
    return found


def _without_waiting(path: str, flags: int) -> int:
    """A pipe without a writer would be waited for."""
    return os.open(path, flags | os.O_NONBLOCK)


def _unusable(path: Path, error: OSError | ValueError) -> PackageFileUnusable:
    if isinstance(error, PackageFileUnusable):
        return error
    return PackageFileUnusable(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.")
