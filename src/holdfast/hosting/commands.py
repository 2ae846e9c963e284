"""Commands of others: with a time limit, their output in a log, and all of them stopped when that is asked for."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from holdfast.hosting.errors import VersionNotLoadable

_TAIL_LINES = 6
_TAIL_BYTES = 1000


class Commands:
    """The commands that one owner has under way, from any threads.

    Args:
        seconds: how long one may take.
    """

    def __init__(self, seconds: float) -> None:
        self.stopped = threading.Event()
        self._seconds = seconds
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()

    def run(
        self, doing: str, command: Sequence[str], *, directory: Path, log: Path, environment: Mapping[str, str]
    ) -> None:
        """Run ``command`` to its end; its output is appended to ``log``.

        Args:
            doing: what it does, for the messages.

        Raises:
            VersionNotLoadable: it could not be started, failed, took too long or was stopped; with its last lines.
        """
        with log.open("ab") as output:
            process = self._start(doing, command, directory, output.fileno(), environment)
        try:
            code = process.wait(self._seconds)
        except subprocess.TimeoutExpired:
            raise VersionNotLoadable(f"{doing} took longer than {self._seconds:g} s; see {log}.") from None
        finally:
            with self._lock:
                self._running.discard(process)
            _kill(process)
        if self.stopped.is_set():
            raise VersionNotLoadable(f"{doing} was stopped.")
        if code:
            raise VersionNotLoadable(f"{doing} failed ({code}): {tail(log)} All of it is in {log}.")

    def stop(self) -> None:
        """Kill what runs; nothing is started any more."""
        with self._lock:
            self.stopped.set()
            for process in self._running:
                _kill(process)

    def _start(
        self, doing: str, command: Sequence[str], directory: Path, output: int, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self.stopped.is_set():
                raise VersionNotLoadable(f"{doing} was stopped.")
            process = subprocess.Popen(  # noqa: S603
                command,
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # what it starts is killed with it, and no terminal's Ctrl-C reaches it
            )
            self._running.add(process)
            return process


def tail(log: Path) -> str:
    """The last lines of ``log`` as one."""
    with log.open("rb") as output:
        output.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = [line.strip() for line in output.read().decode(errors="replace").splitlines()]
    return " ".join([line for line in lines if line][-_TAIL_LINES:]) or "it said nothing."


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
