"""What a worker waits for: timers of the flows in memory, and the moment at which the store has a flow due."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from holdfast.clock import Clock

COMPACT = 64


@dataclass(order=True, slots=True)
class Entry:
    """Something to call at a moment; nothing once it was called or dropped."""

    micros: int
    ticket: int
    act: Callable[[], None] | None = field(compare=False)


class Alarms:
    """Calls back on the running event loop when the clock says so.

    Args:
        clock: says when it is time.
        idle: whether there is nothing else to do, so that a virtual clock may jump.
        rang: called after whatever was due has been called.
    """

    def __init__(self, clock: Clock, *, idle: Callable[[], bool], rang: Callable[[], None]) -> None:
        self._clock = clock
        self._idle = idle
        self._rang = rang
        self._loop = asyncio.get_running_loop()
        self._due: list[Entry] = []
        self._dropped = 0
        self._ticket = count()
        self._outlook: tuple[int, Callable[[], None]] | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._set_for = 0

    def at(self, micros: int, act: Callable[[], None]) -> Entry:
        """Call ``act`` at ``micros``, unless the entry is dropped before."""
        entry = Entry(micros, next(self._ticket), act)
        heapq.heappush(self._due, entry)
        if not self._handle or micros < self._set_for:
            self.arm()
        return entry

    def drop(self, entry: Entry | None) -> None:
        """Call nobody for ``entry``, and keep nothing it refers to."""
        if entry is None or entry.act is None:
            return
        entry.act = None
        self._dropped += 1
        if self._dropped > COMPACT and 2 * self._dropped > len(self._due):
            self._due = [entry for entry in self._due if entry.act]
            heapq.heapify(self._due)
            self._dropped = 0

    def look_at(self, micros: int | None, act: Callable[[], None]) -> None:
        """Call ``act`` at ``micros``, in place of what was asked for here before."""
        self._outlook = None if micros is None else (micros, act)

    def arm(self) -> None:
        """Set the alarm for whatever is due first."""
        self._disarm()
        moments = [self._due[0].micros] if self._due else []
        moments += [self._outlook[0]] if self._outlook else []
        if not moments:
            return
        self._set_for = min(moments)
        delay = self._clock.delay_until(self._set_for, idle=self._idle())
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
        while self._due and self._due[0].micros <= now:
            entry = heapq.heappop(self._due)
            act, entry.act = entry.act, None
            if act:
                act()
            else:
                self._dropped = max(0, self._dropped - 1)
        if self._outlook and self._outlook[0] <= now:
            (_, act), self._outlook = self._outlook, None
            act()
        self._rang()
        self.arm()
