"""Killed anywhere in a change of a council run, the next start sees all of it or nothing (CO-4, CO-7, CO-8)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from holdfast.audit import SqlAuditLog
from holdfast.councils import CouncilRun, RunStatus, SqlCouncilRepository, TaskGraph, TaskNode, manager
from holdfast.councils.errors import RunExists
from holdfast.errors import IllegalTransition
from holdfast.store import Transaction
from holdfast.testing.councils import SqlLeases
from holdfast.testing.crash import Operation, explore_operation

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
RUNS = [UUID(int=number << 64 | 0x8 << 60) for number in (1, 2, 3)]
GRAPH = TaskGraph((TaskNode(id="a", task="dig"),))


def run_of(run_id: UUID, **fields: Any) -> CouncilRun:
    return CouncilRun(**{"id": run_id, "goal": "gold", "created_at": LONG_AGO, "updated_at": LONG_AGO} | fields)


def prepare(tx: Transaction) -> None:
    leases, councils = SqlLeases(tx), SqlCouncilRepository(tx)
    dead, living = leases.begin(), leases.begin()
    leases.end(dead)
    for run_id, epoch in zip(RUNS, (dead, living, dead), strict=True):
        councils.create_run(run_of(run_id, epoch=epoch))
        for wave in (None, 0, 1, 2):
            councils.append_event(run_id, "kind", {"wave": wave}, wave_index=wave)


def observe(tx: Transaction) -> Any:
    councils = SqlCouncilRepository(tx)
    return [(run, councils.list_events(run.id, superseded=True).items) for run in councils.list_runs().items]


def observe_with_audit(tx: Transaction) -> Any:
    rows = SqlAuditLog(tx).list().items
    return observe(tx), [(row.act, row.subject, row.detail) for row in rows]


def rewind_while_done(tx: Transaction) -> object:
    """A rewind that is asked for again finds the log as it is: it says so once more, and supersedes nothing."""
    councils = SqlCouncilRepository(tx)
    if not any(event.kind == "rewound" for event in councils.list_events(RUNS[0]).items):
        manager.rewind(tx, RUNS[0], 0)
    return None


OPERATIONS = {
    "create": Operation(
        prepare,
        lambda tx: manager.create(tx, run_of(UUID(int=4 << 64 | 0x8 << 60), graph=GRAPH)),
        observe,
        (RunExists,),
    ),
    "change_status": Operation(
        prepare,
        lambda tx: manager.change_status(tx, RUNS[0], RunStatus.COMPLETED, "completed", {}),
        observe,
        (IllegalTransition,),
    ),
    "mark_interrupted": Operation(prepare, lambda tx: SqlCouncilRepository(tx).mark_interrupted_runs(), observe),
    "rewind": Operation(prepare, rewind_while_done, observe_with_audit),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_anywhere(name: str, new_lasting_url: Callable[[], str]) -> None:
    visits = list(explore_operation(OPERATIONS[name], new_lasting_url))
    assert len(visits) > 3
    assert not [visit for visit in visits if visit.faults]


def test_killed_for_real(tmp_path: Any) -> None:
    urls = (f"sqlite:///{tmp_path}/{number}.db" for number in range(1000))
    reference = f"{__name__}:MARK"
    visits = list(explore_operation(MARK, lambda: next(urls), reference=reference))
    assert len(visits) > 3
    assert not [visit for visit in visits if visit.faults]


MARK = OPERATIONS["mark_interrupted"]


@pytest.fixture(params=["sqlite", "postgres"])
def new_lasting_url(request: pytest.FixtureRequest, tmp_path: Any) -> Callable[[], str]:
    if request.param == "postgres":
        new: Callable[[], str] = request.getfixturevalue("new_postgres_url")
        return new
    urls = (f"sqlite:///{tmp_path}/{number}.db" for number in range(1000))
    return lambda: next(urls)
