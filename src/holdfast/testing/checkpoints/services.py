"""The services of the worlds under test, and some that misbehave in the midst of a restore or a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from holdfast.store import Store
from holdfast.worlds import StateView
from holdfast.worlds.errors import MissingBlob
from holdfast.worlds.keyvalue import KeyValueWorld, Value

View = StateView[Value]
Act = Callable[[], object]


class Alpha(KeyValueWorld):
    """The service that is restored first, and captured first."""

    service_name = "alpha"


class Beta(KeyValueWorld):
    """The service that comes second."""

    service_name = "beta"


class Refusing(Beta):
    """Takes no view that is not empty."""

    def _check(self, view: View) -> None:
        if view.resources:
            raise MissingBlob(["1" * 64])


class Interrupted(KeyValueWorld):
    """Something happens when it is about to be restored or captured; but once.

    Args:
        service_name: whose place it takes, over the same state.
        restoring, capturing: what happens.
    """

    def __init__(
        self, store: Store, service_name: str, *, restoring: Act | None = None, capturing: Act | None = None
    ) -> None:
        super().__init__(store, service_name[0])
        self.service_name = service_name
        self._restoring = restoring
        self._capturing = capturing

    def restore(self, account_id: str, region: str, view: View) -> None:
        act, self._restoring = self._restoring, None
        if act:
            act()
        super().restore(account_id, region, view)

    def snapshot(self, account_id: str, region: str) -> View:
        act, self._capturing = self._capturing, None
        if act:
            act()
        return super().snapshot(account_id, region)


class Gate:
    """What a restore stops at."""

    def __init__(self, seconds: float) -> None:
        self.reached = Event()
        self.opened = Event()
        self._seconds = seconds

    def __call__(self) -> None:
        self.reached.set()
        self.opened.wait(self._seconds)


def services_of(store: Store) -> list[KeyValueWorld]:
    """Two services, each with a state of its own."""
    return [Alpha(store, "a"), Beta(store, "b")]
