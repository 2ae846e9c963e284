"""The conformance suite of plans and the routing table (PL-1 … PL-9, PL-14)."""

from __future__ import annotations

from importlib import import_module

from holdfast.plans import PlanPorts
from holdfast.testing.plans.samples import suite
from holdfast.testing.units import Opener

for checks in ("marking", "applying", "reviewing", "reverting", "routing"):
    import_module(f"{__name__}.{checks}")  # each adds its checks to the suite

__all__ = ["exercise_plan_store", "suite"]


def exercise_plan_store(open: Opener[PlanPorts]) -> list[str]:
    """Run every check of the :class:`~holdfast.plans.PlanStore` and :class:`~holdfast.gateway.RoutingTable` contracts
    against a backend, and of applying and reverting through them.

    A store of Holdfast's own is put in like this; a third party's makes :class:`~holdfast.plans.PlanPorts` of its own
    plans, routes and audit log, all of one transaction::

        @contextmanager
        def open():
            with open_store("sqlite://") as store:
                yield StoreUnits(store, PlanPorts.over)

        assert exercise_plan_store(open) == [...]

    Args:
        open: gives a fresh, empty backend for each check.

    Returns:
        The clauses held, in order.

    Raises:
        ConformanceFailure: some were broken; it names them and holds one exception for each check that failed.
    """
    return suite.exercise(open)
