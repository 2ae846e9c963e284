"""Starting what is due: called by workers.

A tick is one transaction: the flows of the occurrences that have come, and where their schedules are afterwards. An
occurrence's flow has a key made of the schedule's name and the occurrence, so that it starts once whatever is repeated.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from holdfast.clock import MICROS_PER_SECOND, to_datetime
from holdfast.errors import InvalidInput
from holdfast.flows import manager
from holdfast.flows.errors import AlreadyTerminal, FlowNotFound, LeaseHeld, RevisionMismatch
from holdfast.flows.requests import Start, StartOptions, make_start
from holdfast.flows.schedules.model import Schedule, canonical
from holdfast.flows.schedules.sql import Move, SqlSchedules, micros_of
from holdfast.flows.schedules.turns import Turn, due_occurrences, take_turn
from holdfast.flows.starts import MAX_GROUP, insert_flows
from holdfast.store import Transaction

MAX_STARTS = MAX_GROUP
"""Flows that one tick starts at most, or a few more; the rest is due still."""
PUT_OFF = 60 * MICROS_PER_SECOND
_TRIES = 20

log = logging.getLogger("holdfast")


def tick(tx: Transaction, workflow_types: Iterable[str]) -> int:
    """Start what is due of the schedules of these workflows; returns how many flows were started.

    It takes some at a time: while :func:`~holdfast.flows.schedules.next_due` is not in the future, there is more. Ticks
    of several workers at once take different schedules.
    """
    schedules, now = SqlSchedules(tx), tx.clock.micros()
    taken = schedules.take(workflow_types, now, MAX_STARTS)
    live = schedules.live(schedule.last_flow for schedule in taken)
    turns: list[tuple[Schedule, Turn, int | None]] = []
    room = MAX_STARTS
    for schedule in taken:
        if room <= 0:
            break
        turn, next_at = _turn(schedule, now, room, live=schedule.last_flow in live)
        turns.append((schedule, turn, next_at))
        room -= len(turn.starts)
    wanted = [(schedule.name, at, start_of(schedule, at)) for schedule, turn, _ in turns for at in turn.starts]
    outcomes = insert_flows(tx, [start for _, _, start in wanted]).outcomes if wanted else []
    started: dict[str, tuple[int, str]] = {}
    for (name, at, start), outcome in zip(wanted, outcomes, strict=True):
        if isinstance(outcome, str):
            started[name] = (at, outcome)
        else:
            log.warning("the schedule %s: %s was not started: %s", name, start.key, outcome)
    for schedule, turn, _ in turns:
        if turn.cancels and schedule.last_flow and schedule.name in started:
            cancel_previous(tx, schedule.last_flow)
    if turns:
        schedules.move(
            [_moved(schedule, turn, next_at, started.get(schedule.name)) for schedule, turn, next_at in turns]
        )
    return sum(isinstance(outcome, str) for outcome in outcomes)


def _turn(schedule: Schedule, now: int, room: int, *, live: bool) -> tuple[Turn, int | None]:
    """What the schedule does now, and its next occurrence."""
    next_at = micros_of(schedule.next_at)
    buffered = micros_of(schedule.buffered_at)
    due: list[int] = []
    if next_at is not None and next_at <= now:
        try:
            timetable = schedule.timetable
        except InvalidInput as error:  # another machine may have that time zone, and the other schedules go on
            log.error("the schedule %s is put off: %s", schedule.name, error)
            next_at = now + PUT_OFF
        else:
            due, next_at = due_occurrences(timetable, schedule.overlap, schedule.catch_up, next_at, now, room)
    occurrences = due if buffered is None else [buffered, *due]
    return take_turn(schedule.overlap, occurrences, live=live), next_at


def _moved(schedule: Schedule, turn: Turn, next_at: int | None, started: tuple[int, str] | None) -> Move:
    last_at, last_flow = started or (micros_of(schedule.last_at), _text(schedule.last_flow))
    return Move(schedule.name, next_at, last_at, last_flow, turn.buffered)


def _text(flow_id: UUID | None) -> str | None:
    return None if flow_id is None else str(flow_id)


def start_of(schedule: Schedule, at: int, mark: str = "") -> Start:
    """The request to start the flow of the occurrence ``at``.

    Args:
        mark: tells apart what is not by the timetable.
    """
    args, digest = canonical(schedule.args)
    key = f"schedule:{schedule.name}:{mark}{rfc3339(to_datetime(at))}"
    options = StartOptions(key=key, tags=schedule.flow_tags, queue=schedule.queue)
    return make_start(schedule.workflow_type, args, digest, options)


def rfc3339(moment: datetime) -> str:
    """A moment in UTC as text, ``2026-03-29T01:00:00Z``."""
    return moment.isoformat().replace("+00:00", "Z")


def cancel_previous(tx: Transaction, flow_id: UUID) -> None:
    """Ask the flow to end, unless it has already.

    Raises:
        RevisionMismatch, LeaseHeld: it keeps changing.
    """
    for left in reversed(range(_TRIES)):
        try:
            manager.cancel(tx, flow_id)
        except (AlreadyTerminal, FlowNotFound):
            return
        except (RevisionMismatch, LeaseHeld):  # somebody else changed it in between
            if not left:
                raise
        else:
            return
