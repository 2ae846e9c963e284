"""The one adapter of queues over a transaction, for both dialects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from holdfast.flows.engine.port import SUSPECT_CRASHES
from holdfast.flows.queues.model import UNLIMITED, Limits, Queue, QueueStanding, Room, Turn
from holdfast.pages import InvalidCursor, Page, page_of, rows_wanted
from holdfast.store import Row, Transaction, load_queries
from holdfast.text import is_storable

_q = load_queries("holdfast.flows.queues")
PROMOTED = 1000
"""So many flows that have become due are seen to with one claim."""


class Lane(NamedTuple):
    """Where ready flows of one kind stand.

    Attributes:
        queue, turn: of its flows.
        served: what they are claimed by (:func:`~holdfast.flows.model.served_by`).
    """

    queue: str
    served: str
    turn: Turn


class Class(NamedTuple):
    """Flows of a queue that nothing but their keys sets apart.

    Attributes:
        types: by what those among them are claimed.
        served: the key that was served last.
    """

    priority: int
    turn: Turn
    types: tuple[str, ...]
    served: str | None


class SqlQueues:
    """Queues over a transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    # -- the queues themselves --------------------------------------------------------------------------------

    def put(self, queue: Queue) -> None:
        """Write a queue's limits."""
        params = {"name": queue.name, "now": self._tx.clock.micros(), **queue.limits._asdict()}
        self._tx.execute(_q["put"], params)

    def limits(self, name: str) -> Limits | None:
        """Those of a queue, or ``None`` where there is none."""
        row = self._tx.fetch_one(_q["limits"], {"name": name})
        return Limits(*row) if row else None

    def locked(self, name: str) -> Limits | None:
        """:meth:`limits`, which nobody else changes before this transaction ends; nobody declares it meanwhile."""
        self._tx.lock("queue " + name)
        return self.limits(name)

    def set_paused(self, name: str, paused: bool) -> bool:
        """False when it was so before."""
        params = {"name": name, "paused": paused, "now": self._tx.clock.micros()}
        return self._tx.execute(_q["set_paused"], params) == 1

    def is_used(self, name: str) -> bool:
        """Whether flows wait or run in it; those that start there from now on wait for this transaction."""
        self._tx.fetch_one(_q["lock_one"], {"name": name})
        return self._tx.fetch_one(_q["in_use"], {"name": name}) is not None

    def delete(self, name: str) -> None:
        """Remove a queue."""
        self._tx.execute(_q["delete_turns"], {"name": name})
        self._tx.execute(_q["delete"], {"name": name})

    def get(self, name: str) -> QueueStanding | None:
        """A queue as it is now."""
        row = self._tx.fetch_one(_q["get"], {"name": name}) if is_storable(name) else None
        return _standing(row) if row else None

    def page(self, *, limit: int | None = None, after: str | None = None) -> Page[QueueStanding]:
        """Queues, by name.

        Raises:
            InvalidLimit, InvalidCursor: a limit or cursor that cannot be.
        """
        if after is not None and (not after or not is_storable(after)):
            raise InvalidCursor(after)
        params = {"after": after or "", "limit": rows_wanted(limit)}
        return page_of(self._tx.fetch(_q["page"], params), limit, _standing, lambda row: row[0])

    def known(self, names: Iterable[str]) -> set[str]:
        """Which of ``names`` are queues; they stay until this transaction ends."""
        rows = [(name,) for name in sorted(set(names)) if is_storable(name)]
        return {name for (name,) in self._tx.fetch(_q["known"], rows=rows)} if rows else set()

    # -- what waits in them -----------------------------------------------------------------------------------

    def waiting(self) -> tuple[int | None, bool]:
        """When the next flow falls due that nobody has seen to, in micros, and whether any is ready."""
        row = self._tx.fetch_one(_q["waiting"])
        assert row is not None
        return row[0], bool(row[1])

    def promote(self) -> None:
        """See to flows that have become due: give them their turn."""
        params = {"now": self._tx.clock.micros(), "suspect": SUSPECT_CRASHES, "limit": PROMOTED}
        self._tx.execute(_q["promote"], params)

    def ready(self, served: Iterable[str]) -> list[Lane]:
        """Where flows are ready that are claimed by one of ``served``."""
        wanted = set(served)
        return [Lane(row[0], row[1], Turn(row[2])) for row in self._tx.fetch(_q["ready"]) if row[1] in wanted]

    def rooms(self, epoch: int, names: Sequence[str]) -> list[Room]:
        """What these queues have room for, on the worker of ``epoch``."""
        params = {"epoch": epoch, "now": self._tx.clock.micros()}
        rows = self._tx.fetch(_q["rooms"], params, rows=[(name,) for name in names])
        return [Room(row[0], bool(row[1]), bool(row[2]), *row[3:]) for row in rows]

    def lock(self, names: Sequence[str]) -> set[str]:
        """Have queues for oneself until this transaction ends; those that another claimer has are left out."""
        return {name for (name,) in self._tx.fetch(_q["lock"], rows=[(name,) for name in names])}

    def first_class(self, queue: str, lanes: Mapping[tuple[str, Turn], int]) -> Class | None:
        """The class that is served next.

        Args:
            lanes: what is served and turns, and the priority after which to look.
        """
        rows = [(name, int(turn), after) for (name, turn), after in lanes.items()]
        found = self._tx.fetch(_q["classes"], {"queue": queue}, rows=rows)
        if not found:
            return None
        priority, turn = min((row[2], row[1]) for row in found)
        members = [row for row in found if (row[2], row[1]) == (priority, turn)]
        return Class(priority, Turn(turn), tuple(row[0] for row in members), members[0][3])

    def keys(self, room: Room, found: Class, first: str, limit: int) -> list[tuple[str, str, int]]:
        """What is served, key and running flows of the keys from ``first`` on that may run another, at least ``limit``
        of them as far as there are."""
        params = _params(room.queue, found) | {"first": first, "limit": limit * len(found.types)}
        params |= {"per_key": room.each_key, "unlimited": UNLIMITED}
        rows = self._tx.fetch(_q["keys"], params, rows=[(name,) for name in found.types])
        return [(row[0], row[1], row[2]) for row in rows]

    def heads(self, queue: str, found: Class, lanes: Sequence[Row], limit: int) -> list[tuple[str, int]]:
        """Keys and numbers of the first flows, up to ``limit`` each, of what is served and keys after a number."""
        rows = self._tx.fetch(_q["heads"], _params(queue, found) | {"limit": limit}, rows=lanes)
        return [(row[0], row[1]) for row in rows]

    def lease(self, epoch: int, nums: Sequence[int]) -> list[Row]:
        """Lease flows to a worker that is alive, as far as they are still ready; in the order of ``nums``."""
        params = {"epoch": epoch, "now": self._tx.clock.micros()}
        rows = self._tx.fetch(_q["lease"], params, rows=[(num,) for num in nums])
        place = {num: position for position, num in enumerate(nums)}
        return sorted(rows, key=lambda row: place[row[0]])

    def turn_to(self, queue: str, served: Mapping[Class, str]) -> None:
        """Note which key of each class was served last."""
        rows = [(found.priority, int(found.turn), key) for found, key in served.items()]
        self._tx.execute(_q["put_turns"], {"queue": queue}, rows=rows)


def _params(queue: str, found: Class) -> dict[str, Any]:
    return {"queue": queue, "turn": int(found.turn), "priority": found.priority}


def _standing(row: Row) -> QueueStanding:
    return QueueStanding(
        queue=Limits(*row[1:6]).of(row[0]), paused=bool(row[6]), ready=row[7], running=row[8], later=row[9]
    )
