"""What running steps report of their progress, written now and then."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from holdfast.clock import Clock
from holdfast.errors import StoreError
from holdfast.flows.engine.calls import Call
from holdfast.flows.engine.port import EnginePort, Progress
from holdfast.flows.errors import LeaseLost

log = logging.getLogger("holdfast.flows")
SECONDS = 0.5
"""Between two writings."""


class Reporting(Protocol):
    """Under whose lease they are written."""

    @property
    def epoch(self) -> int: ...

    def fence(self, epoch: int) -> None: ...


class Reports:
    """The latest report of each running step, until it is written.

    Args:
        home: under whose lease.
        port: the engine's way to the store.
        spawn: does something beside.
        clock: stamps the reports.
    """

    def __init__(
        self, home: Reporting, port: EnginePort, spawn: Callable[[Coroutine[Any, Any, None]], None], clock: Clock
    ) -> None:
        self._home = home
        self._port = port
        self._spawn = spawn
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._latest: dict[Call, Progress] = {}

    def take(self, call: Call) -> None:
        """Take what a step reports; from any thread."""
        with contextlib.suppress(RuntimeError):  # a late thread of a worker that has ended
            self._loop.call_soon_threadsafe(self._note, call)

    def drop(self, call: Call) -> None:
        """Its step has ended: nothing of it is of interest any more."""
        self._latest.pop(call, None)

    def clear(self) -> None:
        """Drop all of them."""
        self._latest.clear()

    def _note(self, call: Call) -> None:
        if call.abandoned or call.recorded or call.progress is None:
            return
        if not self._latest:
            self._loop.call_later(SECONDS, lambda: self._spawn(self._write()))
        call.reported = True
        self._latest[call] = Progress(call.run.num, call.run_id, *call.progress, self._clock.micros())

    async def _write(self) -> None:
        """What steps report is shown, not needed: where it cannot be written, the next one will be."""
        told, self._latest = list(self._latest.values()), {}
        try:
            if told:
                await self._port.report(self._home.epoch, told)
        except LeaseLost as error:
            self._home.fence(error.epoch)
        except StoreError as error:
            log.warning("progress cannot be written now: %s", error)
