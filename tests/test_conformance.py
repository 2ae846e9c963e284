"""The conformance kit itself: checks cite clauses, failures are named, nothing is passed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from holdfast import testing
from holdfast.audit import SqlAuditLog
from holdfast.councils import SqlCouncilRepository
from holdfast.flows import FlowStore, SqlFlowStore
from holdfast.packages import SqlPackageStore
from holdfast.plans import SqlPlanStore
from holdfast.store import open_store
from holdfast.testing import BackendUnusable, ConformanceFailure, Failure, StoreUnits, UnitRunner, Violation
from holdfast.testing.conformance import Suite
from holdfast.testing.contracts import CONTRACTS
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
    assert list(caught.value.failures) == [
        Failure("FL-10", "broken", "breaks.", "Violation: nothing works"),
        Failure("FL-2", "crashing", "crashes.", "KeyError: 'no'"),
    ]
    split = caught.value.subgroup(Violation)
    assert isinstance(split, ConformanceFailure)
    assert len(split.exceptions) == 1


def units_of(make: Callable[[Any], Any]) -> Callable[[], Any]:
    @contextmanager
    def opened() -> Iterator[StoreUnits[Any]]:
        with open_store("sqlite://") as store:
            yield StoreUnits(store, make)

    return opened


@pytest.mark.parametrize(
    ("exercise", "adapter", "due"),
    [
        (testing.exercise_plan_store, SqlPlanStore, "PlanPorts.over"),
        (testing.exercise_package_store, SqlPackageStore, "PackagePorts.over"),
        (testing.exercise_audit_log, SqlAuditLog, "SqlAuditPorts"),
        (testing.exercise_council_repository, SqlCouncilRepository, "council_units"),
        (testing.exercise_flow_store, SqlPlanStore, "SqlFlowStore"),
    ],
)
def test_a_port_that_is_not_the_suites_breaks_no_clause(
    exercise: Callable[[Any], object], adapter: Callable[[Any], Any], due: str
) -> None:
    with pytest.raises(BackendUnusable, match=f"a unit is given, {adapter.__name__}, has no") as caught:
        exercise(units_of(adapter))
    assert isinstance(caught.value, TypeError)
    assert due in caught.value.remedy


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.port)
@pytest.mark.parametrize(
    "open",
    [
        pytest.param(ModelUnits(), id="no function"),
        pytest.param(ModelUnits, id="no context manager"),
        pytest.param(units_of(SqlFlowStore).__wrapped__, id="a generator"),  # type: ignore[attr-defined]
        pytest.param(lambda: nullcontext(SqlFlowStore), id="a class"),
        pytest.param(lambda: nullcontext(None), id="nothing"),
        pytest.param(lambda: open_store("sqlite://"), id="a store"),
    ],
)
def test_what_is_no_backend_is_told_from_a_broken_contract(contract: Any, open: Any) -> None:
    with pytest.raises(BackendUnusable) as caught:
        contract.suite.exercise(open)
    assert caught.value.remedy


def test_a_backend_that_cannot_be_opened_says_why_itself() -> None:
    @contextmanager
    def gone() -> Iterator[Units]:
        raise OSError("no such disk")
        yield

    with pytest.raises(OSError, match="no such disk"):
        testing.exercise_flow_store(gone)
