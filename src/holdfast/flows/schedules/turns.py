"""What a schedule does at a moment: which occurrences are due, and what its policies make of them. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from holdfast.clock import MICROS_PER_SECOND
from holdfast.flows.schedules.model import CatchUp, Overlap
from holdfast.flows.schedules.timetable import Timetable

GRACE = 60 * MICROS_PER_SECOND
"""An occurrence that is later than this, in micros, was missed."""


class Turn(NamedTuple):
    """What is to be done.

    Attributes:
        starts: occurrences to be started, in order.
        buffered: an occurrence to be started once the last flow has ended.
        cancels: the last flow is to end.
    """

    starts: tuple[int, ...] = ()
    buffered: int | None = None
    cancels: bool = False


class Due(NamedTuple):
    """What has come.

    Attributes:
        occurrences: those that matter to the policies, in order.
        next_at: the occurrence after them; it may have come as well, where there was no room for more.
    """

    occurrences: list[int]
    next_at: int | None


def due_occurrences(
    timetable: Timetable, overlap: Overlap, catch_up: CatchUp, next_at: int, now: int, room: int
) -> Due:
    """What has come from ``next_at`` to ``now`` and is not passed over as missed.

    Args:
        room: how many to catch up with at once; the rest is due still.
    """
    before, late = next_at - 1, now - GRACE - 1
    if catch_up is CatchUp.ALL and overlap is Overlap.ALLOW:
        due = timetable.between(before, now, room)
        return Due(due, timetable.next_after(due[-1] if len(due) == room else now))
    if catch_up is CatchUp.ALL:  # of many, the other policies look at the first two and the last
        due, latest = timetable.between(before, now, 2), timetable.latest(before, now)
    else:
        due = timetable.between(max(before, late), now)
        latest = timetable.latest(before, late) if catch_up is CatchUp.ONE else None
    return Due(sorted({*due, *([] if latest is None else [latest])}), timetable.next_after(now))


def take_turn(overlap: Overlap, occurrences: Sequence[int], *, live: bool) -> Turn:
    """What becomes of occurrences that have come, one that was buffered before them included.

    Args:
        live: the last flow has not ended.
    """
    first, following = next(iter(occurrences), None), next(iter(occurrences[1:]), None)
    match overlap:
        case Overlap.ALLOW:
            return Turn(tuple(occurrences))
        case Overlap.CANCEL_PREVIOUS:  # all but the latest would end before they began
            return Turn(tuple(occurrences[-1:]), cancels=live and bool(occurrences))
        case Overlap.SKIP:
            return Turn(() if live else tuple(occurrences[:1]))
        case Overlap.BUFFER_ONE:
            return Turn(buffered=first) if live else Turn(tuple(occurrences[:1]), following)
