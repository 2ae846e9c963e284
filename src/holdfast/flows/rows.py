"""Flows, steps and events as rows of the database, there and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from holdfast import codec
from holdfast.clock import to_datetime, to_micros
from holdfast.flows.model import Flow, FlowEvent, FlowStatus, FlowStep, Runtime, StepStatus
from holdfast.flows.requests import check_key, check_tags
from holdfast.ids import new_seed, parse_id, row_id
from holdfast.store import Row
from holdfast.text import check_texts

CREATED, UPDATED = 12, 13
"""Where these columns are in the part ``flow`` of the queries."""
BLOB = 14
"""Where the digest of a large result is in the part ``step``."""


def id_text(value: UUID) -> str:
    """An id as it is stored.

    Raises:
        InvalidId: it is none; one database would raise its driver's error, the other find nothing.
    """
    return str(parse_id(value))


def flow_columns(flow: Flow) -> dict[str, Any]:
    """The columns of a flow that an update may change.

    Raises:
        InvalidId, InvalidInput, NotSerialisable: they cannot be stored.
    """
    columns = {
        "id": id_text(flow.id),
        "package_hash": flow.package_hash,
        "owner_session_key": flow.owner_session_key,
        "goal": flow.goal,
        "current_step": flow.current_step,
        "state": codec.encode(flow.state, what="The flow's state"),
        "status": str(flow.status),
        "paused": flow.paused,
        "cancel_requested": flow.cancel_requested,
        "attempt": flow.attempt,
        "result": flow.result,
        "error": codec.encode(flow.error) if flow.error is not None else None,
        "updated_at": to_micros(flow.updated_at),
        "started_at": _micros(flow.started_at),
        "finished_at": _micros(flow.finished_at),
    }
    return check_texts(columns)


def birth_columns(flow: Flow) -> dict[str, Any]:
    """The columns of a flow that are written once.

    Raises:
        InvalidId, InvalidInput, NotSerialisable: they cannot be stored.
    """
    created = to_micros(flow.created_at)
    columns = {
        "key": flow.key,
        "workflow_type": flow.workflow_type,
        "revision": flow.revision,
        "created_at": created,
        "seed": new_seed(),
        "args": flow.args,
        "args_digest": codec.encode_canonical(codec.decode(flow.args))[1],
        "due_at": (_micros(flow.due_at) or created) if _runnable(flow) else None,
        "tags": codec.encode(dict(check_tags(flow.tags))) if flow.tags else None,
        "queue": check_key(flow.queue, "the name of a queue"),
        "queue_key": flow.queue_key,
        "priority": flow.priority,
    }
    return check_texts(columns)


def flow_of(row: Row) -> Flow:
    """The flow of a row that begins with the part ``flow``."""
    return Flow(
        id=UUID(row[0]),
        workflow_type=row[1],
        package_hash=row[2],
        owner_session_key=row[3],
        goal=row[4],
        current_step=row[5],
        state=codec.decode(row[6]),
        status=FlowStatus(row[7]),
        paused=bool(row[8]),
        cancel_requested=bool(row[9]),
        attempt=row[10],
        revision=row[11],
        created_at=to_datetime(row[12]),
        updated_at=to_datetime(row[13]),
        key=row[14],
        args=row[15],
        result=row[16],
        error=codec.decode(row[17]) if row[17] else None,
        started_at=_moment(row[18]),
        finished_at=_moment(row[19]),
        epoch=row[20],
        due_at=_moment(row[21]),
        crashes=row[22],
        tags=codec.decode(row[23], dict[str, str]) if row[23] else {},
        queue=row[24],
        queue_key=row[25],
        priority=row[26],
        parent=UUID(row[27]) if row[27] else None,
    )


def step_columns(step: FlowStep) -> dict[str, Any]:
    """Raises:
    InvalidId, InvalidInput, NotSerialisable: they cannot be stored.
    """
    columns = {
        "run_id": step.run_id,
        "id": id_text(step.id),
        "runtime": str(step.runtime),
        "task": step.task,
        "status": str(step.status),
        "attempt": step.attempt,
        "result": step.result,
        "error": codec.encode(step.error) if step.error is not None else None,
        "epoch": step.epoch,
        "created_at": to_micros(step.created_at),
        "updated_at": to_micros(step.updated_at),
        "superseded_by": step.superseded_by,
    }
    return check_texts(columns)


def step_of(row: Row, large: Mapping[str, str]) -> FlowStep:
    """The step of a row that begins with the part ``step``.

    Args:
        large: results that were too large for the row, by their digests.
    """
    return FlowStep(
        id=UUID(row[1]) if row[1] else row_id(row[0]),
        flow_id=UUID(row[2]),
        run_id=row[3],
        runtime=Runtime(row[4]),
        task=row[5],
        status=StepStatus(row[6]),
        attempt=row[7],
        result=large[row[BLOB]] if row[BLOB] else row[8],
        error=codec.decode(row[9]) if row[9] else None,
        epoch=row[10],
        created_at=to_datetime(row[11]),
        updated_at=to_datetime(row[12]),
        superseded_by=row[13],
    )


def event_columns(kind: str, payload: Any) -> dict[str, Any]:
    """Raises:
    InvalidInput, NotSerialisable: they cannot be stored.
    """
    return check_texts({"kind": kind, "payload": codec.encode(payload, what="The event's payload")})


def event_of(row: Row) -> FlowEvent:
    """The event of a row of ``list_events``."""
    return FlowEvent(
        id=UUID(row[0]), flow_id=UUID(row[1]), kind=row[2], payload=codec.decode(row[3]), at=to_datetime(row[4])
    )


def _runnable(flow: Flow) -> bool:
    return flow.status in (FlowStatus.CREATED, FlowStatus.RUNNING) and not flow.paused


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else to_datetime(micros)
