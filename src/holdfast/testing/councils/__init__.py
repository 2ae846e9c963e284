"""The conformance suite of the councils' repository (CO-1 … CO-8, CO-12), and a plain model to compare with."""

from __future__ import annotations

from importlib import import_module

from holdfast.testing.councils.leases import CouncilPorts, Leases, SqlLeases, council_units, open_councils
from holdfast.testing.councils.model import CouncilModel, ModelUnits
from holdfast.testing.councils.samples import suite
from holdfast.testing.units import Opener

for checks in ("records", "graphs", "events", "rewinds", "lists", "boot"):
    import_module(f"{__name__}.{checks}")  # each adds its checks to the suite

__all__ = [
    "CouncilModel",
    "CouncilPorts",
    "Leases",
    "ModelUnits",
    "SqlLeases",
    "council_units",
    "exercise_council_repository",
    "open_councils",
    "suite",
]


def exercise_council_repository(open: Opener[CouncilPorts]) -> list[str]:
    """Run every check of the :class:`~holdfast.councils.CouncilRepositoryPort` contract against a backend.

    A unit is given the port, and with it what makes leases begin and end (:class:`Leases`), for CO-7. A store of
    Holdfast's own is put in like this; a third party's gives its own runner::

        assert exercise_council_repository(lambda: open_councils("sqlite://")) == [...]

    Args:
        open: gives a fresh, empty backend for each check, with a clock that runs.

    Returns:
        The clauses held, in order.

    Raises:
        ConformanceFailure: some were broken; it names them and holds one exception for each check that failed.
    """
    return suite.exercise(open)
