"""The crash explorer of operations: kill a unit of work at every statement and around its commit.

Whatever the point, what the next start sees is the state before the operation or the state after it, never one in
between; and the operation, asked for again, comes to the state after it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.store import Query, Row, Transaction, open_store
from holdfast.store.transaction import NONE, Params
from holdfast.testing.clock import VirtualClock
from holdfast.testing.crash.fuse import Fuse, Killed, die, kill_process, named, rehearse
from holdfast.testing.hush import hushed

STATEMENT, BEFORE, AFTER = "statement", "before commit", "after commit"


@dataclass(frozen=True, slots=True)
class Operation:
    """A unit of work with several effects.

    Attributes:
        prepare: brings about what it needs.
        act: the operation.
        observe: gives all that can be seen of its effects, as values that compare; the clock stands still, ids made
            on the way differ from run to run.
        refuses: what asking again may raise once it was done; nothing where asking again does no harm.
    """

    prepare: Callable[[Transaction], object]
    act: Callable[[Transaction], object]
    observe: Callable[[Transaction], Any]
    refuses: tuple[type[HoldfastError], ...] = ()


@dataclass(frozen=True, slots=True)
class Visit:
    """An operation that was killed at one write point, looked at, and asked for again.

    Attributes:
        point: which, from 1.
        where: ``statement`` (just before one), ``before commit`` or ``after commit``.
        faults: what is wrong; empty when all is well.
    """

    point: int
    where: str
    faults: tuple[str, ...]


def explore_operation(operation: Operation, new_url: Callable[[], str], *, reference: str = "") -> Iterator[Visit]:
    """Kill ``operation`` at every write point.

    Args:
        operation: what to run.
        new_url: gives the URL of a fresh, empty store at each call (not in memory: it has to survive).
        reference: ``module:attribute`` under which another process finds the operation; then that process is killed
            with a real ``SIGKILL``, rather than this one's part rehearsing it.

    Yields:
        one visit for each write point.

    Raises:
        ValueError: undisturbed, the operation changes nothing that is observed.
    """
    url = new_url()
    before = _run(url, operation.prepare, operation.observe)
    after = _run(url, operation.act, operation.observe)
    if before == after:
        raise ValueError("the operation changes nothing that is observed: killing it would show nothing")
    point = 1
    while True:
        url = new_url()
        _run(url, operation.prepare, operation.observe)
        where = kill_process(__name__, reference, url, str(point)) if reference else _kill_here(operation, url, point)
        if where is None:
            return
        yield Visit(point, where, tuple(_faults(operation, url, where, before, after)))
        point += 1


def _faults(operation: Operation, url: str, where: str, before: Any, after: Any) -> Iterator[str]:
    wanted = after if where == AFTER else before
    seen = _run(url, lambda tx: None, operation.observe)
    if seen != wanted:
        yield f"the next start sees {seen}, wanted {wanted}"
    try:
        seen = _run(url, operation.act, operation.observe)
    except operation.refuses as error:
        if where != AFTER:
            yield f"asking again is refused though nothing was done: {error!r}"
        return
    except HoldfastError as error:
        yield f"asking again fails: {error!r}"
        return
    if seen != after:
        yield f"asked again it comes to {seen}, wanted {after}"


def _run(url: str, work: Callable[[Transaction], object], observe: Callable[[Transaction], Any]) -> Any:
    with open_store(url, clock=VirtualClock()) as store:
        store.run(work)
        return store.read(observe)


def _kill_here(operation: Operation, url: str, point: int) -> str | None:
    fuse = Fuse(point, rehearse)
    with hushed(), suppress(Killed):
        _act(operation, url, fuse)
    return fuse.where


def _act(operation: Operation, url: str, fuse: Fuse) -> None:
    lit: list[bool] = []

    def probe(where: str) -> None:
        if lit:  # opening has write points of its own
            fuse(where)

    with open_store(url, clock=VirtualClock(), probe=probe) as store:
        lit.append(True)
        store.run(lambda tx: operation.act(_FusedTransaction(tx, fuse)))


class _FusedTransaction:
    """A transaction that may end the process before any of its statements."""

    def __init__(self, tx: Transaction, fuse: Fuse) -> None:
        self._tx = tx
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    def fetch(self, query: Query | str, params: Params = NONE, *, rows: Sequence[Row] | None = None) -> list[Row]:
        self._fuse(STATEMENT)
        return self._tx.fetch(query, params, rows=rows)

    def fetch_one(self, query: Query | str, params: Params = NONE) -> Row | None:
        self._fuse(STATEMENT)
        return self._tx.fetch_one(query, params)

    def execute(self, query: Query | str, params: Params = NONE, *, rows: Sequence[Row] | None = None) -> int:
        self._fuse(STATEMENT)
        return self._tx.execute(query, params, rows=rows)

    def lock(self, *names: str) -> None:
        self._fuse(STATEMENT)
        self._tx.lock(*names)


def main(reference: str, url: str, point: str) -> None:
    """The process that is killed."""
    operation = named(reference)
    _act(operation, url, Fuse(int(point), die))


if __name__ == "__main__":
    main(*sys.argv[1:])
