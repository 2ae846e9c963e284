"""The store: one database, reached through units of work.

``store.run(work)`` runs ``work(tx)`` in a transaction and returns its result once that is durable; ``await
store.arun(work)`` is the same for coroutines. ``work`` is ordinary synchronous code, so there is no async twin of
any domain function, no I/O creeps into a transaction, a unit can be run again on conflict, and units of several
domains compose into one transaction by calling one another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeVar

from holdfast.clock import Clock, SystemClock
from holdfast.errors import HoldfastError, NestedUnit, StoreError
from holdfast.store.migrate import migrate as migrate_schema
from holdfast.store.transaction import Signer, Transaction
from holdfast.store.units import Executor, Unit, UnitThreads, await_for, wait_for

R = TypeVar("R")
Work = Callable[[Transaction], R]
Probe = Callable[[str], None]


class Backend(Protocol):
    """What differs between databases.

    Attributes:
        url: as opened, without secrets.
        path: the file that holds the data, where it is one of this machine's.
        group: how many units one commit may carry.
        local: no process but this one can see the data (SQLite in memory).
    """

    url: str
    path: Path | None
    group: int
    local: bool

    def writers(self, clock: Clock, signer: Signer | None, probe: Probe) -> list[Callable[[], Executor]]: ...

    def readers(self, clock: Clock) -> list[Callable[[], Executor]]:
        """Executors for reading; empty where reading goes through the writers."""
        ...

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have ``changed`` called soon after another process has written; returns the end of it."""
        ...

    def announce(self, tx: Transaction) -> None:
        """Wake the watchers in other processes, where writing alone does not."""
        ...

    def turn_holder(self) -> int | None:
        """The pid that is writing now, where the database queues its writers."""
        ...

    def hold(self, name: str, *, fleeting: bool = False) -> Callable[[], None] | None:
        """Have ``name`` for oneself until the returned release is called or this process dies; ``None``: it is taken.

        A server also takes it back when the connection is cut, and the holder is not told: what is written under a
        hold needs a fence of its own.

        Args:
            name: may be part of a file's name.
            fleeting: nobody asks for the name for good: nothing is left of it once it is released.

        Raises:
            StoreError: the database, or its folder, cannot be used.
        """
        ...


class Store:
    """An open store. Make one with :func:`holdfast.store.open_store`.

    Safe to use from any thread. Closing finishes what is queued.
    """

    def __init__(
        self,
        backend: Backend,
        clock: Clock | None = None,
        *,
        signer: Signer | None = None,
        migrate: bool = True,
        probe: Probe = lambda point: None,
    ) -> None:
        self.clock = clock or SystemClock()
        self.backend = backend
        self._writers = UnitThreads("writer", backend.writers(self.clock, signer, probe), group=backend.group)
        readers = backend.readers(self.clock)
        self._readers = UnitThreads("reader", readers, group=1) if readers else self._writers
        if not migrate:
            return
        try:
            self.run(migrate_schema, idempotent=True)
        except BaseException as error:
            self.close()
            if isinstance(error, HoldfastError) or not isinstance(error, Exception):
                raise
            raise StoreError(
                f"The schema cannot be made here: {error}.",
                remedy="Use another file or schema, or a database user who may create tables.",
            ) from error

    @property
    def url(self) -> str:
        """Where the data lives, without secrets."""
        return self.backend.url

    def submit(self, unit: Unit, *, reading: bool = False) -> None:
        """Queue a unit; its ``answer`` is called once it is durable (or has failed).

        Raises:
            StoreClosed: the store was closed.
        """
        unit.reading = reading
        (self._readers if reading else self._writers).submit(unit)

    def refuse_nested(self) -> None:
        """Called before waiting for a unit.

        Raises:
            NestedUnit: by a unit of this store, whose thread (and locks) the other one may need.
        """
        if self._writers.here or self._readers.here:
            raise NestedUnit("A unit of work cannot wait for another one of the same store.")

    def run(self, work: Work[R], *, actor: str = "system", idempotent: bool = False) -> R:
        """Run ``work`` in a transaction; returns its result once it is durable.

        Args:
            work: may be called more than once when an attempt was rolled back.
            actor: who asks.
            idempotent: running it twice does no harm. Other units carry a key, so that a commit whose answer
                was lost is resolved by reading back, never guessed.

        Raises:
            StoreError: the database could not do it; nothing was written.
            NestedUnit: called inside another unit of this store.
            AsyncWork: ``work`` is a coroutine function; nothing was written.
            Exception: whatever ``work`` raises; nothing was written.
        """
        self.refuse_nested()
        return wait_for(  # type: ignore[no-any-return]
            lambda answer: self.submit(Unit(work, answer, actor=actor, idempotent=idempotent)), self._stuck
        )

    async def arun(self, work: Work[R], *, actor: str = "system", idempotent: bool = False) -> R:
        """:meth:`run` for coroutines."""
        self.refuse_nested()
        loop = asyncio.get_running_loop()
        return await await_for(  # type: ignore[no-any-return]
            lambda answer: self.submit(Unit(work, answer, loop=loop, actor=actor, idempotent=idempotent))
        )

    def read(self, work: Work[R]) -> R:
        """Run ``work``, which only reads, on one consistent view; does not wait for writers.

        Raises:
            ReadOnlyUnit: ``work`` wrote; nothing was written.
            StoreError, NestedUnit, AsyncWork, Exception: as :meth:`run`.
        """
        self.refuse_nested()
        return wait_for(  # type: ignore[no-any-return]
            lambda answer: self.submit(Unit(work, answer, idempotent=True), reading=True), self._stuck
        )

    async def aread(self, work: Work[R]) -> R:
        """:meth:`read` for coroutines."""
        self.refuse_nested()
        loop = asyncio.get_running_loop()
        return await await_for(  # type: ignore[no-any-return]
            lambda answer: self.submit(Unit(work, answer, loop=loop, idempotent=True), reading=True)
        )

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Have ``changed`` called, from another thread, soon after some other process wrote."""
        return self.backend.watch(changed)

    def close(self) -> None:
        """Finish what is queued and let the database go."""
        self._writers.close()
        if self._readers is not self._writers:
            self._readers.close()

    def _stuck(self) -> str:
        pid = self.backend.turn_holder()
        return f"process {pid} holds the turn to write" if pid else "the database does not answer"

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
