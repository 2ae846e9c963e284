"""Waiting for several things at once, in an order that replays alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from holdfast.errors import InvalidInput

A = TypeVar("A")
R = TypeVar("R")


class First(NamedTuple):
    """What :func:`any_of` gives: the position of what came first, and its result."""

    position: int
    value: Any


async def any_of(*waits: Awaitable[Any]) -> First:
    """Wait until the first of ``waits`` is there; the others are withdrawn: an event meant for one of them is kept.

    Raises:
        InvalidInput: nothing to wait for.
        Exception: whatever the first one raised.
    """
    if not waits:
        raise InvalidInput("any_of() was given nothing to wait for.", remedy="Pass at least one wait.")
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        position = next(place for place, task in enumerate(tasks) if task.done())
        return First(position, tasks[position].result())
    finally:
        await _withdraw(tasks)


async def all_of(*waits: Awaitable[Any]) -> list[Any]:
    """Wait until all of ``waits`` are there; the results in order. When one raises, the others are withdrawn."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        await _withdraw(tasks)


async def map_steps(step: Callable[[A], Awaitable[R]], items: Iterable[A], *, limit: int | None = None) -> list[R]:
    """Call ``step`` with each of ``items``, at most ``limit`` at once; the results in order.

    Args:
        step: a step, or any coroutine function of a workflow (that runs a child, say).
        limit: how many at once; all of them by default.

    Raises:
        InvalidInput: a limit below 1.
        Exception: what the first call to fail raised; the others are withdrawn.
    """
    if limit is not None and limit < 1:
        raise InvalidInput(f"The limit cannot be {limit}.", remedy="Use 1 or more.")
    gate = asyncio.Semaphore(limit) if limit is not None else None

    async def call(item: A) -> R:
        if gate is None:
            return await step(item)
        async with gate:
            return await step(item)

    return await all_of(*(call(item) for item in items))


async def _withdraw(tasks: Sequence[asyncio.Future[Any]]) -> None:
    pending = [task for task in tasks if not task.done()]
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.gather(*pending, return_exceptions=True)
