"""How a store's flows and workers are, found out by reading alone."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

from holdfast import codec
from holdfast.clock import MICROS_PER_SECOND, to_datetime
from holdfast.flows.chores import Chore, chores
from holdfast.flows.engine.lease import host_id, process_exists
from holdfast.flows.model import told_served
from holdfast.flows.retention import declared
from holdfast.store import Row, Transaction, load_queries

_q = load_queries("holdfast.flows.engine")
_flows = load_queries("holdfast.flows")
HALTED_SHOWN = 20


class WorkerState(StrEnum):
    """What can be told of a worker that has not been fenced.

    ``gone``: its process on this host has ended. ``frozen``: it is stopped. ``silent``: its row has not moved for
    longer than its lease, by two clocks that may differ; nobody is fenced by that.
    """

    LIVING = "living"
    FROZEN = "frozen"
    SILENT = "silent"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class WorkerHealth:
    """A worker that has not been fenced.

    Attributes:
        host: its host's name.
        silent_seconds: since its last beat.
        flows: how many it holds.
    """

    epoch: int
    state: WorkerState
    host: str
    pid: int
    workflow_types: Sequence[str]
    started_at: datetime
    seen_at: datetime
    silent_seconds: float
    lease_seconds: float
    flows: int


@dataclass(frozen=True, slots=True)
class HaltedFlow:
    """A flow that is held until somebody mends the cause (FL-19)."""

    id: UUID
    workflow_type: str
    error: dict[str, Any]
    since: datetime


@dataclass(frozen=True, slots=True)
class RecentStep:
    """A recorded call, without its result."""

    run_id: str
    status: str
    attempt: int
    created_at: datetime
    updated_at: datetime
    error: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Health:
    """What :func:`inspect` found.

    Attributes:
        statuses: flows by status.
        halted: those that were halted first.
        halted_count: of all.
        unserved: by workflow type, flows that want to run while no living worker serves them.
        retention: by workflow type, seconds for which ended flows are kept, where the workflow says so.
        chores: what workers do daily, and how it went.
        queues, schedules: how many there are.
    """

    workers: Sequence[WorkerHealth]
    statuses: Mapping[str, int]
    halted: Sequence[HaltedFlow]
    halted_count: int
    unserved: Mapping[str, int]
    retention: Mapping[str, float]
    chores: Sequence[Chore]
    queues: int
    schedules: int


def inspect(tx: Transaction) -> Health:
    """The state of all that runs in the store."""
    present = workers(tx)
    served = served_types(present)
    wanted = {told_served(name): int(count) for name, count in tx.fetch(_q["health_wanted"])}
    ((halted,),) = tx.fetch(_q["health_halted_count"])
    ((queues, schedules),) = tx.fetch(_flows["standing_orders"])
    return Health(
        workers=present,
        statuses=dict(sorted(tx.fetch(_q["health_statuses"]))),
        halted=[_halted(row) for row in tx.fetch(_q["health_halted"], {"limit": HALTED_SHOWN})],
        halted_count=halted,
        unserved={name: count for name, count in wanted.items() if name not in served},
        retention=declared(tx),
        chores=chores(tx),
        queues=queues,
        schedules=schedules,
    )


def workers(tx: Transaction) -> list[WorkerHealth]:
    """All workers that have not been fenced, oldest first."""
    return [_worker(row, tx.clock.micros()) for row in tx.fetch(_q["health_workers"])]


def served_types(present: Sequence[WorkerHealth]) -> set[str]:
    """The workflow types that some living worker serves."""
    return {name for worker in present if worker.state is WorkerState.LIVING for name in worker.workflow_types}


def serves(present: Sequence[WorkerHealth], workflow_type: str) -> bool:
    """Whether some living worker serves a workflow type, in whatever version."""
    return any(name == workflow_type or name.startswith(f"{workflow_type}@") for name in served_types(present))


def step_counts(tx: Transaction, flow_id: UUID) -> dict[str, int]:
    """The recorded steps of a flow, by status; not those that a rewind has undone."""
    return dict(sorted(tx.fetch(_q["step_counts"], {"id": str(flow_id)})))


def last_steps(tx: Transaction, flow_id: UUID, limit: int) -> list[RecentStep]:
    """The newest ``limit`` recorded steps of a flow that no rewind has undone, newest first."""
    return [
        RecentStep(run_id, status, attempt, to_datetime(began), to_datetime(ended), codec.decode(error or "null"))
        for run_id, status, attempt, began, ended, error in tx.fetch(
            _q["last_steps"], {"id": str(flow_id), "limit": limit}
        )
    ]


def owner_statuses(tx: Transaction, owner: str) -> dict[str, int]:
    """An owner's flows by status; those that are held count as ``halted``."""
    return dict(tx.fetch(_q["owner_statuses"], {"owner": owner}))


def owner_records(tx: Transaction, owner: str) -> set[str]:
    """The idempotency keys of all recorded steps of an owner's flows."""
    return {f"{flow_id}/{run_id}" for flow_id, run_id in tx.fetch(_q["owner_records"], {"owner": owner})}


def owner_resumed(tx: Transaction, owner: str) -> int:
    """How many of an owner's flows were taken over from a worker that died."""
    ((count,),) = tx.fetch(_q["owner_resumed"], {"owner": owner})
    return int(count)


def is_frozen(pid: int) -> bool | None:
    """Whether a process of this host is stopped; ``None`` where that cannot be told."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("T", "t")
    return None


def _worker(row: Row, now: int) -> WorkerHealth:
    epoch, host, pid, lease_seconds, types, started_at, seen_at, flows = row
    silent = max(0.0, (now - seen_at) / MICROS_PER_SECOND)
    here = host == host_id()
    if here and not process_exists(pid):
        state = WorkerState.GONE
    elif here and is_frozen(pid):
        state = WorkerState.FROZEN
    else:
        state = WorkerState.SILENT if silent > lease_seconds else WorkerState.LIVING
    return WorkerHealth(
        epoch=epoch,
        state=state,
        host=host.partition("/")[0],
        pid=pid,
        workflow_types=[told_served(name) for name in codec.decode(types, list[str])],
        started_at=to_datetime(started_at),
        seen_at=to_datetime(seen_at),
        silent_seconds=round(silent, 3),
        lease_seconds=lease_seconds,
        flows=flows,
    )


def _halted(row: Row) -> HaltedFlow:
    return HaltedFlow(UUID(row[0]), row[1], codec.decode(row[2]), to_datetime(row[3]))
