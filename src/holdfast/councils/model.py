"""Records of council runs and their state machine. Pure: no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from functools import total_ordering
from typing import Any
from uuid import UUID

from holdfast.clock import Clock, to_datetime
from holdfast.councils.graph import TaskGraph
from holdfast.errors import IllegalTransition
from holdfast.ids import new_id, parse_id


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


def new_run(
    goal: str,
    *,
    clock: Clock,
    graph: TaskGraph | None = None,
    hitl_mode: HitlMode = HitlMode.NONE,
    epoch: int | None = None,
    id: UUID | None = None,
) -> CouncilRun:
    """A running run of now, under a fresh id unless one is given. What else it cannot be is refused when it is created.

    Args:
        goal: what the council is to achieve.
        clock: where to read the time, such as a transaction's.
        graph, hitl_mode, epoch, id: as :class:`CouncilRun` has them.

    Raises:
        InvalidId: ``id`` is no UUID.
    """
    now = to_datetime(clock.micros())
    run_id = new_id() if id is None else parse_id(id)
    return CouncilRun(
        id=run_id, goal=goal, graph=graph, hitl_mode=hitl_mode, epoch=epoch, created_at=now, updated_at=now
    )


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
