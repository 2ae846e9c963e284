"""The changes of a world as Server-Sent Events (WO-5)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple
from uuid import uuid4

import msgspec

from holdfast.worlds.aws.events import WorldEvent
from holdfast.worlds.aws.world import AwsWorld

HEARTBEAT_SECONDS = 15.0
MAX_KEPT, MAX_KEPT_BYTES = 10_000, 32 * 1024 * 1024
"""So much is kept for those who come back."""
_BATCH = 500
_RETRY_MILLISECONDS = 1000


class Wanted(NamedTuple):
    """Which changes somebody wants to hear of; ``None``: any."""

    account_id: str | None = None
    region: str | None = None
    service: str | None = None


class _Kept(NamedTuple):
    place: Wanted
    text: bytes


def _fits(wanted: Wanted, place: Wanted) -> bool:
    return all(asked in (None, there) for asked, there in zip(wanted, place, strict=True))


class Changes:
    """The latest changes of a world, for any number of followers, each at its own pace: who is too slow is told so,
    and nothing is kept for it.

    Ids of events are ``EPOCH-NUMBER``: those of another server's are known for foreign.

    Args:
        world: to be heard until :meth:`close`.
        heartbeat: seconds after which followers hear that nothing has happened.
    """

    def __init__(self, world: AwsWorld, *, heartbeat: float = HEARTBEAT_SECONDS) -> None:
        self._epoch = uuid4().hex[:12]
        self._heartbeat = heartbeat
        self._news = threading.Condition()
        self._kept: deque[_Kept] = deque()
        self._dropped: dict[Wanted, int] = {}
        self._size = 0
        self._count = 0
        self._closed = False
        self._unsubscribe = world.subscribe(self._hear)

    def close(self) -> None:
        """Followers come to their end."""
        self._unsubscribe()
        with self._news:
            self._closed = True
            self._news.notify_all()

    def follow(self, wanted: Wanted, last_id: str | None = None) -> Iterator[bytes]:
        """What happens from now on, or since ``last_id``, as an event stream; an event ``reset`` tells that changes
        were lost. The place in the stream is taken at once, not with the first item."""
        with self._news:
            place = self._count if last_id is None else self._place(last_id)
        return self._stream(wanted, place)

    def _stream(self, wanted: Wanted, place: int | None) -> Iterator[bytes]:
        yield f"retry: {_RETRY_MILLISECONDS}\n".encode()
        while True:
            place, told = self._behind(place, wanted)
            yield b"".join(told) or b": nothing new\n" + self._id(place) + b"\n"
            if not self._wait(wanted, place):
                return

    def _wait(self, wanted: Wanted, place: int) -> bool:
        """Wait for something wanted behind ``place``, or until it is time to say that there is nothing; false at the
        end of the stream."""
        seen = place

        def worth_telling() -> bool:
            nonlocal seen
            start, seen = seen, self._count
            news = (_fits(wanted, kept.place) for kept in self._later(start))
            return self._closed or self._lost(start, wanted) or any(news)

        with self._news:
            self._news.wait_for(worth_telling, self._heartbeat)
            return not self._closed

    def _behind(self, place: int | None, wanted: Wanted) -> tuple[int, list[bytes]]:
        """The events behind ``place``, and where they end."""
        told: list[bytes] = []
        with self._news:
            if place is None or self._lost(place, wanted):
                return self._count, [self._reset()]
            place = max(place, self._count - len(self._kept))
            for kept in self._later(place):
                place += 1
                if _fits(wanted, kept.place):
                    told.append(b"event: change\n" + self._id(place) + b"data: " + kept.text + b"\n\n")
                    if len(told) == _BATCH:
                        break
            return place, told

    def _lost(self, place: int, wanted: Wanted) -> bool:
        """Whether something wanted that came after ``place`` is not kept any more."""
        if place >= self._count - len(self._kept):
            return False
        return any(last > place and _fits(wanted, where) for where, last in self._dropped.items())

    def _later(self, place: int) -> list[_Kept]:
        """What is kept of what came after ``place``."""
        return [self._kept[at] for at in range(-min(self._count - place, len(self._kept)), 0)]

    def _reset(self) -> bytes:
        told = {"reason": "changes were lost", "remedy": "Read the state anew, then go on from here."}
        return b"event: reset\n" + self._id(self._count) + b"data: " + msgspec.json.encode(told) + b"\n\n"

    def _id(self, number: int) -> bytes:
        return f"id: {self._epoch}-{number}\n".encode()

    def _place(self, last_id: str) -> int | None:
        """Where in the stream an id is; ``None``: it is none of this stream's."""
        epoch, _, number = last_id.partition("-")
        if epoch != self._epoch or not (number.isascii() and number.isdigit() and len(number) < 20):
            return None
        return int(number) if int(number) <= self._count else None

    def _hear(self, event: WorldEvent) -> None:
        kept = _Kept(Wanted(event.account_id, event.region, event.service), msgspec.json.encode(event._asdict()))
        with self._news:
            self._kept.append(kept)
            self._count += 1
            self._size += len(kept.text)
            while len(self._kept) > MAX_KEPT or self._size > MAX_KEPT_BYTES:
                self._drop()
            self._news.notify_all()

    def _drop(self) -> None:
        """Keep the oldest no longer, but for which place it was of, and which number the last such had."""
        dropped = self._kept.popleft()
        self._size -= len(dropped.text)
        self._dropped[dropped.place] = self._count - len(self._kept)
