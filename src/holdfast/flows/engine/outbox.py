"""Groups that form by themselves: what arrives while one group is on its way makes up the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
MAX_GROUP = 1000


class Outbox(Generic[T, R]):
    """Items for the store, sent in groups, one group at a time and in order.

    A group leaves with a :meth:`flush`. While one is on its way flushes are ignored: whoever takes its answer
    flushes again, when what the answer set in motion has joined what waited.

    Args:
        write: makes a group durable; what it raises ends :meth:`run`.
        written: takes a group and what ``write`` returned; must flush.
    """

    def __init__(
        self, write: Callable[[list[T]], Awaitable[R]], written: Callable[[list[T], R], Awaitable[None]]
    ) -> None:
        self._write = write
        self._written = written
        self._items: list[T] = []
        self._writing = False
        self._due = False
        self._wake: asyncio.Future[None] | None = None

    def put(self, item: T) -> None:
        """Add an item; it leaves with the next group."""
        self._items.append(item)

    def flush(self) -> None:
        """Let what waits leave."""
        if self._items and not self._writing:
            self._due = True
            if self._wake is not None and not self._wake.done():
                self._wake.set_result(None)

    @property
    def empty(self) -> bool:
        """Nothing waits and nothing is on its way."""
        return not self._items and not self._writing

    def clear(self) -> None:
        """Drop what waits."""
        self._items = []

    async def run(self) -> None:
        """Send for ever."""
        loop = asyncio.get_running_loop()
        while True:
            while not (self._due and self._items):
                self._wake = loop.create_future()
                await self._wake
            group, self._items = self._items[:MAX_GROUP], self._items[MAX_GROUP:]
            self._writing = True
            try:
                result = await self._write(group)
            finally:
                self._writing = self._due = False
            await self._written(group, result)
