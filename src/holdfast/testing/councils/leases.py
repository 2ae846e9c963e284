"""What a unit of the councils' suite is given: the port, and the leases that CO-7 judges by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from holdfast.councils import CouncilRepositoryPort, SqlCouncilRepository
from holdfast.store import Store, Transaction, load_queries, open_store
from holdfast.testing.units import StoreUnits

_q = load_queries("holdfast.flows.engine")
_LEASE_SECONDS = 3600.0


class Leases(Protocol):
    """Makes leases begin and end, however a backend keeps them, within the same transaction as the port."""

    def begin(self) -> int:
        """The epoch of a new lease, which is alive."""
        ...

    def end(self, epoch: int) -> None:
        """End the lease of ``epoch`` for good, as if its process had died and that had been found out."""
        ...


@dataclass(frozen=True, slots=True)
class CouncilPorts:
    """What a unit is given."""

    councils: CouncilRepositoryPort
    leases: Leases


class SqlLeases:
    """Leases as Holdfast's own workers have them: a row of ``workers`` each."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def begin(self) -> int:
        row = {"host": "nowhere", "pid": 1, "workflow_types": "[]", "lease_seconds": _LEASE_SECONDS}
        ((epoch,),) = self._tx.fetch(_q["register"], row | {"now": self._tx.clock.micros()})
        return int(epoch)

    def end(self, epoch: int) -> None:
        self._tx.execute(_q["retire"], {"epoch": epoch, "now": self._tx.clock.micros()})


def council_units(
    store: Store, make: Callable[[Transaction], CouncilRepositoryPort] = SqlCouncilRepository
) -> StoreUnits[CouncilPorts]:
    """The suite's units over a Holdfast store.

    Args:
        store: open.
        make: the port of a transaction.
    """
    return StoreUnits(store, lambda tx: CouncilPorts(make(tx), SqlLeases(tx)))


@contextmanager
def open_councils(
    url: str, make: Callable[[Transaction], CouncilRepositoryPort] = SqlCouncilRepository
) -> Iterator[StoreUnits[CouncilPorts]]:
    """The suite's units over the store at ``url``."""
    with open_store(url) as store:
        yield council_units(store, make)
