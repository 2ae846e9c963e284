"""Schedules without workers: definitions, ticks, and what became of the flows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from holdfast.flows.schedules import Definition, manager, next_due, tick
from holdfast.store import Store, Transaction, open_store
from holdfast.testing import VirtualClock

START = datetime(2030, 1, 1, tzinfo=UTC)
HOURLY = Definition(name="hourly", workflow_type="report", cron="0 * * * *")


class Desk:
    """A store whose clock is moved by hand, with nobody but the test to tick."""

    def __init__(self, url: str, start: datetime = START) -> None:
        self.clock = VirtualClock(start)
        self.store: Store = open_store(url, clock=self.clock)

    def create(self, definition: Definition = HOURLY, **changes: Any) -> None:
        self.store.run(lambda tx: manager.create(tx, replace(definition, **changes)))

    def at(self, moment: str) -> None:
        """Go to a time of the first day, or to any moment, without ticking."""
        self.clock.jump(datetime.fromisoformat(moment if "-" in moment else f"2030-01-01T{moment}+00:00"))

    def tick(self, types: Iterable[str] = ("report",)) -> int:
        """Tick until nothing is due; how many flows were started."""
        types = list(types)
        total = 0
        while (due := self.next_due(types)) is not None and due <= self.clock.micros():
            total += self.store.run(lambda tx: tick(tx, types))
        return total

    def next_due(self, types: Iterable[str] = ("report",)) -> int | None:
        return self.store.read(lambda tx: next_due(tx, list(types)))

    def started(self) -> list[str]:
        """The occurrences that were started, in order: their times of day."""
        return [key.rpartition("T")[2].removesuffix("Z") for key in self.occurrences()]

    def occurrences(self) -> list[str]:
        return [key for key, _ in self.store.read(flows)]

    def status(self) -> dict[str, str]:
        return {key.rpartition("T")[2].removesuffix("Z"): status for key, status in self.store.read(flows)}

    def end_all(self) -> None:
        self.store.run(end_all)

    def get(self, name: str = "hourly") -> Any:
        return self.store.read(lambda tx: manager.get(tx, name))


def flows(tx: Transaction) -> list[tuple[str, str]]:
    """The flows by occurrence: key, and status or that it was asked to end."""
    standing = "CASE WHEN cancel_requested AND status <> 'cancelled' THEN 'cancelling' ELSE status END"
    rows = tx.fetch(f"SELECT key, {standing} FROM flows ORDER BY num")
    return [(row[0], row[1]) for row in rows]


def end_all(tx: Transaction) -> None:
    """All flows are done."""
    tx.execute(
        "UPDATE flows SET status = 'finished', due_at = NULL, epoch = NULL WHERE status NOT IN ('failed', 'cancelled')"
    )


def flow_key(tx: Transaction, flow_id: UUID | None) -> str | None:
    """What tells a flow in every run of a test."""
    row = tx.fetch_one("SELECT key FROM flows WHERE id = :id", {"id": str(flow_id)}) if flow_id else None
    return row[0] if row else None


def behind(tx: Transaction, name: str, hours: int) -> None:
    """As if nobody had served an hourly schedule for that long."""
    ago = tx.clock.micros() - hours * 3_600_000_000
    tx.execute(
        "UPDATE schedules SET anchor_at = :ago, next_at = :first WHERE name = :name",
        {"ago": ago, "first": ago + timedelta(hours=1) // timedelta(microseconds=1), "name": name},
    )
