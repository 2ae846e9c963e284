"""Locks of files that may be deleted by whoever has them for itself; the kernel frees them when their holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def take_shared(path: Path) -> int | None:
    """Have the file at ``path`` along with others who share it; ``None``: somebody has it for itself.

    It is freed by closing the descriptor.
    """
    return _take(path, fcntl.LOCK_SH)


def take_alone(path: Path) -> int | None:
    """Have the file at ``path`` for oneself; ``None``: somebody has it, in this process or another one.

    It is freed by closing the descriptor.
    """
    return _take(path, fcntl.LOCK_EX)


def _take(path: Path, kind: int) -> int | None:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            if _is_at(path, descriptor):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # it was deleted by its last holder meanwhile: nobody else will come to this one


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
