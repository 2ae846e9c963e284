"""A clock that tests move: months pass in milliseconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from holdfast.clock import MICROS_PER_SECOND, to_datetime, to_micros

_START = datetime(2030, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class VirtualClock:
    """A :class:`holdfast.clock.Clock` whose date stands still until it is moved. Safe to use from any thread.

    ``advance`` and ``jump`` move the date alone, as if everybody had been alive all along: timers fall due, workers
    keep their leases. ``lapse`` moves monotonic time as well, as if this process had been frozen for that span: its
    leases are in doubt (FL-11). With ``auto`` the clock jumps by itself: whoever has nothing left to do but wait for
    a moment finds that the moment has come.

    Args:
        start: the first moment; with a time zone.
        auto: jump whenever a caller of :meth:`delay_until` is idle. Meant for one worker: another one's running
            steps see the date jump under them.

    Raises:
        ValueError: ``start`` has no time zone.
    """

    def __init__(self, start: datetime = _START, *, auto: bool = False) -> None:
        self._lock = threading.Lock()
        self._micros = to_micros(start)
        self._lapsed_micros = 0
        self._auto = auto
        self._subscribers: list[Callable[[], None]] = []

    def micros(self) -> int:
        """The present moment, in microseconds since the epoch (UTC)."""
        return self._micros

    def now(self) -> datetime:
        """The present moment, timezone-aware UTC."""
        return to_datetime(self._micros)

    def monotonic(self) -> float:
        """The machine's own, and what :meth:`lapse` added."""
        return time.monotonic() + self._lapsed_micros / MICROS_PER_SECOND

    def advance(self, span: timedelta | float) -> datetime:
        """Move the date by ``span`` (a timedelta or seconds) and tell the subscribers; returns the new moment.

        Raises:
            ValueError: a negative span; time does not go back.
        """
        return self._move(_microseconds(span), 0)

    def lapse(self, span: timedelta | float) -> datetime:
        """:meth:`advance`, and monotonic time with it.

        Raises:
            ValueError: a negative span.
        """
        return self._move(_microseconds(span), _microseconds(span))

    def jump(self, moment: datetime) -> None:
        """Move the date to ``moment``, unless it has passed already, and tell the subscribers.

        Raises:
            ValueError: ``moment`` has no time zone.
        """
        self._jump(to_micros(moment))

    def delay_until(self, micros: int, *, idle: bool) -> float | None:
        """0.0 once ``micros`` has come (an idle caller's jump included); ``None`` while it lies ahead."""
        if self._auto and idle:
            self._jump(micros)
        return 0.0 if micros <= self._micros else None

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have ``changed`` called, in the thread that moves the clock, after each jump; returns the unsubscribe."""
        with self._lock:
            self._subscribers.append(changed)

        def unsubscribe() -> None:
            with self._lock:
                if changed in self._subscribers:
                    self._subscribers.remove(changed)

        return unsubscribe

    def _move(self, micros: int, lapsed: int) -> datetime:
        with self._lock:
            self._micros += micros
            self._lapsed_micros += lapsed
            moment = to_datetime(self._micros)
        self._tell()
        return moment

    def _jump(self, micros: int) -> None:
        with self._lock:
            if micros <= self._micros:
                return
            self._micros = micros
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            subscribers = list(self._subscribers)
        for changed in subscribers:
            changed()


def _microseconds(span: timedelta | float) -> int:
    """Raises:
    ValueError: a negative span.
    """
    micros = (span if isinstance(span, timedelta) else timedelta(seconds=span)) // _MICROSECOND
    if micros < 0:
        raise ValueError(f"a clock cannot be moved by {span}: time does not go back")
    return micros
