"""Killed anywhere in a prune or a chore, the next start sees all of a transaction or nothing (FL-9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from holdfast.flows import SqlFlowStore, chores, retention
from holdfast.flows.remains import drop_superseded
from holdfast.flows.retention import declare
from holdfast.store import Transaction
from holdfast.testing.crash import Operation, explore_operation
from holdfast.testing.flows.samples import make_flow
from tests.durable import KILLED_ON
from tests.test_chores import worker
from tests.test_retention import BELONGINGS, CLOCK, aged, burden, number_in

FLOW = UUID(int=1, version=4)


def prepare(tx: Transaction) -> None:
    SqlFlowStore(tx).insert(aged(50, id=FLOW, tags={"a": "1"}))
    burden(tx, number_in(tx, make_flow(id=FLOW)))


def slice_of(tx: Transaction) -> None:
    rows = tx.fetch("SELECT num FROM flows")
    retention.SLICE_SECONDS = 3600.0  # a slow machine makes it no shorter
    retention._slice(tx, rows, 0, CLOCK.micros())


def undone(tx: Transaction) -> None:
    drop_superseded(tx, tx.fetch("SELECT num FROM steps"))


def observe(tx: Transaction) -> Any:
    rows = [sorted(tx.fetch(f"SELECT flow FROM {table} WHERE flow IS NOT NULL")) for table in BELONGINGS]
    return (
        rows,
        tx.fetch("SELECT num FROM flows"),
        tx.fetch("SELECT * FROM flow_remains"),
        tx.fetch("SELECT * FROM blob_holders"),
    )


def with_worker(tx: Transaction) -> None:
    worker(tx)
    tx.execute("INSERT INTO chores (name, due_at) VALUES ('daily', 0)")


def claimed(tx: Transaction) -> None:
    with_worker(tx)
    assert chores.claim(tx, chores.DAILY, 1, 5)


def look_at_chores(tx: Transaction) -> Any:
    return chores.chores(tx)


OPERATIONS = {
    "slice": Operation(prepare, slice_of, observe),
    "undone": Operation(prepare, undone, observe),
    "claim": Operation(with_worker, lambda tx: chores.claim(tx, chores.DAILY, 1, 5), look_at_chores),
    "finish": Operation(claimed, lambda tx: chores.finish(tx, chores.DAILY, 1, {"flows": 1}), look_at_chores),
    "declare": Operation(
        lambda tx: None,
        lambda tx: declare(tx, {"a": 1, "b": None}),
        lambda tx: tx.fetch("SELECT * FROM retention ORDER BY workflow_type"),
    ),
}


@pytest.mark.parametrize("new_store_url", KILLED_ON, indirect=True)
@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_anywhere(name: str, new_store_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "SLICE_SECONDS", retention.SLICE_SECONDS)  # put back at the end
    visits = list(explore_operation(OPERATIONS[name], new_store_url))
    assert {visit.where for visit in visits} == {"statement", "before commit", "after commit"}
    assert not [visit for visit in visits if visit.faults]
