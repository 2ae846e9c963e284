"""Claiming flows that wait in queues.

A limit is a number of rows: the flows that run are those with an epoch, and those that began are those with a
``started_at``. No slot is ever taken or given back, so that none can be lost. A claimer has the queue's row to itself
while it counts and leases, so that two never fill the same slot.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence

from holdfast.flows.queues.model import Room, Turn
from holdfast.flows.queues.selecting import Selection
from holdfast.flows.queues.sql import Lane, SqlQueues
from holdfast.store import Row, Transaction

LOOK_AGAIN = 1_000_000
"""Micros after which a full queue is looked at again: another worker's flow may have left it unannounced."""


def claim(tx: Transaction, epoch: int, served: Sequence[str], limit: int, *, suspect: bool = False) -> list[Row]:
    """Lease up to ``limit`` flows that wait in queues, within all limits.

    A queue that another claimer has at this moment is left out. An epoch that was fenced gets nothing.

    Args:
        epoch: the worker's.
        served: what it claims by; what else waits is in nobody's way.
        suspect: take flows on which several workers in a row died, instead of all others (FL-19).

    Returns:
        One row a flow: the columns of :class:`~holdfast.flows.engine.port.Claimed` up to ``queue``.
    """
    queues = SqlQueues(tx)
    later, ready = queues.waiting()
    if later is not None and later <= tx.clock.micros():
        queues.promote()
    elif not ready:
        return []
    lanes = _by_queue(lane for lane in queues.ready(served) if (lane.turn is Turn.SUSPECT) is suspect)
    claimed: list[Row] = []
    rooms = _own_rooms(queues, epoch, list(lanes))
    for following, room in zip(reversed(range(len(rooms))), rooms, strict=True):
        share = -(-(limit - len(claimed)) // (following + 1))
        selection = Selection(queues, room)
        selection.fill(lanes[room.queue], share)
        claimed += _lease(queues, epoch, room.queue, selection)
    return claimed


def next_due(tx: Transaction, epoch: int, served: Sequence[str]) -> int | None:
    """When a claim of the worker could bring something, in micros: a moment, which may have passed, or never.

    Only reads. Where all that is ready finds its queue full, the moment is a second from now.
    """
    queues = SqlQueues(tx)
    later, ready = queues.waiting()
    moments = [] if later is None else [later]
    now = tx.clock.micros()
    lanes = _by_queue(queues.ready(served)) if ready else {}
    for room in queues.rooms(epoch, list(lanes)):
        if _has_turn(queues, room, lanes[room.queue]):
            return now
        moments += _openings(room, lanes[room.queue], now)
    return min(moments, default=None)


def _by_queue(lanes: Iterable[Lane]) -> dict[str, list[Lane]]:
    found: dict[str, list[Lane]] = defaultdict(list)
    for lane in lanes:
        found[lane.queue].append(lane)
    return found


def _own_rooms(queues: SqlQueues, epoch: int, names: list[str]) -> list[Room]:
    """What the queues have room for that nobody else claims from, in an order that favours none."""
    held = queues.lock(names)  # before anything is counted: what is counted then, stays so
    rooms = [room for room in queues.rooms(epoch, names) if room.queue in held or not room.declared]
    random.shuffle(rooms)
    return rooms


def _lease(queues: SqlQueues, epoch: int, name: str, selection: Selection) -> list[Row]:
    if not selection.nums:
        return []
    if selection.served:
        queues.turn_to(name, selection.served)
    return queues.lease(epoch, selection.nums)


def _has_turn(queues: SqlQueues, room: Room, lanes: Sequence[Lane]) -> bool:
    """Whether one of ``lanes`` may be served now. Suspects wait for a worker that has no other one."""
    selection = Selection(queues, room)
    selection.fill([lane for lane in lanes if lane.turn is not Turn.SUSPECT], 1)
    return bool(selection.nums)


def _openings(room: Room, lanes: Sequence[Lane], now: int) -> list[int]:
    """When one of ``lanes``, none of which may be served now, could be."""
    turns = {lane.turn for lane in lanes}
    moments = [now + LOOK_AGAIN] if room.admits(turns) else []
    if Turn.NEW in turns and not room.paused and room.opens_at is not None:
        moments.append(room.opens_at)
    return moments
