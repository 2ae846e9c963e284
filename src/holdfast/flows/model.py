"""Records of flows and their state machine. Pure: no I/O."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from holdfast.errors import HoldfastError, IllegalTransition

_TRACE_FRAMES = 20
_PINNED_TO = "\x1f"
_MAX_TEXT = 20_000


class FlowStatus(StrEnum):
    """Where a flow is in its life."""

    CREATED = "created"
    RUNNING = "running"
    WAITING = "waiting"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Finished, failed or cancelled: only retry and rewind leave it."""
        return not _FLOW_MOVES[self]


class StepStatus(StrEnum):
    """Where a step is; it moves forward only (FL-14)."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def rank(self) -> int:
        """How far along; the three ends share the highest rank."""
        return min(list(StepStatus).index(self), 2)


class Runtime(StrEnum):
    """Who runs a step: this engine, or another system that reports it."""

    MANAGED = "managed"
    MIRRORED = "mirrored"


_FLOW_MOVES: dict[FlowStatus, frozenset[FlowStatus]] = {
    FlowStatus.CREATED: frozenset({FlowStatus.RUNNING, FlowStatus.CANCELLED}),
    FlowStatus.RUNNING: frozenset({FlowStatus.WAITING, FlowStatus.FINISHED, FlowStatus.FAILED, FlowStatus.CANCELLED}),
    FlowStatus.WAITING: frozenset({FlowStatus.RUNNING, FlowStatus.FAILED, FlowStatus.CANCELLED}),
    FlowStatus.FINISHED: frozenset(),
    FlowStatus.FAILED: frozenset(),
    FlowStatus.CANCELLED: frozenset(),
}


def check_flow_move(origin: FlowStatus, target: FlowStatus) -> None:
    """Staying put is no move.

    Raises:
        IllegalTransition: the state machine has no such move.
    """
    if target is not origin and target not in _FLOW_MOVES[origin]:
        raise IllegalTransition("A flow", origin, target)


def step_advances(origin: StepStatus, target: StepStatus) -> bool:
    """Whether ``target`` lies ahead of ``origin``; a late observation does not (FL-14)."""
    return target.rank > origin.rank


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One durable execution of a workflow.

    Attributes:
        id: its UUID.
        workflow_type: name of the workflow it executes.
        state: a JSON object of the owner's own.
        revision: counts the changes of this record (FL-1).
        paused: holds dispatch while the flow is not terminal.
        args: the workflow's arguments as a JSON object by parameter name.
        key: the caller's own idempotency key, unique within the workflow type (FL-18).
        result: JSON text of the result, once finished.
        error: what ended or halted it: ``{"kind", "detail", "trace", "remedy"}``.
        epoch: the worker epoch that holds its lease, if any (FL-11).
        due_at: when it may be claimed next; ``None`` while it is leased, paused or terminal.
        crashes: how many workers died on it in a row (FL-19).
        tags: names with values to search it by.
        queue: the queue it waits in, if any.
        queue_key: within the queue, whose turn it takes.
        priority: within the queue, smaller ones first.
        parent: the flow that started it as its child; ``None`` also once that was pruned.
    """

    id: UUID
    workflow_type: str
    package_hash: str | None = None
    owner_session_key: str = ""
    goal: str = ""
    current_step: str | None = None
    state: dict[str, Any] = field(default_factory=dict)
    status: FlowStatus = FlowStatus.CREATED
    paused: bool = False
    cancel_requested: bool = False
    attempt: int = 1
    revision: int = 0
    created_at: datetime
    updated_at: datetime
    key: str | None = None
    args: str = "{}"
    result: str | None = None
    error: dict[str, Any] | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    epoch: int | None = None
    due_at: datetime | None = None
    crashes: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    queue: str | None = None
    queue_key: str = ""
    priority: int = 0
    parent: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStep:
    """A recorded call of a flow.

    Attributes:
        run_id: unique within the flow; ``name#occurrence@attempt`` for a step the engine ran (FL-6).
        result: JSON text, once succeeded.
        error: ``{"kind", "detail", "trace"}``, once failed.
        epoch: the worker epoch that recorded it.
        superseded_by: the flow's attempt in which a rewind undid the record; it is not replayed any more (FL-16).
    """

    id: UUID
    flow_id: UUID
    run_id: str
    runtime: Runtime = Runtime.MANAGED
    task: str
    status: StepStatus = StepStatus.PENDING
    attempt: int = 1
    result: str | None = None
    error: dict[str, Any] | None = None
    epoch: int | None = None
    created_at: datetime
    updated_at: datetime
    superseded_by: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowEvent:
    """Something that happened to a flow besides its steps; never updated (FL-4)."""

    id: UUID
    flow_id: UUID
    kind: str
    payload: Any
    at: datetime


def served_by(workflow_type: str, package_hash: str | None) -> str:
    """What workers claim flows by: the workflow's name, and for those that are pinned the version with it (PK-8). No
    name can contain what joins the two."""
    return workflow_type if package_hash is None else f"{workflow_type}{_PINNED_TO}{package_hash}"


def type_served(served: str) -> str:
    """The workflow type of what workers claim flows by."""
    return served.partition(_PINNED_TO)[0]


def told_served(served: str) -> str:
    """The same for people: ``orders.fulfil`` or ``orders.fulfil@0123456789ab``."""
    workflow_type, _, package_hash = served.partition(_PINNED_TO)
    return f"{workflow_type}@{package_hash[:12]}" if package_hash else workflow_type


def describe(error: BaseException, traced: str = "") -> dict[str, Any]:
    """An exception as it is recorded: its qualified name, text and traceback, all JSON and of limited length."""
    kind = type(error)
    described: dict[str, Any] = {
        "kind": f"{kind.__module__}.{kind.__qualname__}",
        "detail": error.message if isinstance(error, HoldfastError) else _text(error),
        "trace": traced,
    }
    if isinstance(error, HoldfastError):
        described["remedy"] = error.remedy
    return {name: _printable(value) for name, value in described.items()}


def trace(error: BaseException) -> str:
    """The last frames of an exception's traceback, as text; empty where it cannot be made."""
    try:
        return "".join(traceback.format_exception(type(error), error, error.__traceback__, limit=-_TRACE_FRAMES))
    except Exception:  # formatting calls users' __str__ and CPython's ast, and an outcome must not be lost to either
        return ""


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "(its text cannot be made)"


def _printable(value: str) -> str:
    """Lone surrogates have no UTF-8 and NUL is refused by PostgreSQL; both are legal in an exception's text."""
    if len(value) > _MAX_TEXT:
        half = _MAX_TEXT // 2
        value = f"{value[:half]} [{len(value) - 2 * half:,} characters are left out] {value[-half:]}"
    return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
