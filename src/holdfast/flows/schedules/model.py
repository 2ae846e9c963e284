"""Records of schedules. Pure: no I/O."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from holdfast import codec
from holdfast.clock import to_micros
from holdfast.errors import NotSerialisable
from holdfast.flows.requests import check_key, check_tags
from holdfast.flows.schedules.errors import InvalidSchedule
from holdfast.flows.schedules.timetable import Timetable, check_interval, check_line, find_zone, make_timetable
from holdfast.text import is_storable

MAX_NAME = 200
TAG = "schedule"
"""The tag by which a schedule's flows are found."""


class Overlap(StrEnum):
    """What becomes of an occurrence while the flow that was started last has not ended."""

    SKIP = "skip"
    BUFFER_ONE = "buffer_one"
    CANCEL_PREVIOUS = "cancel_previous"
    ALLOW = "allow"


class CatchUp(StrEnum):
    """What becomes of occurrences that were missed because nobody served the workflow."""

    ALL = "all"
    ONE = "one"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What is to be started, and when.

    Attributes:
        name: unique in the store.
        workflow_type: name of the workflow.
        args: its arguments as a JSON object by parameter name.
        cron: five fields, or six with the seconds first; or else ``every``.
        every: the interval, counted from the moment the schedule was made.
        zone: IANA name of the time zone that ``cron`` is meant in.
        queue: the queue its flows wait in.
        tags: of its flows, which also have the tag ``schedule`` with its name.
    """

    name: str
    workflow_type: str
    args: str = "{}"
    cron: str | None = None
    every: timedelta | None = None
    zone: str = "UTC"
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.ONE
    queue: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def timing(self) -> tuple[str | None, timedelta | None, str]:
        """What decides when it occurs."""
        return self.cron, self.every, self.zone

    @property
    def flow_tags(self) -> dict[str, str]:
        """The tags that its flows get."""
        return {**self.tags, TAG: self.name}


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule(Definition):
    """A schedule as it is stored.

    Attributes:
        paused: nothing is started until it is resumed.
        anchor_at: what ``every`` counts from.
        next_at: the occurrence that comes next; ``None``: none ever.
        last_at: the occurrence that was started last.
        last_flow: the flow that it started.
        buffered_at: an occurrence that is started as soon as that flow has ended.
        revision: counts the changes of its definition, pauses and resumes.
    """

    paused: bool = False
    anchor_at: datetime
    next_at: datetime | None
    last_at: datetime | None = None
    last_flow: UUID | None = None
    buffered_at: datetime | None = None
    revision: int = 0
    created_at: datetime
    updated_at: datetime

    @property
    def definition(self) -> Definition:
        """What it was made from."""
        return Definition(**{part.name: getattr(self, part.name) for part in fields(Definition)})

    @property
    def timetable(self) -> Timetable:
        """When it occurs.

        Raises:
            UnknownZone: this machine does not know its time zone.
        """
        return make_timetable(*self.timing, to_micros(self.anchor_at))


def check_definition(definition: Definition) -> Definition:
    """``definition`` in its one spelling: canonical arguments, single spaces.

    Raises:
        MalformedCron, UnknownZone, InvalidInterval: it never occurs, or nobody can say when.
        InvalidSchedule: it lacks something, or says too much.
        InvalidId, InvalidInput: the queue or a tag makes no sense.
    """
    check_name(definition.name, "a schedule")
    check_name(definition.workflow_type, "a workflow")
    if (definition.cron is None) == (definition.every is None):
        raise InvalidSchedule("A schedule has either a cron line or an interval.")
    find_zone(definition.zone)
    if definition.every is not None:
        check_interval(definition.every)
    check_key(definition.queue, "the name of a queue")
    check_tags(definition.flow_tags)
    if TAG in definition.tags:
        raise InvalidSchedule(f"The tag {TAG!r} is given by the schedule itself.", remedy="Call yours something else.")
    return replace(
        definition,
        args=canonical(definition.args)[0],
        cron=None if definition.cron is None else check_line(definition.cron),
        overlap=choose(Overlap, definition.overlap, "overlap policy"),
        catch_up=choose(CatchUp, definition.catch_up, "catch-up policy"),
        tags=dict(definition.tags),
    )


def check_name(name: object, what: str) -> None:
    """Raises:
    InvalidSchedule: ``name`` is empty, too long or not printable.
    """
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not (name.isprintable() and is_storable(name)):
        raise InvalidSchedule(
            f"{name!r:.200} cannot be the name of {what}.", remedy=f"Use 1 to {MAX_NAME} printable characters."
        )


def canonical(args: str) -> tuple[str, int]:
    """Arguments as a canonical JSON object, and their digest.

    Raises:
        InvalidSchedule: they are no JSON object.
        NotSerialisable, PayloadTooLarge: they cannot be a flow's arguments.
    """
    try:
        value = codec.decode(args, what="The text of the arguments")
    except NotSerialisable:
        value = None
    if not isinstance(value, dict):
        raise InvalidSchedule(
            f"The arguments {args!r:.200} are no JSON object.", remedy='Name each one: {"parameter": value, …}.'
        )
    return codec.encode_canonical(value, what="The arguments")


P = TypeVar("P", Overlap, CatchUp)


def choose(policies: type[P], name: str, what: str) -> P:
    """The policy of that name.

    Raises:
        InvalidSchedule: there is none.
    """
    try:
        return policies(name)
    except ValueError:
        close = difflib.get_close_matches(str(name), list(policies), n=1)
        meant = f"Did you mean {close[0]}? " if close else ""
        raise InvalidSchedule(f"{name!r:.200} is no {what}.", remedy=f"{meant}Use {', '.join(policies)}.") from None
