"""How the suite reaches a service: as a client of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from holdfast.worlds import StatefulService, StateView

R = TypeVar("R")


class ServiceSubject(Protocol[R]):
    """A fresh, empty service under test, and a client of it.

    The checks know resources by numbers alone. What number *n* is (one resource of the views or several), what it is
    called in each account and region, and how its variants differ, is the subject's own affair; the checks compare
    snapshots. All methods may be called from several threads.
    """

    @property
    def service(self) -> StatefulService[R]:
        """The service, always the same one."""
        ...

    def put(self, account_id: str, region: str, n: int, variant: int) -> None:
        """Create number ``n``, or change it, by one or more mutations; no two variants have equal records.

        The checks never put the variant that is there already.
        """
        ...

    def put_pair(self, account_id: str, region: str, n: int, m: int, variant: int) -> None:
        """Put two numbers by one mutation, if the service has such; else one after the other."""
        ...

    def remove(self, account_id: str, region: str, n: int) -> None:
        """Remove number ``n``, which is there, by one or more mutations."""
        ...

    def read(self, account_id: str, region: str, n: int) -> None:
        """Ask for number ``n``, there or not, and for lists, in every way that clients can. Changes nothing."""
        ...

    def refused(self, account_id: str, region: str, n: int) -> None:
        """Try mutations around number ``n``, there or not, that the service refuses; returns once all were."""
        ...

    def spoilt(self, view: StateView[R]) -> Iterable[tuple[StateView[R], str | None]]:
        """Views that are wrong though all types are right, each made of ``view`` by one fault, such as a name that
        cannot be or a dangling reference, with a part of the path that the refusal must name; ``None`` for a missing
        body, whose refusal names no path.

        Args:
            view: a snapshot with at least one resource.
        """
        ...


SubjectOpener = Callable[[], AbstractContextManager[ServiceSubject[Any]]]
"""Gives a fresh, empty service with its client, and takes both down at the end."""
