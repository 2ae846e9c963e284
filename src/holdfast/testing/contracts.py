"""Every port with its suite, its adapter, and the wrong backends that its suite must notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Generic, TypeVar

from holdfast.councils import SqlCouncilRepository
from holdfast.flows import SqlFlowStore
from holdfast.packages import PackagePorts
from holdfast.plans import PlanPorts
from holdfast.store import Store, Transaction, open_store
from holdfast.testing import audit, checkpoints, councils, flows, packages, plans, worlds
from holdfast.testing.audit.mutants import MUTANTS as AUDIT_MUTANTS
from holdfast.testing.checkpoints.mutants import MUTANTS as CHECKPOINT_MUTANTS
from holdfast.testing.conformance import Check, Suite, clause_of, patience
from holdfast.testing.councils.mutants import MUTANTS as COUNCIL_MUTANTS
from holdfast.testing.flows.mutants import MUTANTS as FLOW_MUTANTS
from holdfast.testing.packages.mutants import MUTANTS as PACKAGE_MUTANTS
from holdfast.testing.plans.mutants import MUTANTS as PLAN_MUTANTS
from holdfast.testing.units import StoreUnits
from holdfast.testing.worlds.directory import DirectorySubject, directory_subject
from holdfast.testing.worlds.mutants import MUTANTS as WORLD_MUTANTS
from holdfast.worlds import World
from holdfast.worlds.directory import DirectoryWorld
from holdfast.worlds.keyvalue import KeyValueWorld

P = TypeVar("P")
Make = Callable[..., Any]
HASTY_SECONDS = 1.0
"""How long a check waits on a backend that is known to be wrong."""


@dataclass(frozen=True, slots=True)
class Contract(Generic[P]):
    """A port as the matrix examines it.

    Attributes:
        port: its name, without spaces.
        suite: its checks.
        adapter: makes ours.
        mutants: make wrong ones, alike; the attribute ``breaks`` of each is the clause it violates.
        open: a fresh backend in the store at a URL, made by one of them.
    """

    port: str
    suite: Suite[P]
    adapter: Make
    mutants: Sequence[type[Any]]
    open: Callable[[str, Make], AbstractContextManager[Any]]

    def exercise(self, new_url: Callable[[], str]) -> list[str]:
        """The clauses that ours holds.

        Raises:
            ConformanceFailure: it breaks some.
        """
        return self.suite.exercise(lambda: self.open(new_url(), self.adapter))

    def catches(self, mutant: type[Any], new_url: Callable[[], str]) -> bool:
        """Whether a check of the clause that ``mutant`` breaks notices it."""
        checks = (check for check in self.suite.checks if clause_of(check) == mutant.breaks)
        return any(not self.passes(check, mutant, new_url) for check in checks)

    def passes(self, check: Check[Any], make: Make, new_url: Callable[[], str]) -> bool:
        """Whether what ``make`` makes, which is known to be wrong, passes a check."""
        hasty = patience.set(HASTY_SECONDS)
        try:
            with self.open(new_url(), make) as backend:
                check(backend)
        except Exception:
            return False
        finally:
            patience.reset(hasty)
        return True


@contextmanager
def units_of(url: str, make: Callable[[Transaction], P]) -> Iterator[StoreUnits[P]]:
    """A backend that is a port over transactions of a store."""
    with open_store(url) as store:
        yield StoreUnits(store, make)


@contextmanager
def directory_of(url: str, make: Callable[[Path, Store], DirectoryWorld]) -> Iterator[DirectorySubject]:
    """A directory world in a temporary directory."""
    with (
        TemporaryDirectory(prefix="holdfast-world-") as root,
        directory_subject(url, Path(root), make) as subject,
    ):
        yield subject


CONTRACTS: tuple[Contract[Any], ...] = (
    Contract("AuditLog", audit.suite, audit.SqlAuditPorts, AUDIT_MUTANTS, units_of),
    Contract("PlanStore", plans.suite, PlanPorts.over, PLAN_MUTANTS, units_of),
    Contract("PackageStore", packages.suite, PackagePorts.over, PACKAGE_MUTANTS, units_of),
    Contract("FlowStore", flows.suite, SqlFlowStore, FLOW_MUTANTS, units_of),
    Contract("CouncilRepositoryPort", councils.suite, SqlCouncilRepository, COUNCIL_MUTANTS, councils.open_councils),
    Contract("StatefulService-keys", worlds.suite, KeyValueWorld, WORLD_MUTANTS, worlds.key_value_subject),
    Contract("StatefulService-files", worlds.suite, DirectoryWorld, (), directory_of),
    Contract("World", checkpoints.suite, World, CHECKPOINT_MUTANTS, checkpoints.open_world),
)
