"""When schedules occur, held against what the zones themselves say, minute by minute."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.clock import to_datetime, to_micros
from holdfast.flows.schedules.errors import InvalidInterval, MalformedCron, UnknownZone
from holdfast.flows.schedules.timetable import Cron, Interval, check_interval, find_zone

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # by half an hour
    "America/Havana",  # at midnight
    "America/Santiago",
    "Asia/Beirut",
    "Africa/Casablanca",  # backwards for Ramadan
    "Asia/Kolkata",  # never, and half an hour aside
]
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
TEN = timedelta(minutes=10)
Wall = datetime


@cache
def walls(zone: str) -> list[tuple[datetime, Wall]]:
    """Every ten minutes of the year with what the wall clock shows; zones change on such moments only."""
    count = (END - START) // TEN
    moments = [START + number * TEN for number in range(count)]
    return [(moment, moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)) for moment in moments]


def matching(zone: str, match: Callable[[Wall], bool]) -> list[datetime]:
    """Whenever the wall clock shows a time that matches."""
    return [moment for moment, wall in walls(zone) if match(wall)]


def daily(zone: str, hour: int, minute: int, match: Callable[[date], bool] = lambda day: True) -> list[datetime]:
    """Each day's first moment at which the wall clock has come to that time."""
    found: dict[date, datetime] = {}
    for moment, wall in walls(zone):
        if match(wall.date()) and (wall.hour, wall.minute) >= (hour, minute):
            found.setdefault(wall.date(), moment)
    first = walls(zone)[0][1]
    if first > datetime.combine(first.date(), datetime.min.time()).replace(hour=hour, minute=minute):
        found.pop(first.date(), None)  # it came before the year began
    return list(found.values())


def series(line: str, zone: str) -> list[datetime]:
    return [to_datetime(at) for at in Cron(line, zone).between(to_micros(START) - 1, to_micros(END) - 1)]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("line", "hour", "minute"), [("30 2 * * *", 2, 30), ("0 0 * * *", 0, 0), ("10 1 * * *", 1, 10)]
)
def test_a_daily_one_runs_once_a_day(zone: str, line: str, hour: int, minute: int) -> None:
    occurrences = series(line, zone)
    assert occurrences == daily(zone, hour, minute)
    assert len(occurrences) == 365


def test_the_days_on_which_clocks_change() -> None:
    told = [moment.astimezone(ZoneInfo("Europe/Berlin")) for moment in series("30 2 * * *", "Europe/Berlin")]
    assert [str(moment) for moment in told if moment.date() in (date(2026, 3, 29), date(2026, 10, 25))] == [
        "2026-03-29 03:00:00+02:00",
        "2026-10-25 02:30:00+02:00",
    ]


@pytest.mark.parametrize("zone", ZONES)
def test_monthly(zone: str) -> None:
    assert series("0 0 1 * *", zone) == daily(zone, 0, 0, lambda day: day.day == 1)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("0 * * * *", lambda wall: wall.minute == 0),
        ("*/20 0 * * *", lambda wall: wall.hour == 0 and wall.minute % 20 == 0),
        ("*/30 2 * * *", lambda wall: wall.hour == 2 and wall.minute % 30 == 0),
        ("0 */2 * * *", lambda wall: wall.hour % 2 == 0 and wall.minute == 0),
        ("*/20 1 * * SUN,MON", lambda wall: wall.hour == 1 and wall.minute % 20 == 0 and wall.isoweekday() in (7, 1)),
        ("10 */3 L * *", lambda wall: wall.hour % 3 == 0 and wall.minute == 10 and (wall + timedelta(1)).day == 1),
        ("*/10 * * 10 *", lambda wall: wall.month == 10),
    ],
)
def test_a_line_with_a_star_goes_by_the_wall_clock(zone: str, line: str, match: Callable[[Wall], bool]) -> None:
    assert series(line, zone) == matching(zone, match)


@settings(deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    line=st.sampled_from(["30 2 * * *", "0 * * * *", "*/20 0-3 * * *", "0,30 0,1,2 * * *", "0 0 * * MON"]),
    second=st.integers(0, 365 * 86_400 - 1),
    near=st.booleans(),
)
def test_asked_at_any_moment(zone: str, line: str, second: int, near: bool) -> None:
    """Whatever the moment, what comes next is what comes next in the whole year's series."""
    moment = to_micros(START) + second * 1_000_000
    changes = transitions(zone)
    if near and changes:
        moment = changes[second % len(changes)] + (second % 14_400 - 7_200) * 1_000_000
    whole = whole_year(line, zone)
    place = bisect_right(whole, moment)
    timetable = Cron(line, zone)
    if place < len(whole):
        assert timetable.next_after(moment) == whole[place]
    if place:
        assert timetable.latest(whole[0] - 1, moment) == whole[place - 1]


@cache
def whole_year(line: str, zone: str) -> list[int]:
    return [to_micros(moment) for moment in series(line, zone)]


@cache
def transitions(zone: str) -> list[int]:
    pairs = zip(walls(zone), walls(zone)[1:], strict=False)
    return [to_micros(moment) for (_, before), (moment, wall) in pairs if wall - before != TEN]


def test_seconds_come_first_in_a_line_of_six() -> None:
    found = Cron("*/20 0 0 1 1 *", "UTC").between(to_micros(START) - 1, to_micros(END) - 1)
    assert [to_datetime(at).second for at in found] == [0, 20, 40]


def test_leap_days_are_found_years_ahead() -> None:
    assert to_datetime(Cron("0 0 29 2 *", "UTC").next_after(to_micros(START)) or 0) == datetime(2028, 2, 29, tzinfo=UTC)


def test_the_calendar_ends() -> None:
    last = to_micros(datetime(9998, 12, 31, 23, 59, tzinfo=UTC))
    assert Cron("* * * * *", "Europe/Berlin").next_after(last) is None
    assert Interval(timedelta(days=1), 0).next_after(last) is None
    assert list(Cron("59 23 31 12 *", "UTC").after(last)) == []


@given(
    every=st.timedeltas(timedelta(seconds=1), timedelta(days=4000)),
    anchor=st.integers(0, 1 << 50),
    after=st.integers(-(1 << 40), 1 << 52),
)
def test_intervals_never_drift(every: timedelta, anchor: int, after: int) -> None:
    timetable = Interval(every, anchor)
    found = timetable.next_after(anchor + after)
    assert found is not None
    span = every // timedelta(microseconds=1)
    assert (found - anchor) % span == 0
    assert max(anchor, anchor + after) < found <= max(anchor, anchor + after) + span


def test_the_latest_of_a_year_of_seconds_is_found_at_once() -> None:
    timetable = Cron("* * * * * *", "Europe/Berlin")
    assert timetable.latest(to_micros(START), to_micros(END) + 5) == to_micros(END)
    assert Cron("0 0 1 1 *", "UTC").latest(to_micros(START), to_micros(END) - 1) is None


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("61 * * * *", "'61' is no minute"),
        ("* 24 * * *", "'24' is no hour"),
        ("* * 32 * *", "'32' is no day of month"),
        ("* * * FOO *", "'FOO' is no month"),
        ("* * * * 8", "'8' is no day of week"),
        ("5-1 * * * *", "'5-1' is no minute"),
        ("*/0 * * * *", "no minute"),
        ("77 * * * * *", "'77' is no second"),
        ("* * * *", "4 fields"),
        ("", "0 fields"),
        ("@daily", "1 fields"),
        ("0 0 30 2 *", "no such month has a day 30"),
        ("0 0 31 4,6 *", "no such month has a day 31"),
        ("0 0 30 2 */2", "never comes true"),
        ("٣ * * * *", "plain text"),
        ("1" * 500 + " * * * *", "plain text"),
        (None, "plain text"),
        (5, "plain text"),
    ],
)
def test_what_no_cron_line_is(line: Any, named: str) -> None:
    with pytest.raises(MalformedCron) as caught:
        Cron(line, "UTC")
    assert named in caught.value.message
    assert repr(line)[:50] in caught.value.message
    assert caught.value.code == "malformed_cron"


@settings(deadline=None)
@given(st.text("0123456789*/,-#LW MONFEB?\0\t", max_size=30))
def test_any_text_is_a_line_or_malformed(line: str) -> None:
    try:
        timetable = Cron(line, "America/Havana")
    except MalformedCron:
        return
    assert timetable.next_after(to_micros(START)) is not None


@pytest.mark.parametrize(
    ("zone", "meant"),
    [
        ("Europe/Berln", "Europe/Berlin"),
        ("berlin", "Europe/Berlin"),
        ("New York", "America/New_York"),
        ("europe/berlin ", "Europe/Berlin"),
        ("", ""),
        ("Europe", ""),
        ("../etc/passwd", ""),
        ("/etc/localtime", ""),
        ("localtime", ""),
        ("a\0b", ""),
        ("\ud800", ""),
        ("X" * 5000, ""),
        (None, ""),
        (7, ""),
    ],
)
def test_unknown_zones_are_named(zone: Any, meant: str) -> None:
    with pytest.raises(UnknownZone) as caught:
        find_zone(zone)
    assert meant in caught.value.remedy
    assert repr(zone)[:100] in caught.value.message


@pytest.mark.parametrize(
    "every",
    [timedelta(0), timedelta(seconds=-5), timedelta(milliseconds=999), timedelta(days=40_000), timedelta.max, 5, "1h"],
)
def test_intervals_that_cannot_be(every: Any) -> None:
    with pytest.raises(InvalidInterval):
        check_interval(every)
