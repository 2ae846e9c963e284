"""Holds: names that one process at a time has, for as long as it lives and likes.

A transaction's locks end with it; a hold goes on over many. It is the kernel's or the server's, so that it ends with
its holder, however that dies, and a holder that is merely frozen keeps it. Releasing one again does nothing: it may be
somebody else's by then.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path

_files: dict[object, int] = {}
"""The open file of each hold of this process."""


class NamedHolds:
    """The holds of a database that only this process can see."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, object] = {}

    def take(self, name: str) -> Callable[[], None] | None:
        """Hold ``name``; gives its release, or ``None`` when somebody has it."""
        hold = object()
        with self._lock:
            if self._held.setdefault(name, hold) is not hold:
                return None
        return lambda: self._release(name, hold)

    def _release(self, name: str, hold: object) -> None:
        with self._lock:
            if self._held.get(name) is hold:
                del self._held[name]


def take_file(path: Path, *, fleeting: bool = False) -> Callable[[], None] | None:
    """Hold the lock of the file ``path``; gives its release, or ``None`` when somebody has it.

    Args:
        fleeting: the file goes with the hold. Who opened it just before holds a file that is no more: that nobody asks
            for the name again is the callers' business.

    Raises:
        OSError: the file cannot be made or locked.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise
    hold = object()
    _files[hold] = fd
    return lambda: _release_file(hold, path if fleeting else None)


def _release_file(hold: object, gone: Path | None) -> None:
    fd = _files.pop(hold, None)
    if fd is not None:
        if gone is not None:
            gone.unlink(missing_ok=True)
        fcntl.flock(fd, fcntl.LOCK_UN)  # closing would not do while a child, just forked, has the file open as well
        os.close(fd)


def _close_in_child() -> None:
    """A forked child has its parent's files, and would keep the holds of a parent that died."""
    while _files:
        os.close(_files.popitem()[1])


os.register_at_fork(after_in_child=_close_in_child)
