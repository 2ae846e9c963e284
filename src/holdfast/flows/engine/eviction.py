"""How a flow leaves memory: its coroutines are unwound, and nothing of that is recorded."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

from holdfast.flows.engine.loop import FlowLoop
from holdfast.flows.errors import HaltingError

_MAX_ROUNDS = 100
_MAX_CALLS = 10_000
_unending: list[FlowLoop] = []
"""With coroutines that swallow their eviction; kept, since collecting them would run them again."""


class Evicted(BaseException):
    """Thrown into a workflow that leaves memory. Durable calls made while it passes record nothing."""


class Eviction:
    """The way of one flow out of memory.

    Args:
        loop: the flow's.
    """

    __slots__ = ("_calls", "_loop")

    def __init__(self, loop: FlowLoop) -> None:
        self._loop = loop
        self._calls = 0

    def unwind(self) -> bool:
        """Throw :class:`Evicted` into all that waits; whether all of it has ended then."""
        for _ in range(_MAX_ROUNDS):
            tasks = [task for task in self._loop.tasks if not task.done()]
            if not tasks:
                return True
            for task in tasks:
                waiting: Any = getattr(task, "_fut_waiter", None)
                if waiting is not None and not waiting.done() and not isinstance(waiting, asyncio.Task):
                    waiting.set_exception(Evicted())
            try:
                self._loop.settle()
            except HaltingError:
                break
        _unending.append(self._loop)
        return False

    async def call(self) -> NoReturn:
        """A durable call that is made meanwhile."""
        self._calls += 1
        if self._calls > _MAX_CALLS:
            await asyncio.Future(loop=self._loop)
        raise Evicted
