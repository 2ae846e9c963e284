"""Telling listeners of changes (WO-5, WO-6)."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from holdfast.worlds.model import Delta, Scope, StateView

R = TypeVar("R")
LINGER_SECONDS = 0.02
"""How long a listener's thread looks away after it has heard everything."""
log = logging.getLogger("holdfast.worlds")


@dataclass(frozen=True, slots=True)
class StateChange(Generic[R]):
    """What a listener is told.

    Attributes:
        scope: account and region.
        service: name of the service.
        revision: counts the changes of this scope, upwards; what other processes did may count as one.
        delta: what changed; empty when somebody merely asked for a notification (WO-6), and when other processes
            changed so much that nobody can tell any more what.
        view: gives the state of just that revision, computed when called.
    """

    scope: Scope
    service: str
    revision: int
    delta: Delta[R]
    view: Callable[[], StateView[R]]


Listener = Callable[[StateChange[R]], None]


class StateChangeNotifier(Generic[R]):
    """Forwards changes to listeners, to each in order and in a thread of its own.

    So no listener is ever called while the service's lock is held by its caller, and one that fails or is slow harms
    neither the service nor other listeners (WO-5). Safe to use from any thread, a listener's included.

    A change waits in memory until the slowest listener was told. A listener's thread ends with its subscription, or
    once the notifier is gone.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: list[_Subscription[R]] = []
        weakref.finalize(self, _end_all, self._subscriptions).atexit = False

    def subscribe(self, listener: Listener[R]) -> Callable[[], None]:
        """Have ``listener`` called with each change from now on; returns the unsubscribe."""
        subscription = _Subscription(listener)
        with self._lock:
            self._subscriptions.append(subscription)

        def unsubscribe() -> None:
            with self._lock:
                if subscription in self._subscriptions:
                    self._subscriptions.remove(subscription)
            subscription.end()

        return unsubscribe

    def publish(self, change: StateChange[R]) -> None:
        """Hand ``change`` to all listeners; returns at once."""
        with self._lock:
            for subscription in self._subscriptions:
                subscription.put(change)

    def drain(self, timeout: float | None = None) -> bool:
        """Wait until everything published so far was heard; false when ``timeout`` (seconds) ran out first. For
        tests; not to be called by a listener, which would wait for itself."""
        with self._lock:
            marks = [subscription.mark() for subscription in self._subscriptions]
        return all(mark.wait(timeout) for mark in marks)


def _end_all(subscriptions: list[_Subscription[R]]) -> None:
    for subscription in subscriptions:
        subscription.end()


class _Subscription(Generic[R]):
    def __init__(self, listener: Listener[R]) -> None:
        self._listener = listener
        self._queue: SimpleQueue[StateChange[R] | threading.Event | None] = SimpleQueue()
        self._ended = False
        threading.Thread(target=self._serve, name="holdfast-listener", daemon=True).start()

    def put(self, change: StateChange[R]) -> None:
        self._queue.put(change)

    def mark(self) -> threading.Event:
        reached = threading.Event()
        self._queue.put(reached)
        return reached

    def end(self) -> None:
        """What is queued is not delivered any more."""
        self._ended = True
        self._queue.put(None)

    def _serve(self) -> None:
        while (found := self._next()) is not None:
            if isinstance(found, threading.Event):
                found.set()
            elif not self._ended:
                self._tell(found)

    def _next(self) -> StateChange[R] | threading.Event | None:
        """What comes next; awaited without being woken for each, as long as changes come one upon the other: to wake a
        thread costs who publishes more than all else that telling does."""
        with suppress(Empty):
            return self._queue.get_nowait()
        time.sleep(LINGER_SECONDS)
        return self._queue.get()

    def _tell(self, change: StateChange[R]) -> None:
        try:
            self._listener(change)
        except BaseException as error:  # one that exits must not take those to come along either
            log.error("a listener of %s failed", change.service, exc_info=error)
