"""Groups that form by themselves: what arrives while one group is on its way makes up the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")
MAX_GROUP = 1000


class Outbox(Generic[T]):
    """Items for the store, sent in groups, one group at a time and in order.

    Args:
        send: takes a group; what it raises ends :meth:`run`.
    """

    def __init__(self, send: Callable[[list[T]], Awaitable[None]]) -> None:
        self._send = send
        self._items: list[T] = []
        self._sending = False
        self._wake: asyncio.Future[None] | None = None

    def put(self, item: T) -> None:
        """Add an item; it leaves with the next group."""
        self._items.append(item)
        self.poke()

    def poke(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    @property
    def empty(self) -> bool:
        """Nothing waits and nothing is on its way."""
        return not self._items and not self._sending

    def clear(self) -> None:
        """Drop what waits."""
        self._items = []

    async def run(self) -> None:
        """Send for ever."""
        loop = asyncio.get_running_loop()
        while True:
            while not self._items:
                self._wake = loop.create_future()
                await self._wake
            group, self._items = self._items[:MAX_GROUP], self._items[MAX_GROUP:]
            self._sending = True
            try:
                await self._send(group)
            finally:
                self._sending = False
