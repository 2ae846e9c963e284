"""Schedules as rows, for both dialects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from holdfast import codec
from holdfast.clock import to_datetime, to_micros
from holdfast.flows.schedules.model import CatchUp, Overlap, Schedule, canonical
from holdfast.flows.schedules.timetable import MICROSECOND
from holdfast.pages import InvalidCursor, Page, page_of, rows_wanted
from holdfast.store import Row, Transaction, load_queries
from holdfast.text import is_storable

_q = load_queries("holdfast.flows.schedules")


class Move(NamedTuple):
    """Where a schedule is after its turn; moments in micros, the flow as text."""

    name: str
    next_at: int | None
    last_at: int | None
    last_flow: str | None
    buffered_at: int | None


class SqlSchedules:
    """Schedules within one transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def get(self, name: str) -> Schedule | None:
        """The schedule, or ``None``."""
        return self._one("get", name)

    def lock(self, name: str) -> Schedule | None:
        """:meth:`get`, and nobody else changes, starts or makes one of that name until the transaction ends."""
        self._tx.lock("schedule " + name)  # a row lock would not hold off one that makes it
        return self._one("lock", name)

    def list(self, *, limit: int | None = None, after: str | None = None) -> Page[Schedule]:
        """All schedules by name.

        Raises:
            ValueError: a negative limit or a malformed cursor.
        """
        if after is not None and (not after or not is_storable(after)):
            raise InvalidCursor(after)
        rows = self._tx.fetch(_q["list"], {"name": after or "", "limit": rows_wanted(limit)})
        return page_of(rows, limit, _schedule, lambda row: row[0])

    def put(self, schedule: Schedule) -> None:
        """Write it as it is."""
        self._tx.execute(_q["put"], _columns(schedule))

    def delete(self, name: str) -> None:
        """Delete it; nothing where there is none."""
        self._tx.execute(_q["delete"], {"name": name})

    def take(self, workflow_types: Iterable[str], now: int, limit: int) -> Sequence[Schedule]:
        """Schedules whose turn it is, locked; those that another transaction has are left to it."""
        rows = [(workflow_type,) for workflow_type in workflow_types]
        if not rows:
            return []
        taken = self._tx.fetch(_q["take_due"], {"now": now, "limit": limit}, rows=rows)
        taken += self._tx.fetch(_q["take_ready"], {"limit": limit}, rows=rows)
        return list({row[0]: _schedule(row) for row in taken}.values())

    def live(self, flows: Iterable[UUID | None]) -> set[UUID]:
        """Those of ``flows`` that have not ended."""
        rows = [(str(flow),) for flow in flows if flow is not None]
        return {UUID(row[0]) for row in self._tx.fetch(_q["live"], rows=rows)} if rows else set()

    def move(self, moves: Sequence[Move]) -> None:
        """Write where schedules of :meth:`take` are now."""
        self._tx.execute(_q["move"], rows=moves)

    def _one(self, query: str, name: str) -> Schedule | None:
        row = self._tx.fetch_one(_q[query], {"name": name}) if is_storable(name) else None
        return _schedule(row) if row else None


def next_due(tx: Transaction, workflow_types: Iterable[str]) -> int | None:
    """When a tick has something to do for these workflows, in micros; ``None``: nothing is to come. Only reads.

    A buffered occurrence whose predecessor has ended is due now.
    """
    rows = [(workflow_type,) for workflow_type in workflow_types]
    if not rows:
        return None
    ((due, ready),) = tx.fetch(_q["next_due"], rows=rows)
    return tx.clock.micros() if ready else due


def _columns(schedule: Schedule) -> dict[str, object]:
    return {
        "name": schedule.name,
        "workflow_type": schedule.workflow_type,
        "args": schedule.args,
        "args_digest": canonical(schedule.args)[1],
        "cron": schedule.cron,
        "every_micros": None if schedule.every is None else schedule.every // MICROSECOND,
        "zone": schedule.zone,
        "overlap": str(schedule.overlap),
        "catch_up": str(schedule.catch_up),
        "queue": schedule.queue,
        "tags": codec.encode(schedule.tags) if schedule.tags else None,
        "paused": schedule.paused,
        "anchor_at": to_micros(schedule.anchor_at),
        "next_at": micros_of(schedule.next_at),
        "last_at": micros_of(schedule.last_at),
        "last_flow": None if schedule.last_flow is None else str(schedule.last_flow),
        "buffered_at": micros_of(schedule.buffered_at),
        "revision": schedule.revision,
        "created_at": to_micros(schedule.created_at),
        "updated_at": to_micros(schedule.updated_at),
    }


def micros_of(moment: datetime | None) -> int | None:
    """``moment`` in micros, if any."""
    return None if moment is None else to_micros(moment)


def moment_of(micros: int | None) -> datetime | None:
    """The moment of ``micros``, if any."""
    return None if micros is None else to_datetime(micros)


def _schedule(row: Row) -> Schedule:
    return Schedule(
        name=row[0],
        workflow_type=row[1],
        args=row[2],
        cron=row[3],
        every=None if row[4] is None else timedelta(microseconds=row[4]),
        zone=row[5],
        overlap=Overlap(row[6]),
        catch_up=CatchUp(row[7]),
        queue=row[8],
        tags=codec.decode(row[9]) if row[9] else {},
        paused=bool(row[10]),
        anchor_at=to_datetime(row[11]),
        next_at=moment_of(row[12]),
        last_at=moment_of(row[13]),
        last_flow=UUID(row[14]) if row[14] else None,
        buffered_at=moment_of(row[15]),
        revision=row[16],
        created_at=to_datetime(row[17]),
        updated_at=to_datetime(row[18]),
    )
