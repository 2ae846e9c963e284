"""The conformance suite of the flow store (FL-1 … FL-9, FL-14, FL-18), and a plain model to compare with."""

from __future__ import annotations

from importlib import import_module

from holdfast.flows import FlowStore
from holdfast.testing.flows.model import FlowModel, ModelUnits
from holdfast.testing.flows.samples import suite
from holdfast.testing.units import Opener

for checks in ("records", "lists", "history", "pruning"):
    import_module(f"{__name__}.{checks}")  # each adds its checks to the suite

__all__ = ["FlowModel", "ModelUnits", "exercise_flow_store", "suite"]


def exercise_flow_store(open: Opener[FlowStore]) -> list[str]:
    """Run every check of the :class:`~holdfast.flows.FlowStore` contract against a backend.

    A store of Holdfast's own is put in like this; a third party's gives its own runner::

        @contextmanager
        def open():
            with open_store("sqlite://") as store:
                yield StoreUnits(store, SqlFlowStore)

        assert exercise_flow_store(open) == [...]

    Args:
        open: gives a fresh, empty backend for each check, with a clock that runs.

    Returns:
        The clauses held, in order.

    Raises:
        ConformanceFailure: some were broken; it names them and holds one exception for each check that failed.
    """
    return suite.exercise(open)
