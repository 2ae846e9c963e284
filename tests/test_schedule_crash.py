"""Killed anywhere in a tick or in a verb of schedules: each occurrence is started exactly once in the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from holdfast.audit import SqlAuditLog
from holdfast.flows.schedules import CatchUp, Definition, Overlap, manager, tick
from holdfast.flows.schedules.errors import PreviousRunning, ScheduleNotFound
from holdfast.store import Transaction
from holdfast.testing.crash import Operation, explore_operation
from tests.durable import KILLED_ON
from tests.schedule_kit import behind, end_all, flow_key, flows

HOUR = timedelta(hours=1)


def sample(name: str, overlap: Overlap, catch_up: CatchUp = CatchUp.ALL) -> Definition:
    return Definition(
        name=name, workflow_type="report", every=HOUR, overlap=overlap, catch_up=catch_up, tags={"team": "ops"}
    )


def prepare(tx: Transaction) -> None:
    """One schedule of each policy that is three hours behind, its last flow alive; two whose last flow has ended."""
    for overlap in (Overlap.SKIP, Overlap.BUFFER_ONE):
        manager.create(tx, sample(f"ended {overlap}", overlap))
        manager.trigger(tx, f"ended {overlap}")
    end_all(tx)
    for overlap in Overlap:
        manager.create(tx, sample(overlap, overlap))
        manager.trigger(tx, overlap)
    for made in manager.list_schedules(tx).items:
        behind(tx, made.name, 3)


def prepare_few(tx: Transaction) -> None:
    """Enough for a verb."""
    for name, overlap in (("fresh", Overlap.SKIP), ("held", Overlap.BUFFER_ONE), ("paused", Overlap.ALLOW)):
        manager.create(tx, sample(name, overlap, CatchUp.NONE))
        behind(tx, name, 3)
    manager.trigger(tx, "held")
    manager.pause(tx, "paused")


def prepare_two(tx: Transaction) -> None:
    for overlap in (Overlap.ALLOW, Overlap.CANCEL_PREVIOUS):
        manager.create(tx, sample(overlap, overlap))
        manager.trigger(tx, overlap)
        behind(tx, overlap, 3)


def observe(tx: Transaction) -> Any:
    schedules = manager.list_schedules(tx).items
    return (
        [replace(made, last_flow=None) for made in schedules],
        [flow_key(tx, made.last_flow) for made in schedules],
        flows(tx),
        sorted(
            tuple(row)
            for row in tx.fetch("SELECT t.name, t.value, f.key FROM flow_tags t JOIN flows f ON f.num = t.flow")
        ),
        [(row.act, row.subject, row.detail) for row in SqlAuditLog(tx).list().items if "flow" not in row.detail],
        len(SqlAuditLog(tx).list().items),
    )


def act(tx: Transaction) -> None:
    tick(tx, ["report", "other"])


OPERATIONS = {
    "tick": Operation(prepare, act, observe),
    "create": Operation(prepare_few, lambda tx: manager.create(tx, sample("new", Overlap.ALLOW)), observe),
    "update": Operation(prepare_few, lambda tx: manager.create(tx, sample("held", Overlap.ALLOW)), observe),
    "remove": Operation(prepare_few, lambda tx: manager.remove(tx, "held"), observe, (ScheduleNotFound,)),
    "pause": Operation(prepare_few, lambda tx: manager.pause(tx, "held"), observe),
    "resume": Operation(prepare_few, lambda tx: manager.resume(tx, "paused"), observe),
    "trigger": Operation(prepare_few, lambda tx: manager.trigger(tx, "paused"), observe),
    "trigger, buffered": Operation(prepare_few, lambda tx: manager.trigger(tx, "held"), observe),
    "trigger, skip": Operation(prepare_few, lambda tx: manager.trigger(tx, "fresh"), observe, (PreviousRunning,)),
}
TICK = Operation(prepare_two, act, observe)


@pytest.mark.parametrize("new_store_url", KILLED_ON, indirect=True)
@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_anywhere(name: str, new_store_url: Callable[[], str]) -> None:
    visits = list(explore_operation(OPERATIONS[name], new_store_url))
    assert {visit.where for visit in visits} == {"statement", "before commit", "after commit"}
    assert not [visit for visit in visits if visit.faults]


@pytest.mark.prove
@pytest.mark.parametrize("new_store_url", ["sqlite"], indirect=True)
def test_killed_for_real(new_store_url: Callable[[], str]) -> None:
    visits = list(explore_operation(TICK, new_store_url, reference=f"{__name__}:TICK"))
    assert len(visits) > 5
    assert not [visit for visit in visits if visit.faults]
