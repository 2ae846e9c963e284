"""What a worker does beside the flows, on the same event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from holdfast.errors import StoreError
from holdfast.store.blobs import BlobCorrupt

log = logging.getLogger("holdfast.flows")
RETRY_SECONDS = 0.25
T = TypeVar("T")


class Errands:
    """The tasks of a worker.

    Args:
        broke: hears of an error that got out of one: the engine's own.
        done: called after each that was spawned.
    """

    def __init__(self, broke: Callable[[BaseException], None], done: Callable[[], None]) -> None:
        self._broke = broke
        self._done = done
        self._loop = asyncio.get_running_loop()  # a flow's own may be running when something is spawned
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def working(self) -> bool:
        """Something is done beside."""
        return bool(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside, until it is done or the worker ends. It sees to its errors itself."""
        self.beside(work).add_done_callback(self._ended)

    def beside(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """The same, for who awaits it: what becomes of it is the caller's."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def close(self) -> None:
        """End all of them."""
        for task in self._tasks:
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._broke(error)
        self._done()


async def persist(work: Callable[[], Awaitable[T]]) -> T:
    """Try until the store does it; what it cannot do now (no server, no space) it can do later. What it has lost
    stays lost."""
    while True:
        try:
            return await work()
        except BlobCorrupt:
            raise
        except StoreError as error:
            log.warning("the store cannot do it now, trying again: %s", error)
            await asyncio.sleep(RETRY_SECONDS)
