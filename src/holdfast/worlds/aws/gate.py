"""The one gate around everything that is done to the emulator (WO-1)."""

from __future__ import annotations

import threading
import time
from collections import deque
from types import TracebackType

PATIENCE_SECONDS = 0.02
"""So long a thread is overtaken by those that come later: handing over each time would cost a switch of threads."""


class _Waiter:
    __slots__ = ("since", "woken")

    def __init__(self) -> None:
        self.since = time.monotonic()
        self.woken = threading.Event()


class Gate:
    """A lock that its holder may take again, and that nobody waits for much longer than those before it.

    ``threading.RLock`` may be taken again and again by one busy thread while others starve.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[_Waiter] = deque()
        self._owner: int | None = None
        self._depth = 0

    @property
    def mine(self) -> bool:
        """Whether this thread holds it."""
        return self._owner == threading.get_ident()

    def __enter__(self) -> None:
        me = threading.get_ident()
        if self._owner != me:
            self._take(me)
        self._depth += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._depth -= 1
        if not self._depth:
            self._let_go()

    def leave(self) -> int:
        """Let others in, however often this thread has entered; returns what :meth:`come_back` takes."""
        depth, self._depth = self._depth, 0
        self._let_go()
        return depth

    def come_back(self, depth: int) -> None:
        """Enter again as often as before :meth:`leave`. An interruption is raised from inside: who left has things to
        put in order there, and leaves for good thereafter."""
        interruption: BaseException | None = None
        while not self.mine:
            try:
                self._take(threading.get_ident())
            except BaseException as error:
                interruption = error
        self._depth = depth
        if interruption is not None:
            raise interruption

    def _take(self, me: int) -> None:
        waiter = None
        while True:
            with self._lock:
                if self._owner is None and self._may_pass(waiter):
                    if waiter is not None:
                        self._waiting.remove(waiter)
                    self._owner = me
                    return
                if waiter is None:
                    waiter = _Waiter()
                    self._waiting.append(waiter)
                waiter.woken.clear()
            try:
                waiter.woken.wait()
            except BaseException:
                self._give_up(waiter)
                raise

    def _may_pass(self, waiter: _Waiter | None) -> bool:
        """Whether nobody has waited too long to be overtaken. To be called with the lock held."""
        if not self._waiting or self._waiting[0] is waiter:
            return True
        return time.monotonic() - self._waiting[0].since < PATIENCE_SECONDS

    def _give_up(self, waiter: _Waiter) -> None:
        with self._lock:
            self._waiting.remove(waiter)
            self._wake()

    def _let_go(self) -> None:
        with self._lock:
            self._owner = None
            self._wake()

    def _wake(self) -> None:
        if self._owner is None and self._waiting:
            self._waiting[0].woken.set()


GATE = Gate()
"""Of this process: the emulator's state is the process's, whatever the number of worlds."""
