"""``python -m holdfast.hosting.child FD``: serve a package's flows over the socket with that file descriptor."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import socket
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from holdfast import codec
from holdfast.clock import SystemClock
from holdfast.errors import HoldfastError
from holdfast.flows.ambient import current_store_var
from holdfast.flows.engine.options import WorkerOptions
from holdfast.flows.engine.worker import Worker
from holdfast.flows.workflows import module_workflows
from holdfast.hosting.child import contents
from holdfast.hosting.child.lease import ToldLease
from holdfast.hosting.child.port import FramePort
from holdfast.hosting.child.transaction import NoStore
from holdfast.hosting.errors import ProtocolError
from holdfast.hosting.frames.channel import Channel
from holdfast.hosting.frames.verbs import PROTOCOL, Hello, Welcome
from holdfast.store import Store

log = logging.getLogger("holdfast.hosting")
ORPHANED = 70
"""Exit code of a process whose supervisor is gone: nothing that it does would be recorded any more."""
_SET_DEATH_SIGNAL = 1


class Child:
    """The process's end of the channel."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._welcome: asyncio.Future[Welcome] = asyncio.get_running_loop().create_future()
        self._channel: Channel | None = None
        self._lease: ToldLease | None = None
        self._worker: Worker | None = None
        self._task: asyncio.Task[None] | None = None
        self._draining = False

    async def serve(self, end: socket.socket) -> None:
        """Until the supervisor says so."""
        self._channel = await Channel.open(end, self, {})
        welcome = await self._welcome
        hello, served = _loaded(welcome)
        await self._channel.call("hello", hello)
        if served and not self._draining:
            self._task = asyncio.create_task(self._work(self._channel, welcome))
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()

    async def _work(self, channel: Channel, welcome: Welcome) -> None:
        options = WorkerOptions(
            concurrency=welcome.concurrency,
            threads=welcome.threads,
            max_payload_bytes=welcome.max_payload_bytes,
            park_after=welcome.park_after,
            drain=welcome.drain,
        )
        current_store_var.set(cast(Store, NoStore()))
        self._lease = ToldLease(channel, self._clock)
        port = FramePort(channel, self._clock)
        self._worker = Worker(
            port, self._lease, module_workflows, self._clock, options, ended=lambda _: None, flushed=lambda: None
        )
        await self._worker.run(lambda: None)

    # -- the channel's side ------------------------------------------------------------------------------------

    def asked(self, verb: str, args: tuple[Any, ...]) -> asyncio.Future[Any]:
        raise ProtocolError("Nobody asks this end.")

    def told(self, verb: str, args: tuple[Any, ...]) -> None:
        if verb == "welcome" and not self._welcome.done():
            self._welcome.set_result(args[0])
        elif verb == "ping" and self._channel is not None:
            self._channel.tell("pong", *args)
        elif verb == "drain":
            self._draining = True
            if self._task is not None:
                self._task.cancel()
        elif self._worker is None or self._lease is None:
            return
        elif verb == "wake":
            self._worker.wake()
        elif verb == "held":
            self._lease.renewed(args[0])
        elif verb == "fenced":
            self._worker.fence(args[0])

    def lost(self, error: HoldfastError) -> None:
        if isinstance(error, ProtocolError):
            log.critical("the supervisor is not to be understood: %s", error.message)
        os._exit(ORPHANED)


def _loaded(welcome: Welcome) -> tuple[Hello, bool]:
    """What to say, and whether flows can be served."""
    found, problem = "{}", None
    try:
        found = codec.encode(contents.load(Path(welcome.source), welcome.modules))
    except Exception as error:  # whatever a package's modules raise
        problem = contents.told(error, Path(welcome.source))
    version = ".".join(map(str, sys.version_info[:3]))
    hello = Hello(min(PROTOCOL, welcome.protocol), metadata.version("holdfast"), version, found, problem)
    return hello, welcome.serve and problem is None


def main() -> None:
    """Serve until told to stop, or until the supervisor is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches everybody; the supervisor decides
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)  # however the supervisor ends, nobody stays behind
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    end = socket.socket(fileno=int(sys.argv[1]))
    asyncio.run(_serve(end))


async def _serve(end: socket.socket) -> None:
    await Child().serve(end)


if __name__ == "__main__":
    main()
