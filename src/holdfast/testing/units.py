"""How a conformance suite reaches a backend: it runs units of work, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Generic, Protocol, TypeVar

from holdfast.store import Store, Transaction

R = TypeVar("R")
P = TypeVar("P")
P_co = TypeVar("P_co", covariant=True)


class UnitRunner(Protocol[P_co]):
    """A backend under test, as runner of units of work on the port ``P_co``.

    A port that is no adapter over a Holdfast transaction can be put in alike: what a unit is given is the port.
    """

    def run(self, work: Callable[[P_co], R]) -> R:
        """Run ``work(port)`` in one transaction of its own; returns its result once that is durable.

        May be called from several threads at once. ``work`` may be run again after an attempt that left nothing.

        Raises:
            Exception: whatever ``work`` raises; nothing of the unit was written.
        """
        ...


Opener = Callable[[], AbstractContextManager[UnitRunner[P]]]
"""Gives a fresh, empty backend, and takes it down at the end."""


class StoreUnits(Generic[P]):
    """A :class:`UnitRunner` over a Holdfast store.

    Args:
        store: open.
        port: makes the port of a transaction, e.g. :class:`holdfast.flows.SqlFlowStore`.
    """

    def __init__(self, store: Store, port: Callable[[Transaction], P]) -> None:
        self._store = store
        self._port = port

    def run(self, work: Callable[[P], R]) -> R:
        return self._store.run(lambda tx: work(self._port(tx)))
