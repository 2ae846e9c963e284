"""The package store and its audited verbs hold their contract on every database, and the suite that says so notices
when one does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from holdfast.packages import PackagePorts
from holdfast.store import Transaction, load_queries, open_store
from holdfast.testing import ConformanceFailure, StoreUnits, UnitRunner
from holdfast.testing.conformance import clause_of
from holdfast.testing.packages import ModelUnits, exercise_package_store, suite
from holdfast.testing.packages.mutants import MUTANTS, Mutant

CLAUSES = ["PK-1", "PK-2", "PK-3", "PK-4", "PK-5", "PK-6", "PK-10"]
Units = UnitRunner[PackagePorts]


def over(
    new_url: Callable[[], str], ports: Callable[[Transaction], PackagePorts]
) -> Callable[[], AbstractContextManager[Units]]:
    @contextmanager
    def fresh() -> Iterator[Units]:
        with open_store(new_url()) as store:
            yield StoreUnits(store, ports)

    return fresh


def test_the_adapter_holds_every_clause(new_store_url: Callable[[], str]) -> None:
    assert exercise_package_store(over(new_store_url, PackagePorts.over)) == CLAUSES


def test_a_store_of_another_make_can_be_put_in() -> None:
    @contextmanager
    def fresh() -> Iterator[Units]:
        yield ModelUnits()

    assert exercise_package_store(fresh) == CLAUSES


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_wrong_store_is_caught(mutant: type[Mutant]) -> None:
    with pytest.raises(ConformanceFailure) as caught:
        exercise_package_store(over(lambda: "sqlite://", mutant))
    assert mutant.breaks in caught.value.failed
    assert len(caught.value.exceptions) < len(suite.checks), "the mutant is wrong beyond its one fault"


def test_every_clause_has_a_check_and_a_mutant() -> None:
    assert {clause_of(check) for check in suite.checks} == set(CLAUSES)
    assert {mutant.breaks for mutant in MUTANTS} == set(CLAUSES)
    assert len({check.__name__ for check in suite.checks}) == len(suite.checks)


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("list_packages", {"deployed_at": 0, "workflow_type": "a", "content_hash": "b", "limit": 10}),
        ("list_routes", {"workflow_type": "a", "limit": 10}),
        ("pinned_flows", {"workflow_type": "a", "content_hash": "b", "limit": 10}),
        ("has_package", {"workflow_type": "a", "content_hash": "b"}),
    ],
)
def test_a_look_up_costs_what_it_finds(sqlite_url: str, query: str, params: dict[str, object]) -> None:
    """Found by an index and already in order: nothing is scanned, nothing sorted."""
    with open_store(sqlite_url) as store:
        text = "EXPLAIN QUERY PLAN " + load_queries("holdfast.packages")[query].sqlite
        plan = [row[3] for row in store.read(lambda tx: tx.fetch(text, params))]
    assert plan
    assert not [line for line in plan if line.startswith("SCAN") or "TEMP B-TREE" in line], plan
