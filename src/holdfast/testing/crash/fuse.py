"""The end of a process, real or rehearsed, at a chosen point."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

from holdfast.errors import StoreError

TIMEOUT_SECONDS = 60.0
_dying = threading.Lock()


class Killed(StoreError):
    """What the killed part of the program sees of the database from its end on."""

    code = "killed"
    remedy = "Nothing: this is a rehearsal."


class Fuse:
    """A probe that ends everything at write point number ``point``."""

    def __init__(self, point: int, blow: Callable[[str], None]) -> None:
        self.where: str | None = None
        self._left = point
        self._blow = blow
        self._lock = threading.Lock()

    def __call__(self, where: str) -> None:
        with self._lock:
            self._left -= 1
            if self._left > 0:
                return
            self.where = self.where or where
        self._blow(where)


def rehearse(where: str) -> None:
    """The rehearsed end: whoever asks for more hears that it is over."""
    raise Killed("The process was killed.")


def die(where: str) -> None:
    """The real end of this process; its parent reads on stdout where that was."""
    with _dying:  # of several threads the first to come says where
        os.write(1, where.encode())
        os.kill(os.getpid(), signal.SIGKILL)


def kill_process(module: str, *arguments: str) -> str | None:
    """Run ``python -m module`` with the arguments, which is to :func:`die`; where it did, or ``None`` if it ended well.

    Raises:
        RuntimeError: it failed by itself.
    """
    command = [sys.executable, "-m", module, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)  # noqa: S603
    if ended.returncode == -signal.SIGKILL:
        return ended.stdout.strip() or "?"
    if ended.returncode:
        raise RuntimeError(f"the run to be killed failed by itself: {ended.stderr}")
    return None


def named(reference: str) -> Any:
    """What ``module:attribute`` names."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)
