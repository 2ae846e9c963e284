"""The conformance suite of the package store and its audited verbs (PK-1 … PK-6, PK-8, PK-10, PK-13), and a plain model
to compare with."""

from __future__ import annotations

from importlib import import_module

from holdfast.packages import PackagePorts
from holdfast.testing.packages.model import ModelUnits, PackageModel
from holdfast.testing.packages.samples import suite
from holdfast.testing.units import Opener

for checks in ("records", "lists", "routes", "verbs", "history", "splits", "splitting"):
    import_module(f"{__name__}.{checks}")  # each adds its checks to the suite

__all__ = ["ModelUnits", "PackageModel", "exercise_package_store", "suite"]


def exercise_package_store(open: Opener[PackagePorts]) -> list[str]:
    """Run every check of the :class:`~holdfast.packages.PackageStore` contract against a backend.

    A store of Holdfast's own is put in like this; a third party's makes :class:`~holdfast.packages.PackagePorts` of its
    own packages and audit log, both of one transaction::

        @contextmanager
        def open():
            with open_store("sqlite://") as store:
                yield StoreUnits(store, PackagePorts.over)

        assert exercise_package_store(open) == [...]

    Args:
        open: gives a fresh, empty backend for each check.

    Returns:
        The clauses held, in order.

    Raises:
        ConformanceFailure: some were broken; it names them and holds one exception for each check that failed.
    """
    return suite.exercise(open)
