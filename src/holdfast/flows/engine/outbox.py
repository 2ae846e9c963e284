"""Groups that form by themselves: what arrives while one group is on its way makes up the next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from holdfast.errors import StoreError

T = TypeVar("T")
R = TypeVar("R")
MAX_GROUP = 1000
RETRY_SECONDS = 0.25

log = logging.getLogger("holdfast.flows")


class Outbox(Generic[T, R]):
    """Items for the store, sent in groups, one group at a time and in order.

    A group leaves with a :meth:`flush`. While one is on its way flushes are ignored: whoever takes its answer
    flushes again, when what the answer set in motion has joined what waited. What the store cannot do now (no server,
    no space) is tried again until it can.

    Args:
        write: hands a group to the store.
        written: takes a group and the store's answer; must flush.
        failed: takes any error but ``StoreError``; the group is given up.
    """

    def __init__(
        self,
        write: Callable[[list[T]], asyncio.Future[R]],
        written: Callable[[list[T], R], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._write = write
        self._written = written
        self._failed = failed
        self._items: list[T] = []
        self._writing = False
        self._closed = False

    def put(self, item: T) -> None:
        """Add an item; it leaves with the next group."""
        self._items.append(item)

    def flush(self) -> None:
        """Let what waits leave."""
        if self._items and not self._writing:
            group, self._items = self._items[:MAX_GROUP], self._items[MAX_GROUP:]
            self._writing = True
            self._send(group)

    @property
    def waiting(self) -> bool:
        """Items wait for the next group."""
        return bool(self._items)

    @property
    def empty(self) -> bool:
        """Nothing waits and nothing is on its way."""
        return not self._items and not self._writing

    def clear(self) -> None:
        """Drop what waits."""
        self._items = []

    def close(self) -> None:
        """Drop what waits, and try nothing again: nobody is left to hear of it."""
        self.clear()
        self._closed = True

    def _try_again(self, group: list[T]) -> None:
        if not self._closed:
            self._send(group)

    def _send(self, group: list[T]) -> None:
        self._write(group).add_done_callback(partial(self._answered, group))

    def _answered(self, group: list[T], answer: asyncio.Future[R]) -> None:
        error = None if answer.cancelled() else answer.exception()
        if self._closed:
            return
        if isinstance(error, StoreError):
            log.warning("the store cannot take %d writes now, trying again: %s", len(group), error)
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._try_again, group)
            return
        self._writing = False
        if error is not None:
            self._failed(error)
        elif not answer.cancelled():
            self._written(group, answer.result())
