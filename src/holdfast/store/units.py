"""Units of work on their way through a store's threads.

A unit of work is a plain function of a transaction. Callers never touch a connection: they hand a unit to a
:class:`UnitThreads`, whose threads run it and answer. All units that wait are taken at once, so that a store
can commit them as one group and answer all of a caller's loop in one wake-up.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from types import AsyncGeneratorType, CoroutineType
from typing import Any, Protocol

from holdfast.errors import AsyncWork, StoreClosed

log = logging.getLogger("holdfast.store")

MAX_GROUP = 512
SLOW_SECONDS = 5.0
TICK_SECONDS = 0.02


class Unit:
    """One unit of work and, later, its answer.

    Attributes:
        work: called with the transaction; may be called again when an attempt was rolled back.
        idempotent: running it twice does no harm, so that a lost answer needs no key.
        reading: it must not write; the store sets it.
        statement: it executes exactly one statement, which may then commit by itself.
        actor: who asks; the verbs write it into audit rows.
        result, error: the answer; one of the two once ``answer`` is called.
        loop: the event loop on which to answer, or ``None`` for the store's own thread.
        answer: called with the unit when it is settled.
    """

    __slots__ = ("actor", "answer", "error", "idempotent", "loop", "reading", "result", "statement", "work")

    def __init__(
        self,
        work: Callable[[Any], Any],
        answer: Callable[[Unit], None],
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        idempotent: bool = False,
        statement: bool = False,
        actor: str = "system",
    ) -> None:
        self.work = work
        self.answer = answer
        self.loop = loop
        self.idempotent = idempotent
        self.statement = statement
        self.actor = actor
        self.reading = False
        self.result: Any = None
        self.error: BaseException | None = None

    def perform(self, tx: Any) -> None:
        """Do the work, and keep its result.

        Raises:
            AsyncWork: it only made a coroutine, which nobody would run while the transaction is open.
        """
        result = self.work(tx)
        if isinstance(result, CoroutineType | AsyncGeneratorType):
            if isinstance(result, CoroutineType):
                result.close()
            raise AsyncWork(f"The unit of work {result.__qualname__} is asynchronous.")
        self.result = result


class Executor(Protocol):
    """What one store thread does with the units it took."""

    def execute(self, group: Sequence[Unit]) -> None:
        """Run the units and set each one's ``result`` or ``error``; raises nothing."""
        ...

    def tick(self) -> None:
        """Called every ``TICK_SECONDS`` or so."""
        ...

    def close(self) -> None: ...


class UnitThreads:
    """Threads that take waiting units from one queue.

    Args:
        name: of the threads.
        executors: made in the thread that uses it, one a thread.
        group: how many units one execution may take.
    """

    def __init__(self, name: str, executors: Sequence[Callable[[], Executor]], *, group: int = MAX_GROUP) -> None:
        self._queue: SimpleQueue[Unit | None] = SimpleQueue()
        self._group = group
        self._closed = False
        self._door = threading.Lock()
        self._threads = [
            threading.Thread(target=self._serve, args=(make,), name=f"holdfast-{name}-{n}", daemon=True)
            for n, make in enumerate(executors)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def here(self) -> bool:
        """Whether the caller is on one of these threads: what waits there for a unit, waits for itself."""
        return threading.current_thread() in self._threads

    def submit(self, unit: Unit) -> None:
        """Queue ``unit``.

        Raises:
            StoreClosed: after :meth:`close`.
        """
        with self._door:  # a unit behind the last one would never be answered
            if self._closed:
                raise StoreClosed("The store is closed.")
            self._queue.put(unit)

    def close(self) -> None:
        """Finish what is queued, then end the threads."""
        with self._door:
            self._closed = True
            for _ in self._threads:
                self._queue.put(None)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _serve(self, make: Callable[[], Executor]) -> None:
        executor = make()
        ticked = 0.0
        try:
            while (group := self._take()) is not None:
                if group:
                    executor.execute(group)
                    _guarded(answer, group)
                if time.monotonic() - ticked >= TICK_SECONDS:
                    _guarded(executor.tick)
                    ticked = time.monotonic()
        finally:
            executor.close()

    def _take(self) -> list[Unit] | None:
        """What waits now; empty when nothing came for a while, ``None`` at the end."""
        try:
            first = self._queue.get(timeout=TICK_SECONDS)
        except Empty:
            return []
        if first is None:
            return None
        group = [first]
        while len(group) < self._group:
            try:
                unit = self._queue.get_nowait()
            except Empty:
                break
            if unit is None:
                self._queue.put(None)
                break
            group.append(unit)
        return group


def _guarded(act: Callable[..., None], *args: Any) -> None:
    """A callback that raises must not end the thread on which every later unit depends."""
    try:
        act(*args)
    except Exception as error:
        log.error("a callback of the store failed", exc_info=error)


def answer(group: Sequence[Unit]) -> None:
    """Tell every caller, each event loop in one wake-up."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Unit]] = {}
    for unit in group:
        if unit.loop is None:
            unit.answer(unit)
        else:
            by_loop.setdefault(unit.loop, []).append(unit)
    here = asyncio._get_running_loop()
    for loop, units in by_loop.items():
        if loop is here:
            _answer_all(units)
            continue
        try:
            loop.call_soon_threadsafe(_answer_all, units)
        except RuntimeError:  # the loop is closed: nobody is left to hear it
            log.debug("%d answers for a closed event loop", len(units))


def _answer_all(units: Sequence[Unit]) -> None:
    for unit in units:
        unit.answer(unit)


def wait_for(unit_of: Callable[[Callable[[Unit], None]], None], stuck: Callable[[], str]) -> Any:
    """Submit through ``unit_of`` and block until the answer; logs ``stuck()`` when that takes long."""
    done = threading.Event()
    settled: list[Unit] = []

    def settle(unit: Unit) -> None:
        settled.append(unit)
        done.set()

    unit_of(settle)
    while not done.wait(SLOW_SECONDS):
        log.warning("a unit of work has waited for over %g s: %s", SLOW_SECONDS, stuck())
    unit = settled[0]
    if unit.error is not None:
        raise unit.error
    return unit.result


async def await_for(unit_of: Callable[[Callable[[Unit], None]], None]) -> Any:
    """Submit through ``unit_of`` and await the answer on the running loop."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    unit_of(settle_future(future))
    return await future


def settle_future(future: asyncio.Future[Any]) -> Callable[[Unit], None]:
    """What passes a unit's answer on to ``future``, unless nobody waits for it any more."""

    def settle(unit: Unit) -> None:
        if future.done():
            return
        if unit.error is not None:
            future.set_exception(_carriable(unit.error))
        else:
            future.set_result(unit.result)

    return settle


def _carriable(error: BaseException) -> BaseException:
    """No future carries a StopIteration; it becomes what a coroutine would make of it."""
    if not isinstance(error, StopIteration):
        return error
    found = RuntimeError("a unit of work raised StopIteration")
    found.__cause__ = error
    return found
