"""What a worker waits for: timers of the flows in memory, and the moment at which the store has a flow due."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count

from holdfast.clock import Clock


class Alarms:
    """Calls back on the running event loop when the clock says so.

    Args:
        clock: says when it is time.
        quiet: whether there is nothing else to do, so that a virtual clock may jump.
        rang: called after whatever was due has been called.
    """

    def __init__(self, clock: Clock, *, quiet: Callable[[], bool], rang: Callable[[], None]) -> None:
        self._clock = clock
        self._quiet = quiet
        self._rang = rang
        self._loop = asyncio.get_running_loop()
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._ticket = count()
        self._outlook: tuple[int, Callable[[], None]] | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._set_for = 0

    def at(self, micros: int, act: Callable[[], None]) -> None:
        """Call ``act`` at ``micros``."""
        heapq.heappush(self._due, (micros, next(self._ticket), act))
        if not self._handle or micros < self._set_for:
            self.arm()

    def look_at(self, micros: int | None, act: Callable[[], None]) -> None:
        """Call ``act`` at ``micros``, in place of what was asked for here before."""
        self._outlook = None if micros is None else (micros, act)

    def arm(self) -> None:
        """Set the alarm for whatever is due first."""
        self._disarm()
        moments = [entry[0] for entry in (self._due[0] if self._due else None, self._outlook) if entry]
        if not moments:
            return
        self._set_for = min(moments)
        delay = self._clock.delay_until(self._set_for, idle=self._quiet())
        if delay is not None:
            self._handle = self._loop.call_later(delay, self._ring)

    def clear(self) -> None:
        """Forget everything."""
        self._disarm()
        self._due.clear()
        self._outlook = None

    def _disarm(self) -> None:
        if self._handle:
            self._handle.cancel()
            self._handle = None

    def _ring(self) -> None:
        self._handle = None
        now = self._clock.micros()
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
        if self._outlook and self._outlook[0] <= now:
            (_, act), self._outlook = self._outlook, None
            act()
        self._rang()
        self.arm()
