"""A process that runs a version, from its birth to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from holdfast.hosting.errors import VersionNotLoadable
from holdfast.hosting.frames.channel import Channel, Side
from holdfast.hosting.frames.verbs import VERBS, Welcome

log = logging.getLogger("holdfast.hosting")
HANG_UP_SECONDS = 2.0
CALLS_PER_FLOW = 3
SPARE_CALLS = 100
"""So many calls of a process may wait for their answers, beside those of its flows."""
_STDERR = 2
_WITHHELD = (
    *("HOLDFAST_URL", "HOLDFAST_AUDIT_KEY", "PGPASSWORD", "PGPASSFILE"),
    *("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"),
)
"""Environment variables that would lead it to the store, sign in its name, or mix the environments."""


class Process:
    """A child process with its channel. Made by :meth:`spawn`.

    Attributes:
        channel: this side's end.
        pid: its process id.
    """

    def __init__(self, process: asyncio.subprocess.Process, channel: Channel) -> None:
        self.channel = channel
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def spawn(
        cls, interpreter: Path, side: Side, welcome: Welcome, connected: Callable[[Channel], None]
    ) -> Process:
        """Start one and welcome it.

        Args:
            interpreter: of the version's environment.
            side: who answers its calls.
            connected: is given the channel before anything is said on it.

        Raises:
            VersionNotLoadable: the interpreter cannot be run.
        """
        birth = asyncio.ensure_future(cls._spawn(interpreter, side, welcome, connected))
        try:
            return await asyncio.shield(birth)
        except asyncio.CancelledError:
            with contextlib.suppress(VersionNotLoadable):  # nobody would end what is born meanwhile
                await (await birth).end()
            raise

    @classmethod
    async def _spawn(
        cls, interpreter: Path, side: Side, welcome: Welcome, connected: Callable[[Channel], None]
    ) -> Process:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await asyncio.create_subprocess_exec(
                    str(interpreter),
                    *("-I", "-B", "-u", "-m", "holdfast.hosting.child", str(theirs.fileno())),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=_STDERR,  # what the supervisor says of itself stays readable by programs
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                    env={name: value for name, value in os.environ.items() if name not in _WITHHELD},
                )
            except OSError as error:
                ours.close()
                raise VersionNotLoadable(f"{interpreter} cannot be run: {error}.") from error
        most = CALLS_PER_FLOW * welcome.concurrency + SPARE_CALLS
        born = cls(process, await Channel.open(ours, side, VERBS, most))
        connected(born.channel)
        born.channel.tell("welcome", welcome)
        return born

    async def ended(self) -> int:
        """Wait for its end; its exit code, negative for a signal."""
        return await self._process.wait()

    async def hung_up(self) -> str:
        """How it ended, in words, once its end of the channel is closed: one that goes on without it is killed."""
        try:
            async with asyncio.timeout(HANG_UP_SECONDS):
                return told_end(await self.ended())
        except TimeoutError:
            self.kill()
            await self.ended()
            return "closed its end of the channel"

    def kill(self) -> None:
        """End it, and whatever it has started, at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> int:
        """End it at once and for good; its exit code."""
        self.kill()
        code = await self.ended()
        self.channel.close()
        return code

    async def drain(self, seconds: float) -> None:
        """Let it bring its steps to an end, for so long, and see to its end."""
        self.channel.tell("drain")
        try:
            async with asyncio.timeout(seconds):
                await self.ended()
        except TimeoutError:
            log.warning("process %d did not end in %g s; it is killed", self.pid, seconds)
        finally:
            self.kill()
            await self.ended()


def told_end(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"
