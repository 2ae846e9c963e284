"""The ports of a world's services (WO-1 … WO-6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, runtime_checkable

from holdfast.store import Transaction
from holdfast.worlds.merging import MergeReport, Policy
from holdfast.worlds.model import Scope, StateView
from holdfast.worlds.notifier import StateChangeNotifier

R = TypeVar("R")
fence: ContextVar[Callable[[], None]] = ContextVar("fence", default=lambda: None)
"""What a service's restore calls once nobody else can change the scope, before it does: it raises where the restore is
another process's by now. A service that does not call it can be restored late by a process that was cut off."""
_vouched: ContextVar[frozenset[int]] = ContextVar("vouched", default=frozenset())


@contextmanager
def vouching(views: Iterable[StateView[Any]]) -> Iterator[None]:
    """Spare the services the second look at ``views`` during the block: each has accepted its own, and nobody else has
    hold of them."""
    held = list(views)  # as long as they are there, no other object has their identities
    vouched = _vouched.set(frozenset(map(id, held)))
    try:
        yield
    finally:
        _vouched.reset(vouched)


def is_vouched(view: object) -> bool:
    """Whether this very view needs no check here (:func:`vouching`)."""
    return id(view) in _vouched.get()


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request to a mock service."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """A mock service's answer."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class MockService(Protocol):
    """A part of a world."""

    @property
    def service_name(self) -> str: ...

    @property
    def url_patterns(self) -> Sequence[str]:
        """Regular expressions of the URLs it answers; empty for a service that speaks no HTTP."""
        ...

    def handle(self, request: Request) -> Response:
        """Answer a request."""
        ...


@runtime_checkable
class ViewChecker(Protocol):
    """What a service may offer besides: seeing whether it would take a view costs less than a dry run of a merge."""

    def check(self, view: StateView[Any]) -> None:
        """Raises:
        InvalidView, ViewVersion, MissingBlob: neither restore nor merge would take it.
        """
        ...


@runtime_checkable
class Bodied(Protocol):
    """What a service may offer besides, whose views name bodies that are blobs of the store."""

    def bodies_of(self, view: StateView[Any]) -> set[str]:
        """Digests of all that ``view`` needs."""
        ...


@runtime_checkable
class Discarder(Protocol):
    """What a service may offer besides, whose state may hold what no view can."""

    def discard(self, account_id: str, region: str, view: StateView[Any]) -> list[str]:
        """Remove what is in the way of restoring ``view``; returns its names. It cannot be put back.

        Raises:
            StateViewError: some of it is not to be removed; nothing was.
        """
        ...


@runtime_checkable
class Cutter(Protocol):
    """What a service may offer besides, whose clients wait while several services' views are taken or replaced."""

    @property
    def cut(self) -> AbstractContextManager[None]:
        """Within it nobody else changes the service, nor those that share it."""
        ...


@runtime_checkable
class Sharing(Protocol):
    """What a service may offer besides, whose scopes have names in common that one of them alone may have."""

    def check_together(self, views: Mapping[Scope, StateView[Any]]) -> None:
        """Raises:
        InvalidView: these views cannot be restored together.
        """
        ...

    def make_way(self, views: Mapping[Scope, StateView[Any]]) -> None:
        """Before ``views`` are restored, remove from each scope what another one of them is to have."""
        ...


@runtime_checkable
class Partial(Protocol):
    """What a service may offer besides, that is not in every scope of its world."""

    def covers(self, scope: Scope) -> bool:
        """Whether it has a state there."""
        ...


@runtime_checkable
class Attachable(Protocol):
    """What a service may offer besides, that another process can take from this one."""

    @property
    def rightful(self) -> Callable[[Transaction], None]:
        """Raises, in a transaction, where another process has the service; else none gets it before that ends."""
        ...


def check_rightful(services: Iterable[MockService], tx: Transaction) -> None:
    """Raises:
    Conflict: one of the ``services`` is another process's by now.
    """
    for check in dict.fromkeys(service.rightful for service in services if isinstance(service, Attachable)):
        check(tx)


@contextmanager
def cut_through(services: Iterable[MockService]) -> Iterator[None]:
    """Keep the clients of those ``services`` that can away during the block."""
    with ExitStack() as held:
        for cut in dict.fromkeys(service.cut for service in services if isinstance(service, Cutter)):
            held.enter_context(cut)
        yield


class StatefulService(MockService, Protocol[R]):
    """A service whose state can be seen, put back, merged and watched; ``R`` is the type of its resources' records.

    State is per account and region. Safe to use from any thread.
    """

    def snapshot(self, account_id: str, region: str) -> StateView[R]:
        """The state, consistent while clients write (WO-1).

        Raises:
            InvalidScope: names that cannot be.
            StateViewError: it cannot be captured.
        """
        ...

    def restore(self, account_id: str, region: str, view: StateView[R]) -> None:
        """Replace the state of this account and region entirely, and no other's (WO-2).

        Raises:
            InvalidView, ViewVersion, MissingBlob: refused before anything changes.
        """
        ...

    def merge(
        self, account_id: str, region: str, view: StateView[R], *, policy: Policy = "keep", dry_run: bool = False
    ) -> MergeReport[R]:
        """Add what the view has and the state has not; nothing is removed or lost (WO-3).

        Args:
            policy: for a resource that both have, differently: ``keep`` what is there; ``fail``; ``replace`` the
                colliding leaf alone (WO-4).
            dry_run: report only.

        Raises:
            InvalidView, ViewVersion, MissingBlob: refused before anything changes.
            MergeConflict: by the policy ``fail``; nothing was changed.
        """
        ...

    @property
    def notifier(self) -> StateChangeNotifier[R]:
        """Tells of every successful mutation, and only of these (WO-5)."""
        ...

    def notify_state_changed(self, account_id: str, region: str) -> None:
        """Snapshot and forward to all listeners (WO-6); may be called by a listener."""
        ...

    def decode(self, text: str | bytes) -> StateView[R]:
        """The view that canonical (or any) JSON holds (WO-1, WO-7).

        Raises:
            InvalidView, ViewVersion: it is none of this service.
        """
        ...
