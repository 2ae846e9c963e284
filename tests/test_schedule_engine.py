"""Schedules with a worker, in virtual time."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from holdfast import Holdfast, now, workflow
from holdfast.testing import VirtualClock

BERLIN = ZoneInfo("Europe/Berlin")
DAYS = 365


@workflow
async def nightly(kind: str) -> str:
    return f"{kind} {now().isoformat()}"


def half_past_two(day: date) -> datetime:
    """By the zone alone: on the day whose clocks leave that hour out, it is when they do."""
    at = datetime(day.year, day.month, day.day, 2, 30, tzinfo=BERLIN)
    shown = at.astimezone(UTC).astimezone(BERLIN)
    return (shown.replace(minute=0) if shown.hour != 2 else at).astimezone(UTC)


def test_a_year_of_a_daily_schedule_across_dst() -> None:
    clock = VirtualClock(datetime(2030, 1, 1, tzinfo=UTC), auto=True)
    began = time.monotonic()
    with Holdfast("sqlite://", workflows=[nightly], clock=clock, retention=None) as hf:
        hf.schedule("nightly", nightly, "full", cron="30 2 * * *", zone="Europe/Berlin", overlap="allow")
        while ended(hf) < DAYS:
            time.sleep(0.01)
        took = time.monotonic() - began
        rows = hf.store.read(
            lambda tx: tx.fetch("SELECT key, status, started_at FROM flows ORDER BY num LIMIT :limit", {"limit": DAYS})
        )
    wanted = [half_past_two(date(2030, 1, 1) + timedelta(days=number)) for number in range(DAYS)]
    keys = [f"schedule:nightly:{at:%Y-%m-%dT%H:%M:%SZ}" for at in wanted]
    assert [row[0] for row in rows] == keys
    assert {row[1] for row in rows} == {"finished"}
    assert [row[2] for row in rows] == [int(at.timestamp() * 1_000_000) for at in wanted]
    assert took < 20, "a few seconds on an idle machine"


@workflow
async def long() -> None:
    await asyncio.sleep(90 * 60)


def test_what_is_buffered_starts_when_the_last_flow_ends() -> None:
    """Hourly runs of an hour and a half, back to back."""
    clock = VirtualClock(datetime(2030, 1, 1, tzinfo=UTC), auto=True)
    with Holdfast("sqlite://", workflows=[long], clock=clock, retention=None) as hf:
        hf.schedule("long", long, every=timedelta(hours=1), overlap="buffer_one")
        while ended(hf) < 10:
            time.sleep(0.01)
        rows = hf.store.read(lambda tx: tx.fetch("SELECT started_at FROM flows ORDER BY num LIMIT 10"))
    first = int(datetime(2030, 1, 1, 1, tzinfo=UTC).timestamp())
    assert [row[0] // 1_000_000 for row in rows] == [first + number * 90 * 60 for number in range(10)]


def ended(hf: Holdfast) -> int:
    row = hf.store.read(lambda tx: tx.fetch_one("SELECT count(*) FROM flows WHERE status = 'finished'"))
    assert row is not None
    return int(row[0])
