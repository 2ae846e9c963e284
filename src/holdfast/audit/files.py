"""Files beside the store: read whole or by line, and made only where there was none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from holdfast.audit.errors import FileTaken, FileUnusable


def refuse_taken(path: Path) -> None:
    """Raises:
    FileTaken: there is something at ``path``, be it a broken link.
    """
    if os.path.lexists(path):
        raise FileTaken(f"{path} exists.")


@contextmanager
def new_file(path: Path, *, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file that must not exist yet, on the disk at the end of the block; gone again where the block fails.

    Raises:
        FileTaken: it exists; it is not touched.
        FileUnusable: it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise FileTaken(f"{path} exists.") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise unusable(path, "written", error) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise unusable(path, "written", error) from error
        raise


def open_file(path: Path) -> BinaryIO:
    """An existing file, to read.

    Raises:
        FileUnusable: it cannot be opened.
    """
    try:
        return path.open("rb")
    except (OSError, ValueError) as error:
        raise unusable(path, "read", error) from error


def unusable(path: Path, done: str, error: OSError | ValueError) -> FileUnusable:
    """The error for a file that cannot be read or written."""
    return FileUnusable(f"{path} cannot be {done}: {getattr(error, 'strerror', None) or error}.")
