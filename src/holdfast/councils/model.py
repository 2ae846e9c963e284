"""Records of council runs and their state machine. Pure: no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from functools import total_ordering
from typing import Any
from uuid import UUID

from holdfast.councils.graph import TaskGraph
from holdfast.errors import IllegalTransition


class RunStatus(StrEnum):
    """Where a run is in its life."""

    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting_approval"
    INTERRUPTED = "interrupted"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Completed, failed or cancelled: only rewind leaves it."""
        return not _MOVES[self]


@total_ordering
class HitlMode(Enum):
    """How often a run asks a human in the loop; each mode asks whatever the ones below it ask."""

    NONE = "none"
    PLAN = "plan"
    NODE = "node"
    TOOL = "tool"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, HitlMode):
            return NotImplemented
        levels = list(HitlMode)
        return levels.index(self) < levels.index(other)

    def __str__(self) -> str:
        return str(self.value)


_MOVES: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.RUNNING: frozenset(set(RunStatus) - {RunStatus.RUNNING}),
    RunStatus.AWAITING_APPROVAL: frozenset({RunStatus.RUNNING, RunStatus.FAILED, RunStatus.CANCELLED}),
    RunStatus.INTERRUPTED: frozenset({RunStatus.RUNNING, RunStatus.FAILED, RunStatus.CANCELLED}),
    RunStatus.COMPLETED: frozenset(),
    RunStatus.FAILED: frozenset(),
    RunStatus.CANCELLED: frozenset(),
}


def check_run_move(origin: RunStatus, target: RunStatus) -> None:
    """Staying put is no move, except that a terminal run accepts nothing.

    Raises:
        IllegalTransition: the state machine has no such move (CO-2).
    """
    if target not in _MOVES[origin] and (origin.terminal or target is not origin):
        raise IllegalTransition("A council run", origin, target)


@dataclass(frozen=True, slots=True, kw_only=True)
class CouncilRun:
    """One execution of a council.

    Attributes:
        id: its UUID, made by the caller.
        goal: what the council is to achieve.
        graph: the plan, once there is one, with all that its nodes have brought about (CO-3).
        hitl_mode: kept for life; a resumed run asks as often as before (CO-11).
        epoch: the worker epoch that holds its lease while it is running; ``None``: nobody's (CO-7).
    """

    id: UUID
    goal: str
    graph: TaskGraph | None = None
    status: RunStatus = RunStatus.RUNNING
    hitl_mode: HitlMode = HitlMode.NONE
    epoch: int | None = None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CouncilRunEvent:
    """Something that happened in a run; never changed but for being superseded.

    Attributes:
        seq: its place among the events of the run, from 1, superseded ones included (CO-6).
        wave_index: the wave it belongs to, from 0; ``None`` before the first wave, and for what belongs to none.
        superseded_at: when a rewind took it out of the live log (CO-8).
    """

    run_id: UUID
    seq: int
    wave_index: int | None = None
    kind: str
    payload: Any
    at: datetime
    superseded_at: datetime | None = None

    @property
    def superseded(self) -> bool:
        """Whether a rewind took it out of the live log."""
        return self.superseded_at is not None
