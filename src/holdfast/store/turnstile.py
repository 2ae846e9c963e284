"""A fair queue for processes that write to one SQLite file.

SQLite's own busy time-out polls: against one process that commits back to back, another can wait for seconds.
So writers pass two file locks beside the database. A writer takes the *gate*, then the *turn*, then lets the
gate go; whoever stands at the gate is next, and the one that just had its turn queues up behind it. The locks
belong to the open file, so that the kernel frees them when their holder dies.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

_PID = struct.Struct("<q")


class Turnstile:
    """One process's (one writer thread's) place at the turnstile of ``database``."""

    def __init__(self, database: Path) -> None:
        gate, self._turn_path = _lock_paths(database)
        self._gate = os.open(gate, os.O_RDWR | os.O_CREAT, 0o644)
        self._turn = os.open(self._turn_path, os.O_RDWR | os.O_CREAT, 0o644)
        self._pid = _PID.pack(os.getpid())

    def enter(self) -> None:
        """Wait for this writer's turn. Blocks for as long as another process holds it."""
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        try:
            os.pwrite(self._gate, self._pid, 0)
            fcntl.flock(self._turn, fcntl.LOCK_EX)
            os.pwrite(self._turn, self._pid, 0)
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)

    def leave(self) -> None:
        """Let the next writer in."""
        fcntl.flock(self._turn, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._gate)
        os.close(self._turn)


def holder(database: Path) -> int | None:
    """The pid that keeps writers from ``database`` now: it has the turn, or it stands at the gate and does not take the
    free turn. ``None`` when they may pass."""
    gate, turn = _lock_paths(database)
    return _locked_by(turn) or _locked_by(gate)


def _locked_by(path: Path) -> int | None:
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        noted = os.pread(fd, _PID.size, 0)
        return int(_PID.unpack(noted)[0]) if len(noted) == _PID.size else None
    else:
        return None
    finally:
        os.close(fd)


def _lock_paths(database: Path) -> tuple[Path, Path]:
    return database.with_name(database.name + "-gate"), database.with_name(database.name + "-turn")
