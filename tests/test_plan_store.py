"""Plans and the routing table hold their contract on every database, and the suite notices when one does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from holdfast.plans import PlanPorts
from holdfast.store import Transaction, load_queries, open_store
from holdfast.testing import ConformanceFailure, StoreUnits, UnitRunner
from holdfast.testing.conformance import clause_of
from holdfast.testing.plans import exercise_plan_store, suite
from holdfast.testing.plans.mutants import MUTANTS, Mutant

CLAUSES = ["PL-1", "PL-2", "PL-3", "PL-4", "PL-5", "PL-6", "PL-7", "PL-8", "PL-9", "PL-14"]
Units = UnitRunner[PlanPorts]


def over(
    new_url: Callable[[], str], ports: Callable[[Transaction], PlanPorts]
) -> Callable[[], AbstractContextManager[Units]]:
    @contextmanager
    def fresh() -> Iterator[Units]:
        with open_store(new_url()) as store:
            yield StoreUnits(store, ports)

    return fresh


def test_the_adapters_hold_every_clause(new_store_url: Callable[[], str]) -> None:
    assert exercise_plan_store(over(new_store_url, PlanPorts.over)) == CLAUSES


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_wrong_store_is_caught(mutant: type[Mutant]) -> None:
    with pytest.raises(ConformanceFailure) as caught:
        exercise_plan_store(over(lambda: "sqlite://", mutant))
    assert mutant.breaks in caught.value.failed
    assert len(caught.value.exceptions) < len(suite.checks), "the mutant is wrong beyond its one fault"


def test_every_check_cites_its_clause_and_is_named_once() -> None:
    assert {clause_of(check) for check in suite.checks} == set(CLAUSES)
    assert len({check.__name__ for check in suite.checks}) == len(suite.checks)


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("list_plans", {"at": 0, "num": 0, "limit": 10}),
        ("list_by_status", {"status": "applied", "at": 0, "num": 0, "limit": 10}),
    ],
)
def test_a_page_costs_the_page(sqlite_url: str, query: str, params: dict[str, object]) -> None:
    """Found by an index and already in order: nothing is scanned, nothing sorted."""
    with open_store(sqlite_url) as store:
        text = "EXPLAIN QUERY PLAN " + load_queries("holdfast.plans")[query].sqlite
        plan = [row[3] for row in store.read(lambda tx: tx.fetch(text, params))]
    assert plan
    assert not [line for line in plan if line.startswith("SCAN") or "TEMP B-TREE" in line], plan
