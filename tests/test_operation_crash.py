"""Killed anywhere in an operation on flows, routes or the audit chain, the next start sees all of it or nothing (FL-8,
FL-9, PL-6, PL-8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from holdfast.audit import SqlAuditLog, checkpoint
from holdfast.flows import Flow, FlowStatus, FlowStep, SqlFlowStore, manager
from holdfast.flows.errors import RevisionMismatch
from holdfast.gateway import Route, SqlRoutingTable, Target
from holdfast.gateway.manager import replace_routes
from holdfast.store import Transaction
from holdfast.testing.crash import Operation, explore_operation

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
FLOW, ENDED = (UUID(int=n, version=4) for n in (1, 2))


def prepare(tx: Transaction) -> None:
    flows = SqlFlowStore(tx)
    for flow_id, status in ((FLOW, FlowStatus.RUNNING), (ENDED, FlowStatus.FINISHED)):
        flows.insert(
            Flow(
                id=flow_id, workflow_type="sample", status=FlowStatus.RUNNING, created_at=LONG_AGO, updated_at=LONG_AGO
            )
        )
        flows.insert_step(
            FlowStep(
                id=UUID(int=flow_id.int + 2),
                flow_id=flow_id,
                run_id="a#1@1",
                task="a",
                created_at=LONG_AGO,
                updated_at=LONG_AGO,
            )
        )
        flows.append_event(flow_id, "said", "hello")
        tx.execute("UPDATE flows SET status = :status WHERE id = :id", {"status": str(status), "id": str(flow_id)})
    replace_routes(tx, [route("before", 1), route("both", 2)])


def route(name: str, priority: int) -> Route:
    return Route(id=name, priority=priority, target=Target(provider="acme", model=name))


def observe(tx: Transaction) -> Any:
    flows, audit = SqlFlowStore(tx), SqlAuditLog(tx)
    return (
        flows.list_all().items,
        [[event.kind for event in flows.list_events(flow_id).items] for flow_id in (FLOW, ENDED)],
        [[step.run_id for step in flows.list_steps(flow_id).items] for flow_id in (FLOW, ENDED)],
        SqlRoutingTable(tx).current(),
        [(row.seq, row.act) for row in audit.list().items],
        audit.head(),
        audit.list_checkpoints().items,
    )


def say_and_change(tx: Transaction) -> None:
    flows = SqlFlowStore(tx)
    flow = flows.get(FLOW)
    assert flow is not None
    flows.update_and_append(replace(flow, goal="changed", revision=0), "changed", {"to": "changed"})


def prune(tx: Transaction) -> None:
    SqlFlowStore(tx).prune_terminal_flows(30)


def switch(tx: Transaction) -> None:
    if SqlRoutingTable(tx).current().revision == 1:
        replace_routes(tx, [route("after", 1), route("both", 2), route("third", 3)])


OPERATIONS = {
    "update_and_append": Operation(prepare, say_and_change, observe, (RevisionMismatch,)),
    "prune": Operation(prepare, prune, observe),
    "cancel": Operation(prepare, lambda tx: manager.cancel(tx, FLOW), observe),
    "replace_routes": Operation(prepare, switch, observe),
    "checkpoint": Operation(prepare, checkpoint, observe),
}
PRUNE = OPERATIONS["prune"]


@pytest.mark.parametrize("new_store_url", ["sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_anywhere(name: str, new_store_url: Callable[[], str]) -> None:
    visits = list(explore_operation(OPERATIONS[name], new_store_url))
    assert {visit.where for visit in visits} == {"statement", "before commit", "after commit"}
    assert not [visit for visit in visits if visit.faults]


@pytest.mark.prove
@pytest.mark.parametrize("new_store_url", ["sqlite"], indirect=True)
def test_killed_for_real(new_store_url: Callable[[], str]) -> None:
    visits = list(explore_operation(PRUNE, new_store_url, reference=f"{__name__}:PRUNE"))
    assert len(visits) > 5
    assert not [visit for visit in visits if visit.faults]


def test_the_explorer_finds_what_is_torn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that commits by halves is caught."""

    def halves(tx: Transaction) -> None:
        replace_routes(tx, [route("after", 1)])
        tx._connection.execute("RELEASE unit")  # type: ignore[attr-defined]
        tx._connection.execute("COMMIT")  # type: ignore[attr-defined]
        tx._connection.execute("BEGIN IMMEDIATE")  # type: ignore[attr-defined]
        tx._connection.execute("SAVEPOINT unit")  # type: ignore[attr-defined]
        prune(tx)

    numbers = iter(range(1000))
    torn = Operation(prepare, halves, observe)
    visits = list(explore_operation(torn, lambda: f"sqlite:///{tmp_path}/{next(numbers)}.db"))
    assert [visit for visit in visits if visit.faults]


def test_an_operation_that_shows_nothing_is_refused(tmp_path: Path) -> None:
    idle = Operation(prepare, lambda tx: None, observe)
    with pytest.raises(ValueError, match="changes nothing"):
        list(explore_operation(idle, lambda: f"sqlite:///{tmp_path}/idle.db"))
