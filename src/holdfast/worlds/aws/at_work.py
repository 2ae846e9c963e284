"""A world at work: inside the gate, and what the emulator holds."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Protocol

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


class AtWork(AbstractContextManager[None]):
    """Inside the gate, with the world in the emulator; may be entered again by the thread that is in it, and from
    within another world's."""

    def __init__(self, world: Worker) -> None:
        self._world = world
        self._entered = threading.local()  # others enter while a thread pauses

    @property
    def _outer(self) -> list[instruments.Listener | None]:
        """The worlds that were at work when this thread entered, the innermost last."""
        found: list[instruments.Listener | None] = self._entered.__dict__.setdefault("from", [])
        return found

    def __enter__(self) -> None:
        GATE.__enter__()
        outer = instruments.at_work
        if outer is not self._world:
            try:
                self._world.appear()
            except BaseException:
                GATE.__exit__(None, None, None)
                raise
        self._outer.append(outer)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        outer = self._outer.pop()
        with ExitStack() as leaving:  # whatever fails, the gate opens
            leaving.callback(GATE.__exit__, kind, error, at)
            if outer is not self._world:
                leaving.callback(self._back, outer)
                if instruments.at_work is self._world:
                    self._world.settle()

    def _back(self, outer: instruments.Listener | None) -> None:
        instruments.at_work = None
        if outer is None:
            self._world.leave()
        else:
            outer.appear()
