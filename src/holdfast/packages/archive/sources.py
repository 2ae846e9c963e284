"""The source files of a project, as they go into an archive."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from holdfast.packages.archive.errors import InvalidSource
from holdfast.packages.archive.layout import MAX_FILE, SOURCE, check_count, check_file_size, check_path, check_size

_SKIPPED: Final = (".*", "__pycache__", "*.py[co]", "*.egg-info", "*.hfpkg", "*.hfpkg.sig")
_VENV = "pyvenv.cfg"


class Exclusions:
    """Patterns as of :mod:`fnmatch`, in which ``*`` matches ``/`` as well. One without a ``/`` names a part of a path;
    one with a ``/`` names a path from the source on (``/build``: in its root alone). What is below something excluded
    is excluded, too. Hidden files, bytecode, egg-info, virtual environments and packages always are.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        wanted = [pattern.rstrip("/") for pattern in patterns]
        self._parts = (*_SKIPPED, *(pattern for pattern in wanted if "/" not in pattern))
        self._paths = tuple(pattern.lstrip("/") for pattern in wanted if "/" in pattern)

    def match(self, path: str) -> bool:
        """Whether ``path`` is excluded by itself."""
        name = path.rpartition("/")[2]
        return any(fnmatchcase(name, part) for part in self._parts) or any(
            fnmatchcase(path, pattern) for pattern in self._paths
        )


def collect_source(root: Path, exclude: Iterable[str] = (), *, apart: Collection[Path] = ()) -> dict[str, bytes]:
    """The files below ``root``, by their names in an archive. Links within it are followed; modes are not kept.

    Args:
        root: the directory that goes on ``sys.path``.
        exclude: patterns, see :class:`Exclusions`.
        apart: resolved paths of files that have a place of their own in the archive.

    Raises:
        InvalidSource: a link out of ``root`` or in circles, something that is neither file nor folder, or cannot be
            read.
        InvalidArchive: too many, too large, or by names that no archive can have.
    """
    found: dict[str, bytes] = {}
    size = 0
    for path, file in _files(root, Exclusions(exclude)):
        if file in apart:
            continue
        if SOURCE + path in found:
            raise InvalidSource(path, "another file has the same name in Unicode's form NFC")
        found[SOURCE + path] = body = read_bounded(file, path)
        size += len(body)
        check_count(len(found))
        check_size(size)
    return found


def read_bounded(file: Path, shown: str) -> bytes:
    """The content of a regular file, which no more than fits into an archive is read of.

    Raises:
        InvalidSource: it is none, or cannot be read.
        FileTooLarge: it does not fit.
    """
    try:
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise InvalidSource(shown, "it is no file")
            body = opened.read(MAX_FILE + 1)
    except OSError as error:
        raise InvalidSource(shown, f"it cannot be read: {error.strerror or error}") from error
    check_file_size(shown, len(body))
    return body


def _files(root: Path, excluded: Exclusions) -> Iterator[tuple[str, Path]]:
    """The files to be taken: their paths below ``root``, and where they are in truth."""
    top = _real(root, str(root))
    pending: list[tuple[str, tuple[Path, ...]]] = [("", (top,))]
    while pending:
        prefix, above = pending.pop()
        for name in _names(above[-1], prefix):
            path = unicodedata.normalize("NFC", prefix + name)
            if excluded.match(path):
                continue
            check_path(SOURCE + path)
            real = _real(above[-1] / name, path)
            if not real.is_relative_to(top):
                raise InvalidSource(path, "it is a link that leads out of the source")
            if not real.is_dir():
                yield path, real
            elif real in above:
                raise InvalidSource(path, "it is a link to a folder that it is in")
            elif not (real / _VENV).exists():
                pending.append((f"{path}/", (*above, real)))


def _names(folder: Path, shown: str) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise InvalidSource(shown, f"it cannot be read: {error.strerror or error}") from error


def _real(path: Path, shown: str) -> Path:
    try:
        return Path(os.path.realpath(path, strict=True))
    except OSError as error:
        raise InvalidSource(shown, f"it cannot be read: {error.strerror or error}") from error
