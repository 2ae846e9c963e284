"""Queues, their limits, and whose turn it is. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import Any, NamedTuple

from holdfast.clock import MICROS_PER_SECOND
from holdfast.flows.queues.errors import InvalidQueue

MAX_NAME = 200
MAX_LIMIT = 1_000_000
MAX_RATE = 100_000
"""Starts in a rate's window are counted one by one."""
_MAX_SPAN = 366 * 86_400 * MICROS_PER_SECOND
_MICROSECOND = timedelta(microseconds=1)
UNLIMITED = 1 << 30


class Turn(IntEnum):
    """Which turn a flow takes among those of its queue and priority: the smaller first."""

    CANCELLED = 0
    """Somebody wants it to end: it cleans up, even while its queue is paused."""
    BEGUN = 1
    """It was parked or taken over."""
    NEW = 2
    """It never ran; only these count against a rate."""
    SUSPECT = 3
    """Several workers in a row died on it (FL-19)."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many starts in any window of so much time.

    Attributes:
        count: of flows that begin, up to 100,000.
        per: seconds or timedelta, up to a year.

    Raises:
        InvalidQueue: it cannot be a rate.
    """

    count: int
    per: float | timedelta

    def __post_init__(self) -> None:
        _check_limit("A rate's count", self.count, MAX_RATE)
        if isinstance(self.per, bool) or not isinstance(self.per, int | float | timedelta):
            raise InvalidQueue(f"A rate is per seconds or timedelta, not {self.per!r}.")
        span = self.per.total_seconds() if isinstance(self.per, timedelta) else self.per
        if not 1 / MICROS_PER_SECOND <= span <= _MAX_SPAN / MICROS_PER_SECOND:
            raise InvalidQueue(
                f"A rate cannot be per {self.per!r}.", remedy="Use more than 0 seconds and up to a year."
            )

    @property
    def micros(self) -> int:
        """The window."""
        if isinstance(self.per, timedelta):
            return self.per // _MICROSECOND
        return round(self.per * MICROS_PER_SECOND)


@dataclass(frozen=True, slots=True)
class Queue:
    """A named queue and its limits on the flows that run, all workers together; ``None`` is no limit.

    Attributes:
        name: 1 to 200 printable characters.
        concurrency: flows that run at once.
        per_worker: flows that one worker runs at once.
        per_key: flows of one key that run at once.
        rate: how many begin in a window of time; ``(count, seconds)`` will do.

    Raises:
        InvalidQueue: a name or limit that cannot be.
    """

    name: str
    concurrency: int | None = None
    per_worker: int | None = None
    per_key: int | None = None
    rate: Rate | tuple[int, float] | None = None

    def __post_init__(self) -> None:
        name: object = self.name
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
            raise InvalidQueue(
                f"{self.name!r:.80} cannot be the name of a queue.", remedy=f"Use 1 to {MAX_NAME} printable characters."
            )
        for what in ("concurrency", "per_worker", "per_key"):
            if getattr(self, what) is not None:
                _check_limit(what, getattr(self, what), MAX_LIMIT)
        if isinstance(self.rate, tuple):
            if len(self.rate) != 2:
                raise InvalidQueue(f"{self.rate!r} is no rate.")
            object.__setattr__(self, "rate", Rate(*self.rate))
        elif not isinstance(self.rate, Rate | None):
            raise InvalidQueue(f"{self.rate!r} is no rate.")

    @property
    def limits(self) -> Limits:
        """Its limits as they are stored."""
        rate = self.rate
        assert not isinstance(rate, tuple)
        return Limits(
            self.concurrency, self.per_worker, self.per_key, rate.count if rate else None, rate.micros if rate else None
        )


class Limits(NamedTuple):
    """The limits of a queue, the rate in micros."""

    concurrency: int | None = None
    per_worker: int | None = None
    per_key: int | None = None
    rate_limit: int | None = None
    rate_micros: int | None = None

    def of(self, name: str) -> Queue:
        """The queue of that name with these limits."""
        limit, micros = self.rate_limit, self.rate_micros
        rate = None if limit is None or micros is None else Rate(limit, timedelta(microseconds=micros))
        return Queue(name, self.concurrency, self.per_worker, self.per_key, rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStanding:
    """A queue as it is now.

    Attributes:
        queue: its name and limits.
        paused: nothing begins or goes on in it.
        ready: flows that wait for a slot.
        running: flows that have one.
        later: flows that are not due yet.
    """

    queue: Queue
    paused: bool
    ready: int
    running: int
    later: int

    def as_object(self) -> dict[str, Any]:
        """For JSON; a rate's window in seconds."""
        limits = self.queue.limits
        micros = limits.rate_micros
        return {
            "name": self.queue.name,
            "concurrency": limits.concurrency,
            "per_worker": limits.per_worker,
            "per_key": limits.per_key,
            "rate": None if micros is None else {"count": limits.rate_limit, "seconds": micros / MICROS_PER_SECOND},
            "paused": self.paused,
            "ready": self.ready,
            "running": self.running,
            "later": self.later,
        }


class Room(NamedTuple):
    """What a queue has room for, derived from the flows that run.

    Attributes:
        queue: its name.
        declared: it exists; flows in one that was removed have no limits.
        running, own: flows that run, here and there; flows that this worker runs.
        begun: flows that began in the rate's window.
        first_begun: when the first of them began, micros.
    """

    queue: str
    declared: bool
    paused: bool
    concurrency: int | None
    per_worker: int | None
    per_key: int | None
    rate_limit: int | None
    rate_micros: int | None
    running: int | None
    own: int | None
    begun: int
    first_begun: int | None

    @property
    def free(self) -> int:
        """How many more may run on this worker."""
        here = UNLIMITED if self.per_worker is None else self.per_worker - (self.own or 0)
        everywhere = UNLIMITED if self.concurrency is None else self.concurrency - (self.running or 0)
        return max(0, min(here, everywhere))

    @property
    def beginnings(self) -> int:
        """How many more may begin now."""
        return UNLIMITED if self.rate_limit is None else max(0, self.rate_limit - self.begun)

    @property
    def each_key(self) -> int:
        """How many of one key may run."""
        return UNLIMITED if self.per_key is None else self.per_key

    @property
    def opens_at(self) -> int | None:
        """When the rate lets another one begin, micros; ``None``: it does now."""
        if self.beginnings or self.first_begun is None:
            return None
        return self.first_begun + (self.rate_micros or 0)

    def admits(self, turns: Iterable[Turn]) -> set[Turn]:
        """Which of ``turns`` may be served now, slots aside."""
        if self.paused:
            return set(turns) & {Turn.CANCELLED}
        return {turn for turn in turns if turn is not Turn.NEW or self.beginnings}


def in_rounds(waiting: Mapping[str, Sequence[int]], limit: int) -> list[tuple[str, int]]:
    """Serve keys in rounds, one flow each: up to ``limit`` keys and flows, in order.

    Args:
        waiting: flows by key, in the order in which the keys take turns.
    """
    rounds = range(max(map(len, waiting.values()), default=0))
    return [(key, flows[n]) for n in rounds for key, flows in waiting.items() if n < len(flows)][:limit]


def _check_limit(what: str, limit: object, most: int) -> None:
    if type(limit) is not int or not 1 <= limit <= most:
        raise InvalidQueue(f"{what} cannot be {limit!r}.", remedy=f"Use a whole number from 1 to {most:,}.")
