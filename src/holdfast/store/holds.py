"""Holds: names that one process at a time has, for as long as it lives and likes.

A transaction's locks end with it; a hold goes on over many. It is the kernel's or the server's, so that it ends with
its holder, however that dies, and a holder that is merely frozen keeps it.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path


class NamedHolds:
    """The holds of a database that only this process can see."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: set[str] = set()

    def take(self, name: str) -> Callable[[], None] | None:
        """Hold ``name``; gives its release, or ``None`` when somebody has it."""
        with self._lock:
            if name in self._held:
                return None
            self._held.add(name)
        return lambda: self._held.discard(name)


def take_file(path: Path) -> Callable[[], None] | None:
    """Hold the lock of the file ``path``; gives its release, or ``None`` when somebody has it.

    Raises:
        OSError: the file cannot be made.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return lambda: os.close(fd)
