"""Which flows of a queue are served next. Only reads.

Within a queue the smaller priority is served first; within a priority, flows that began before those that are new;
among those the keys in rounds, one flow each, from the key after the one that was served last; and within a key in the
order of starting.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.flows.queues.model import Room, Turn, in_rounds
from holdfast.flows.queues.sql import Class, Lane, SqlQueues
from holdfast.flows.requests import MAX_PRIORITY

MAX_CLASSES = 32
"""So many classes of a queue are served with one claim: a priority for each flow must not make a claim long."""
_JUST_AFTER = "\x01"
"""Keys are printable: nothing is between a key and this after it."""


@dataclass(slots=True)
class Place:
    """A key's place in the ring.

    Attributes:
        key: the queue key.
        types: the workflow types of its flows.
        cap: how many more of its flows may be served.
        after: number of the last of its flows that was served.
    """

    key: str
    types: list[str]
    cap: int
    after: int = 0


class Selection:
    """Flows of a queue that are to be leased.

    Args:
        queues: of the transaction.
        room: what the queue has room for.

    Attributes:
        nums: the flows, in the order in which they are served.
        served: the key that was served last, by class, where keys take turns.
    """

    def __init__(self, queues: SqlQueues, room: Room) -> None:
        self.nums: list[int] = []
        self.served: dict[Class, str] = {}
        self._queues = queues
        self._room = room
        self._begun = 0
        self._by_key: dict[str, int] = defaultdict(int)

    def fill(self, lanes: Sequence[Lane], limit: int) -> None:
        """Choose up to ``limit`` flows of ``lanes``, within the queue's limits."""
        limit = min(limit, self._room.free)
        admitted = self._room.admits(lane.turn for lane in lanes)
        after = {(lane.served, lane.turn): -MAX_PRIORITY - 1 for lane in lanes if lane.turn in admitted}
        classes = 0
        while after and classes < MAX_CLASSES and len(self.nums) < limit:
            found = self._queues.first_class(self._room.queue, after)
            if found is None:
                return
            classes += self._serve(found, limit - len(self.nums))
            after |= {(name, found.turn): found.priority for name in found.types}

    def _serve(self, found: Class, limit: int) -> bool:
        """Choose up to ``limit`` flows of a class; whether there were any."""
        if found.turn is Turn.NEW:
            limit = min(limit, self._room.beginnings - self._begun)
        if not limit:
            return False
        ring = self._ring(found, limit + 1)
        several = len(ring) > 1
        keys = self._go_round(found, ring, limit)
        if found.turn is Turn.NEW:
            self._begun += len(keys)
        if keys and keys[-1] != found.served and (several or found.served is not None):
            self.served[found] = keys[-1]
        return bool(keys)

    def _ring(self, found: Class, limit: int) -> list[Place]:
        """Up to ``limit`` keys of a class that may run another flow, in the order in which they take turns."""
        first = "" if found.served is None else found.served + _JUST_AFTER
        places = self._places(found, first, limit)
        if first and len(places) < limit:
            places += [place for place in self._places(found, "", limit) if place.key < first]
        return places[:limit]

    def _places(self, found: Class, first: str, limit: int) -> list[Place]:
        """The same from the key ``first`` on, without beginning again."""
        places: dict[str, Place] = {}
        for name, key, running in self._queues.keys(self._room, found, first, limit):
            cap = self._room.each_key - running - self._by_key[key]
            if cap > 0:
                places.setdefault(key, Place(key, [], cap)).types.append(name)
        return [places[key] for key in sorted(places)]

    def _go_round(self, found: Class, ring: list[Place], limit: int) -> list[str]:
        """Choose flows of the keys of ``ring`` in rounds; the keys that were served, in order."""
        served: list[str] = []
        while ring and len(served) < limit:
            left = limit - len(served)
            each = -(-left // len(ring))
            waiting = self._heads(found, ring, each)
            places = {place.key: place for place in ring}
            for key, num in in_rounds(waiting, left):
                self.nums.append(num)
                self._by_key[key] += 1
                places[key].cap -= 1
                places[key].after = num
                served.append(key)
            ring = [place for place in ring if place.cap and len(waiting[place.key]) == each]
        return served

    def _heads(self, found: Class, ring: Sequence[Place], each: int) -> dict[str, list[int]]:
        """Up to ``each`` flows of every key, first started first."""
        lanes = [(name, place.key, place.after) for place in ring for name in place.types]
        waiting: dict[str, list[int]] = {place.key: [] for place in ring}
        for key, num in self._queues.heads(self._room.queue, found, lanes, each):
            waiting[key].append(num)
        return {place.key: sorted(waiting[place.key])[: min(each, place.cap)] for place in ring}
