"""What people do with schedules: make, change and remove them, hold them, run one by hand.

Each verb is one transaction with one audit row, whose subject is the schedule's name; what changes nothing leaves none.
Verbs on one schedule and the ticks that start its flows wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime
from itertools import islice
from typing import Any, cast
from uuid import UUID

from holdfast import codec
from holdfast.audit import SqlAuditLog
from holdfast.clock import MICROS_PER_SECOND, to_datetime
from holdfast.flows.queues.errors import QueueNotFound
from holdfast.flows.queues.sql import SqlQueues
from holdfast.flows.schedules.errors import PreviousRunning, ScheduleNotFound
from holdfast.flows.schedules.model import (
    CatchUp,
    Definition,
    Overlap,
    Schedule,
    canonical,
    check_definition,
    check_name,
)
from holdfast.flows.schedules.sql import SqlSchedules, moment_of
from holdfast.flows.schedules.ticking import cancel_previous, start_of
from holdfast.flows.schedules.timetable import make_timetable
from holdfast.flows.schedules.turns import take_turn
from holdfast.flows.starts import insert_all
from holdfast.pages import Page, check_limit
from holdfast.store import Transaction

CREATED = "schedule.created"
UPDATED = "schedule.updated"
REMOVED = "schedule.removed"
PAUSED = "schedule.paused"
RESUMED = "schedule.resumed"
TRIGGERED = "schedule.triggered"
BY_HAND = "by-hand:"
MAX_UPCOMING = 10_000


def create(tx: Transaction, definition: Definition) -> Schedule:
    """Make a schedule, or change the one of that name; the same definition again changes nothing.

    A change of the arguments, policies or the like leaves the next occurrence where it is. A change of when counts
    from now: what was due by the old timetable and has not been started is passed over. Whether it is paused, and what
    it started last, stay.

    Raises:
        MalformedCron, UnknownZone, InvalidInterval, InvalidSchedule, InvalidInput: it makes no sense.
        QueueNotFound: there is no such queue.
    """
    definition = check_definition(definition)
    if definition.queue is not None and not SqlQueues(tx).known([definition.queue]):
        raise QueueNotFound(definition.queue)
    schedules = SqlSchedules(tx)
    present = schedules.lock(definition.name)
    if present is not None and present.definition == definition:
        return present
    made = _made(tx, definition) if present is None else _changed(tx, present, definition)
    schedules.put(made)
    _record(tx, made, UPDATED if present else CREATED, _told(definition))
    return made


def remove(tx: Transaction, name: str) -> Schedule:
    """Delete a schedule; the flows that it started go on. Returns it as it was.

    Raises:
        ScheduleNotFound: there is none of that name.
    """
    schedule = _locked(tx, name)
    SqlSchedules(tx).delete(name)
    _record(tx, schedule, REMOVED, {})
    return schedule


def pause(tx: Transaction, name: str) -> Schedule:
    """Start nothing until it is resumed, neither by the timetable nor what is buffered.

    Raises:
        ScheduleNotFound: there is none of that name.
    """
    return _hold(tx, name, PAUSED, lambda schedule: replace(schedule, paused=True))


def resume(tx: Transaction, name: str) -> Schedule:
    """Let a paused schedule go on. What came meanwhile was missed, and is for its catch-up policy.

    Raises:
        ScheduleNotFound: there is none of that name.
        UnknownZone: this machine does not know its time zone.
    """

    def go_on(schedule: Schedule) -> Schedule:
        next_at = schedule.next_at
        if schedule.catch_up is CatchUp.NONE:
            next_at = moment_of(schedule.timetable.next_after(tx.clock.micros()))
        return replace(schedule, paused=False, next_at=next_at)

    return _hold(tx, name, RESUMED, go_on)


def trigger(tx: Transaction, name: str) -> UUID | None:
    """Run a schedule now, once, paused or not; its timetable stays as it is.

    The overlap policy holds for this run as well. Returns the flow's id; ``None`` where the run is buffered until the
    one before it has ended.

    Raises:
        ScheduleNotFound: there is none of that name.
        PreviousRunning: the schedule skips what would overlap, and its last flow has not ended.
        QueueNotFound: its queue is gone.
        FlowExists: never, unless somebody else uses its keys.
    """
    schedule, now = _locked(tx, name), tx.clock.micros()
    live = bool(SqlSchedules(tx).live([schedule.last_flow]))
    if live and schedule.overlap is Overlap.BUFFER_ONE:
        _buffer(tx, schedule, now)
        return None
    start = start_of(schedule, now, BY_HAND)
    turn = take_turn(schedule.overlap, [now], live=live)
    if not turn.starts:
        raise PreviousRunning(name, schedule.last_flow)
    if turn.cancels and schedule.last_flow:
        cancel_previous(tx, schedule.last_flow)
    (outcome,) = insert_all(tx, [start])
    started = UUID(outcome)
    if started != schedule.last_flow:
        schedule = replace(schedule, last_at=to_datetime(now), last_flow=started)
        SqlSchedules(tx).put(schedule)
        _record(tx, schedule, TRIGGERED, {"flow": outcome})
    return started


def get(tx: Transaction, name: str) -> Schedule:
    """The schedule of that name.

    Raises:
        ScheduleNotFound: there is none.
    """
    found = SqlSchedules(tx).get(name)
    if found is None:
        raise ScheduleNotFound(name)
    return found


def list_schedules(tx: Transaction, *, limit: int | None = None, after: str | None = None) -> Page[Schedule]:
    """All schedules by name.

    Raises:
        ValueError: a negative limit or a malformed cursor.
    """
    return SqlSchedules(tx).list(limit=limit, after=after)


def upcoming(tx: Transaction, name: str, count: int = 5) -> list[datetime]:
    """The next ``count`` occurrences from now on, in UTC, as if the schedule were not paused; up to 10,000.

    Raises:
        ScheduleNotFound: there is none of that name.
        UnknownZone: this machine does not know its time zone.
        ValueError: a negative count.
    """
    check_limit(count)
    occurrences = get(tx, name).timetable.after(tx.clock.micros())
    return [to_datetime(at) for at in islice(occurrences, min(count, MAX_UPCOMING))]


def _made(tx: Transaction, definition: Definition) -> Schedule:
    now = tx.clock.micros()
    anchor = _anchor(now)
    return Schedule(
        **_parts(definition),
        anchor_at=to_datetime(anchor),
        next_at=moment_of(make_timetable(*definition.timing, anchor).next_after(now)),
        created_at=to_datetime(now),
        updated_at=to_datetime(now),
    )


def _changed(tx: Transaction, present: Schedule, definition: Definition) -> Schedule:
    now = tx.clock.micros()
    changed = replace(present, **_parts(definition), revision=present.revision + 1, updated_at=to_datetime(now))
    if definition.timing != present.timing:
        anchor = _anchor(now)
        next_at = make_timetable(*definition.timing, anchor).next_after(now)
        changed = replace(changed, anchor_at=to_datetime(anchor), next_at=moment_of(next_at))
    return changed if definition.overlap is Overlap.BUFFER_ONE else replace(changed, buffered_at=None)


def _anchor(now: int) -> int:
    """Whole seconds, for occurrences that are pleasant to read."""
    return now - now % MICROS_PER_SECOND


def _buffer(tx: Transaction, schedule: Schedule, now: int) -> None:
    if schedule.buffered_at is None:
        schedule = replace(schedule, buffered_at=to_datetime(now))
        SqlSchedules(tx).put(schedule)
        _record(tx, schedule, TRIGGERED, {"buffered": True})


def _hold(tx: Transaction, name: str, act: str, change: Callable[[Schedule], Schedule]) -> Schedule:
    schedule = _locked(tx, name)
    if schedule.paused == (act == PAUSED):
        return schedule
    now = to_datetime(tx.clock.micros())
    held = replace(change(schedule), revision=schedule.revision + 1, updated_at=now)
    SqlSchedules(tx).put(held)
    _record(tx, held, act, {})
    return held


def _locked(tx: Transaction, name: str) -> Schedule:
    try:
        check_name(name, "a schedule")
    except ValueError:
        raise ScheduleNotFound(name) from None
    found = SqlSchedules(tx).lock(name)
    if found is None:
        raise ScheduleNotFound(name)
    return found


def _parts(definition: Definition) -> dict[str, Any]:
    return {part.name: getattr(definition, part.name) for part in fields(Definition)}


def _told(definition: Definition) -> dict[str, Any]:
    """A definition for the audit chain: what was given, the arguments by their digest alone."""
    told = {name: value for name, value in _parts(definition).items() if value and name not in ("name", "args")}
    told["args_digest"] = str(canonical(definition.args)[1])
    return cast(dict[str, Any], codec.decode(codec.encode(told)))


def _record(tx: Transaction, schedule: Schedule, act: str, detail: dict[str, Any]) -> None:
    SqlAuditLog(tx).append(act, schedule.name, {"revision": schedule.revision, **detail})
