"""A world at work: inside the gate, and what the emulator holds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, Protocol
from weakref import ref

from holdfast.worlds.aws import instruments
from holdfast.worlds.aws.gate import GATE


class Worker(instruments.Listener, Protocol):
    """The world."""

    def settle(self) -> None:
        """Tell and note what was changed."""
        ...

    def leave(self) -> None:
        """Give the emulator back to whoever has it besides."""
        ...


class _Entry(NamedTuple):
    """What was before a thread entered.

    Attributes:
        place: in the thread's list.
        depth: of the gate.
        outer: the world at work.
        watch: upon what the ``with`` leaves by.
    """

    place: int
    depth: int
    outer: instruments.Listener | None
    watch: ref[Any] | None


class _Entered(threading.local):
    """Of one thread, the innermost last: others enter while a thread pauses."""

    watch: ref[Any] | None = None
    """Of a ``with`` that is about to enter."""

    def __init__(self) -> None:
        self.entries: list[_Entry] = []


class _Exit:
    """``__exit__``: each ``with`` takes one of its own before it enters, and nobody else has that. No function can
    catch an interruption that comes before its first step: then what the ``with`` leaves by is gone, and its entry is
    still there."""

    def __get__(self, work: AtWork | None, kind: type[AtWork]) -> Callable[..., None]:
        if work is None:
            return kind.leave
        leave = partial(kind.leave, work)
        work.watch(leave)
        return leave


class AtWork(AbstractContextManager[None]):
    """Inside the gate, with the world in the emulator; may be entered again by the thread that is in it, and from
    within another world's.

    Whoever is interrupted, wherever it is, leaves the gate and the emulator as they were before it entered.
    """

    def __init__(self, world: Worker) -> None:
        self._world = world
        self._entered = _Entered()

    def __enter__(self) -> None:
        entered, depth = self._entered, GATE.depth
        outer = instruments.at_work if depth else None
        entry = _Entry(len(entered.entries), depth, outer, entered.watch)
        entered.watch = None
        try:
            GATE.__enter__()
            entered.entries.append(entry)
            if outer is not self._world:
                self._world.appear()
        except BaseException:
            self._surely_leave(entry)
            raise

    __exit__ = _Exit()

    def leave(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        at: TracebackType | None = None,
    ) -> None:
        """What ``with`` ends with."""
        entry = self._entered.entries[-1]
        try:
            if entry.outer is not self._world and instruments.at_work is self._world:
                self._world.settle()
            self._leave(entry)
        except BaseException:
            self._surely_leave(entry)
            raise

    def watch(self, leave: Callable[..., None]) -> None:
        """See to it that who enters next has left once ``leave`` is gone."""
        self._entered.watch = ref(leave, self._gone)

    def _gone(self, watch: ref[Any]) -> None:
        for entry in self._entered.entries[::-1]:
            if entry.watch is watch:
                self._surely_leave(entry)

    def _leave(self, entry: _Entry) -> None:
        """May be done again, where it was interrupted."""
        del self._entered.entries[entry.place :]
        if entry.outer is not self._world and GATE.depth > entry.depth:
            self._back(entry.outer)
        GATE.unwind(entry.depth)

    def _surely_leave(self, entry: _Entry) -> None:
        """Leave, although something fails or a second interruption comes: it opens the gate in any case."""
        try:
            self._leave(entry)
        except BaseException:
            try:
                self._leave(entry)
            finally:
                GATE.unwind(entry.depth)
            raise

    def _back(self, outer: instruments.Listener | None) -> None:
        instruments.at_work = None
        if outer is None:
            self._world.leave()
        else:
            outer.appear()
