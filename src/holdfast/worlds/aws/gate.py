"""The one gate around everything that is done to the emulator (WO-1)."""

from __future__ import annotations

import threading
import time
from collections import deque
from types import TracebackType

PATIENCE_SECONDS = 0.02
"""So long a thread is overtaken by those that come later: handing over each time would cost a switch of threads."""


class _Waiter:
    __slots__ = ("since", "thread", "woken")

    def __init__(self, thread: int) -> None:
        self.since = time.monotonic()
        self.thread = thread
        self.woken = threading.Lock()  # free: woken. An event would be left locked by who is interrupted in it
        self.woken.acquire()

    def wake(self) -> None:
        """To be called with the gate's lock held."""
        if self.woken.locked():
            self.woken.release()


class Gate:
    """A lock that its holder may take again, and that nobody waits for much longer than those before it.

    ``threading.RLock`` may be taken again and again by one busy thread while others starve.

    An interruption (``KeyboardInterrupt``) may come at any call in here. So each that enters or leaves undoes what it
    has begun (:meth:`unwind`); only before the first step of ``__exit__`` it cannot: the caller still holds it then.
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

    @property
    def depth(self) -> int:
        """How often this thread has entered, and not left."""
        return self._depth if self._owner == threading.get_ident() else 0

    def __enter__(self) -> None:
        me = threading.get_ident()
        depth = self._depth if self._owner == me else 0
        try:
            if self._owner != me:
                self._take(me)
            self._depth = depth + 1
        except BaseException:
            self._surely_unwind(depth)
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        depth = self._depth - 1
        try:
            self.unwind(depth)
        except BaseException:
            self._surely_unwind(depth)
            raise

    def unwind(self, depth: int) -> None:
        """Have entered ``depth`` times at most, and wait no more, whatever an interruption of this thread has left. May
        be done again."""
        me = threading.get_ident()
        with self._lock:
            if self._waiting:
                self._forget(me)
            if self._owner == me:
                self._depth = min(depth, self._depth)
                if not depth:
                    self._owner = None
            self._wake()

    def leave(self) -> int:
        """Let others in, however often this thread has entered; returns what :meth:`come_back` takes. An interruption
        is raised from inside."""
        depth = self._depth
        try:
            self.unwind(0)
        except BaseException:
            self.come_back(depth)
            raise
        return depth

    def come_back(self, depth: int) -> None:
        """Enter again as often as before :meth:`leave`; may be done again. An interruption is raised from inside: who
        left has things to put in order there, and leaves for good thereafter."""
        interruption: BaseException | None = None
        while True:
            try:
                if not self.mine:
                    self.unwind(0)
                    self._take(threading.get_ident())
                self._depth = depth
                break
            except BaseException as error:
                interruption = error
        if interruption is not None:
            raise interruption

    def _take(self, me: int) -> None:
        """Whoever calls this unwinds where it is interrupted."""
        waiter = None
        while True:
            with self._lock:
                if waiter is not None and waiter not in self._waiting:  # a handler of signals has used the gate
                    waiter = None
                if self._owner is None and self._may_pass(waiter):
                    if waiter is not None:
                        self._waiting.remove(waiter)
                    self._owner = me
                    return
                if waiter is None:
                    waiter = _Waiter(me)
                    self._waiting.append(waiter)
            waiter.woken.acquire()

    def _may_pass(self, waiter: _Waiter | None) -> bool:
        """Whether nobody has waited too long to be overtaken. To be called with the lock held."""
        if not self._waiting or self._waiting[0] is waiter:
            return True
        return time.monotonic() - self._waiting[0].since < PATIENCE_SECONDS

    def _surely_unwind(self, depth: int) -> None:
        try:
            self.unwind(depth)
        except BaseException:
            self.unwind(depth)
            raise

    def _forget(self, thread: int) -> None:
        """To be called with the lock held."""
        for waiter in [one for one in self._waiting if one.thread == thread]:
            self._waiting.remove(waiter)
            waiter.wake()

    def _wake(self) -> None:
        """To be called with the lock held."""
        if self._owner is None and self._waiting:
            self._waiting[0].wake()


GATE = Gate()
"""Of this process: the emulator's state is the process's, whatever the number of worlds."""
