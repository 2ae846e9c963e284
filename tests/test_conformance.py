"""The conformance kit itself: checks cite clauses, failures are named, nothing is passed over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from holdfast.flows import FlowStore
from holdfast.testing import ConformanceFailure, UnitRunner, Violation
from holdfast.testing.conformance import Suite
from holdfast.testing.flows import ModelUnits

Units = UnitRunner[FlowStore]


def test_a_check_without_a_clause_is_refused() -> None:
    def no_clause(units: object) -> None:
        """Says nothing of a clause."""

    with pytest.raises(ValueError, match="no_clause"):
        Suite("port").check(no_clause)


def test_a_failure_names_check_and_clause_and_the_rest_is_run() -> None:
    ran: list[str] = []
    port: Suite[Units] = Suite("Port")

    @port.check
    def broken(units: Units) -> None:
        """FL-10: breaks."""
        raise Violation("nothing works")

    @port.check
    def crashing(units: Units) -> None:
        """FL-2: crashes."""
        raise KeyError("no")

    @port.check
    def held(units: Units) -> None:
        """FL-1: holds."""
        ran.append("held")

    @contextmanager
    def fresh() -> Iterator[Units]:
        yield ModelUnits()

    with pytest.raises(ConformanceFailure, match="Port breaks FL-2, FL-10") as caught:
        port.exercise(fresh)
    assert ran == ["held"]
    assert list(caught.value.failed) == ["FL-2", "FL-10"]
    assert [error.__notes__ for error in caught.value.exceptions] == [
        ["broken: FL-10: breaks."],
        ["crashing: FL-2: crashes."],
    ]
    split = caught.value.subgroup(Violation)
    assert isinstance(split, ConformanceFailure)
    assert len(split.exceptions) == 1
