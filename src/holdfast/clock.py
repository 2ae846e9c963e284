"""Time, read in one place only.

Everything that asks for the time asks a :class:`Clock`, so that tests can hand in a virtual one
(:class:`holdfast.testing.VirtualClock`) and let months pass in milliseconds. Instants travel as integer
microseconds since the Unix epoch, UTC ("micros"): exact, comparable and the same on both databases.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from holdfast.errors import InvalidInput

MICROS_PER_SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_REMEDY = "Use datetime.now(UTC), or attach a time zone."


def to_datetime(micros: int) -> datetime:
    """The timezone-aware UTC instant of ``micros``."""
    return _EPOCH + timedelta(microseconds=micros)


def to_micros(moment: datetime) -> int:
    """Microseconds since the epoch of ``moment``.

    Raises:
        InvalidInput: ``moment`` has no time zone, so that it names no instant, or is beyond the years 1 to 9999 in UTC.
    """
    if not isinstance(moment, datetime):
        raise InvalidInput(f"{moment!r} is no datetime.", remedy=_REMEDY)
    if moment.tzinfo is None:
        raise InvalidInput(f"{moment!r} has no time zone.", remedy=_REMEDY)
    micros = (moment - _EPOCH) // _MICROSECOND
    if not _FIRST <= micros <= _LAST:
        raise InvalidInput(f"{moment!r} is beyond the years 1 to 9999 in UTC.", remedy=_REMEDY)
    return micros


class Clock(Protocol):
    """Where time is read. All methods may be called from any thread."""

    def micros(self) -> int:
        """Now, in microseconds since the epoch (UTC)."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; for measuring spans within this process, such as leases (FL-11)."""
        ...

    def delay_until(self, micros: int, *, idle: bool) -> float | None:
        """Real seconds to wait until ``micros`` is worth looking at; ``None``: until a subscriber is called.

        Args:
            idle: the caller has nothing else to do before then; a virtual clock may jump.
        """
        ...

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have ``changed`` called when time jumps; returns the unsubscribe."""
        ...


class SystemClock:
    """The machine's own clock."""

    def micros(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()

    def delay_until(self, micros: int, *, idle: bool) -> float | None:
        return max(0.0, (micros - self.micros()) / MICROS_PER_SECOND)

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        return lambda: None
