"""Flows with histories and worlds for the tests of rewinding, made without an engine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from holdfast import codec
from holdfast.flows import Flow, FlowStatus, SqlFlowStore
from holdfast.flows.rewinding.sql import SqlHistory
from holdfast.rewind.model import Opening, own_opening
from holdfast.store import Store, Transaction
from holdfast.worlds import Moment, Scope, World
from holdfast.worlds.keyvalue import KeyValueWorld
from holdfast.worlds.ownership import hold_scopes

THEN = datetime(2029, 1, 1, tzinfo=UTC)
FLOW, OTHER = (UUID(int=(0x0189 << 112) | (0x7 << 76) | (0b10 << 62) | n) for n in (1, 2))
_q = """INSERT INTO steps (flow, run_id, runtime, task, status, attempt, digest, result, error, created_at, updated_at)
    SELECT num, :run_id, :runtime, :task, :status, 1, 0, :result, :error, :at, :at FROM flows WHERE id = :id
    RETURNING num"""


def new_flow(tx: Transaction, flow_id: UUID = FLOW, status: FlowStatus = FlowStatus.RUNNING, **fields: Any) -> int:
    """A flow that nobody holds; its number."""
    flow = Flow(id=flow_id, workflow_type="sample", status=status, created_at=THEN, updated_at=THEN, **fields)
    SqlFlowStore(tx).insert(flow)
    found = SqlHistory(tx).num(flow_id)
    assert found is not None
    return found


def record(
    tx: Transaction,
    run_id: str,
    flow_id: UUID = FLOW,
    *,
    result: Any = None,
    error: Any = None,
    runtime: str = "managed",
) -> int:
    """One completed call; its number."""
    row = {
        "id": str(flow_id),
        "run_id": run_id,
        "runtime": runtime,
        "task": run_id.rpartition("#")[0],
        "status": "succeeded" if error is None else "failed",
        "result": None if error else json.dumps(result),
        "error": json.dumps(error) if error else None,
        "at": tx.clock.micros(),
    }
    found = tx.fetch_one(_q, row)
    assert found is not None
    return int(found[0])


def steps(tx: Transaction, count: int, flow_id: UUID = FLOW, *, first: int = 1, attempt: int = 1) -> None:
    """That many calls of one step."""
    for number in range(first, first + count):
        record(tx, f"work#{number}@{attempt}", flow_id, result=number)


def finish(tx: Transaction, flow_id: UUID = FLOW, status: str = "finished", error: Any = None) -> None:
    """End a flow as the engine does."""
    tx.execute(
        "UPDATE flows SET status = :status, error = :error, due_at = NULL, epoch = NULL, finished_at = :now, "
        "revision = revision + 1 WHERE id = :id",
        {"id": str(flow_id), "status": status, "error": json.dumps(error) if error else None, "now": 1},
    )


def kept(tx: Transaction, flow_id: UUID = FLOW) -> list[str]:
    """Run ids of what a replay sees, in order."""
    num = SqlHistory(tx).num(flow_id)
    assert num is not None
    return [one.run_id for one in SqlHistory(tx).kept(num)]


def present(tx: Transaction, flow_id: UUID = FLOW) -> Flow:
    found = SqlFlowStore(tx).get(flow_id)
    assert found is not None
    return found


def events(tx: Transaction, flow_id: UUID = FLOW) -> list[tuple[str, Any]]:
    """Kinds and payloads, oldest first."""
    return [(event.kind, event.payload) for event in reversed(SqlFlowStore(tx).list_events(flow_id).items)]


class Site:
    """A world of values as a flow opens, changes and checkpoints it."""

    def __init__(self, store: Store, flow_id: UUID = FLOW, scopes: Sequence[Scope] | None = None) -> None:
        own = own_opening("site", flow_id)
        self.store = store
        self.flow_id = flow_id
        self.opening = own if scopes is None else Opening("site", "site", tuple(scopes), False)
        self.taken = 0

    @property
    def world(self) -> World:
        """Opened anew: what is pending is carried out."""
        return World(self.store, self.opening.stored, [self.values], self.opening.scopes)

    @property
    def values(self) -> KeyValueWorld:
        return KeyValueWorld(self.store, "site")

    def open(self, attempt: int = 1) -> None:
        capture = self.world.capture(self.opening.scopes)

        def write(tx: Transaction) -> None:
            num = record(tx, f"world:site#1@{attempt}", self.flow_id, result=json.loads(codec.encode(self.opening)))
            hold_scopes(tx, self.opening.stored, self.opening.scopes, self.flow_id)
            capture.write(tx, moment=Moment(self.flow_id, num))

        self.store.run(write)

    def checkpoint(self, name: str | None = None, *, attempt: int = 1, number: int | None = None) -> None:
        self.taken = number or self.taken + 1
        capture = self.world.capture(self.opening.scopes)

        def write(tx: Transaction) -> None:
            num = record(tx, f"checkpoint:site#{self.taken}@{attempt}", self.flow_id, result=name)
            capture.write(tx, name=name, moment=Moment(self.flow_id, num))

        self.store.run(write)

    def put(self, number: int, *, attempt: int = 1) -> None:
        """A step that changes the world."""
        for scope in self.opening.scopes:
            self.values.put(*scope, "number", number)
        self.store.run(lambda tx: record(tx, f"put#{number}@{attempt}", self.flow_id))

    def seen(self, scopes: Iterable[Scope] | None = None) -> list[Any]:
        """What each scope holds, whatever is pending."""
        return [
            {item.key: item.value for item in self.values.items(*scope).items}.get("number")
            for scope in scopes or self.opening.scopes
        ]

    def waves(self, count: int) -> None:
        """Open it; each wave then is a step and a checkpoint ``wave n``."""
        self.open()
        for number in range(1, count + 1):
            self.put(number)
            self.checkpoint(f"wave {number}")
