"""The virtual clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from holdfast import Holdfast, now, sleep, workflow
from holdfast.clock import Clock
from holdfast.testing import VirtualClock

START = datetime(2031, 3, 4, 5, 6, 7, 8, tzinfo=UTC)
SECOND = 1_000_000


def lapsed(clock: VirtualClock) -> int:
    """Whole seconds by which its monotonic time is ahead of the machine's."""
    return int(clock.monotonic() - time.monotonic() + 0.5)


def test_stands_still_until_it_is_moved() -> None:
    clock: Clock = VirtualClock(START)
    began = clock.micros()
    assert clock.now() == START
    assert clock.delay_until(began, idle=False) == 0.0
    assert clock.delay_until(began - SECOND, idle=True) == 0.0
    assert clock.delay_until(began + 1, idle=True) is None
    assert clock.micros() == began


@pytest.mark.parametrize(
    ("span", "micros"), [(timedelta(days=30), 30 * 86_400 * SECOND), (1.25, 1_250_000), (0, 0), (0.000001, 1)]
)
def test_advance_moves_the_date_and_lapse_monotonic_time_as_well(span: timedelta | float, micros: int) -> None:
    clock = VirtualClock(START)
    began = clock.micros()
    told: list[tuple[int, int]] = []
    clock.subscribe(lambda: told.append((clock.micros(), lapsed(clock))))
    assert clock.advance(span) == START + timedelta(microseconds=micros)
    assert told == [(began + micros, 0)]
    assert clock.lapse(span) == START + 2 * timedelta(microseconds=micros)
    assert told[1:] == [(began + 2 * micros, micros // SECOND)], "subscribers see both, or neither"


def test_time_does_not_go_back() -> None:
    clock = VirtualClock(START)
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="back"):
        clock.lapse(timedelta(microseconds=-1))
    told: list[None] = []
    clock.subscribe(lambda: told.append(None))
    clock.jump(START - timedelta(days=1))
    assert clock.now() == START
    assert lapsed(clock) == 0
    assert not told


def test_a_moment_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        VirtualClock(datetime(2031, 3, 4))
    with pytest.raises(ValueError, match="time zone"):
        VirtualClock(START).jump(datetime(2031, 3, 4))
    assert VirtualClock(START.astimezone(timezone(timedelta(hours=5)))).now() == START


def test_auto_jumps_for_idle_callers_only_and_keeps_leases() -> None:
    clock = VirtualClock(START, auto=True)
    due = clock.micros() + 86_400 * SECOND
    told: list[int] = []
    clock.subscribe(lambda: told.append(clock.micros()))
    assert clock.delay_until(due, idle=False) is None
    assert not told
    assert clock.delay_until(due, idle=True) == 0.0
    assert clock.micros() == due
    assert lapsed(clock) == 0
    assert told == [due]


def test_unsubscribed_is_not_told() -> None:
    clock = VirtualClock(START)
    told: list[str] = []
    end = clock.subscribe(lambda: told.append("first"))
    clock.subscribe(lambda: told.append("second"))
    end()
    end()
    clock.advance(1)
    assert told == ["second"]


@workflow
async def year(months: int) -> list[str]:
    seen = []
    for _ in range(months):
        await sleep(timedelta(days=30))
        seen.append(now().isoformat())
    return seen


@pytest.mark.parametrize("park_after", [5, 10**9], ids=["parked", "in memory"])
def test_months_pass_while_nobody_waits(store_url: str, park_after: float) -> None:
    with Holdfast(store_url, clock=VirtualClock(START, auto=True), workflows=[year], park_after=park_after) as hf:
        seen = hf.start(year, 12).result(timeout=60)
    moments = [datetime.fromisoformat(text) for text in seen]
    assert [moment - START for moment in moments] == [timedelta(days=30 * n) for n in range(1, 13)]


def test_a_sleeping_flow_wakes_when_the_clock_is_moved(sqlite_url: str) -> None:
    clock = VirtualClock(START)
    with Holdfast(sqlite_url, clock=clock, workflows=[year], park_after=0) as hf:
        handle = hf.start(year, 1)
        while handle.flow().status != "waiting":
            pass
        clock.advance(timedelta(days=29))
        assert handle.flow().status == "waiting"
        clock.jump(START + timedelta(days=31))
        assert handle.result(timeout=60) == [(START + timedelta(days=31)).isoformat()]
