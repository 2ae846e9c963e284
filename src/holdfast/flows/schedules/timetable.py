"""When a schedule's occurrences are. Pure: no I/O but the machine's time zones.

The cron language is the library's (:mod:`cronsim`); what its wall clock times mean on days when clocks are changed is
decided here, since the library misses some of them where clocks change at midnight or by half an hour. A line for set
times (neither minute nor hour begins with ``*``) runs once a day whatever the clocks do, as in Debian's cron: what
falls into the hour that is left out runs at its end, what falls into the hour that comes twice runs the first time. A
line with a star runs whenever the wall clock matches: not in the hour left out, twice in the hour that comes twice.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from holdfast.clock import to_datetime, to_micros
from holdfast.flows.schedules.errors import InvalidInterval, MalformedCron, UnknownZone

MICROSECOND = timedelta(microseconds=1)
LEAST_INTERVAL = timedelta(seconds=1)
MOST_INTERVAL = timedelta(days=36_525)
MAX_LINE = 200
_END = to_micros(datetime(9999, 1, 1, tzinfo=UTC))
_ANY_DAY = datetime(2000, 1, 1)
_FIELDS = ("second", "minute", "hour", "day-of-month", "month", "day-of-week")


class Timetable(ABC):
    """A series of moments, as micros."""

    @abstractmethod
    def next_after(self, micros: int) -> int | None:
        """The first occurrence after that moment; ``None`` where there is none before the year 9999."""

    def after(self, micros: int) -> Iterator[int]:
        """All occurrences after that moment, in order."""
        following = self.next_after(micros)
        while following is not None:
            yield following
            following = self.next_after(following)

    def between(self, after: int, until: int, limit: int | None = None) -> list[int]:
        """The first ``limit`` occurrences after ``after`` and not after ``until``."""
        return list(islice(takewhile(lambda at: at <= until, self.after(after)), limit))

    def latest(self, after: int, until: int) -> int | None:
        """The last occurrence after ``after`` and not after ``until``; however many lie between, it costs the same."""
        low, high = after, until
        while low < high:
            middle = (low + high) // 2
            found = self.next_after(middle)
            if found is not None and found <= until:
                low = found
            else:
                high = middle
        return low if low > after else None


class Interval(Timetable):
    """Exact multiples of a span since a moment: nothing drifts.

    Args:
        every: the span.
        anchor: micros; the first occurrence is one span later.

    Raises:
        InvalidInterval: a span under a second, or over a hundred years.
    """

    def __init__(self, every: timedelta, anchor: int) -> None:
        self._every = check_interval(every) // MICROSECOND
        self._anchor = anchor

    def next_after(self, micros: int) -> int | None:
        count = max(1, (micros - self._anchor) // self._every + 1)
        found = self._anchor + count * self._every
        return found if found < _END else None


class Cron(Timetable):
    """The moments of a cron line in a time zone: five fields, or six with the seconds first.

    Raises:
        MalformedCron: cron does not understand the line, or it never comes true.
        UnknownZone: there is no such time zone.
    """

    def __init__(self, line: str, zone: str) -> None:
        self._line = check_line(line)
        self._zone = find_zone(zone)
        minute, hour = self._line.split()[-5:-3]
        self._set_times = not (minute.startswith("*") or hour.startswith("*"))

    def next_after(self, micros: int) -> int | None:
        found: datetime | None = None
        try:
            moment = to_datetime(micros)
            for wall in CronSim(self._line, self._last_shown(moment)):
                instants = self._instants(wall)
                later = [instant for instant in instants if instant > moment]
                found = min([*later, *([found] if found else [])], default=None)
                if later and later == instants:  # wall times that come later begin later
                    break
        except OverflowError:
            pass  # the end of the calendar
        return to_micros(found) if found and to_micros(found) < _END else None

    def _last_shown(self, moment: datetime) -> datetime:
        """The wall time before which nothing comes again after ``moment``: within the first pass of an hour that comes
        twice, that of the second pass."""
        local = moment.astimezone(self._zone)
        offset = local.replace(fold=1).utcoffset()
        assert offset is not None
        return (moment + offset).replace(tzinfo=None)

    def _instants(self, wall: datetime) -> list[datetime]:
        """When the wall clock's ``wall`` is an occurrence, in order."""
        first = wall.replace(tzinfo=self._zone).astimezone(UTC)
        if not self._is_shown(wall):
            return [self._end_of_gap(wall)] if self._set_times else []
        second = wall.replace(tzinfo=self._zone, fold=1).astimezone(UTC)
        return [first] if self._set_times or second == first else [first, second]

    def _end_of_gap(self, wall: datetime) -> datetime:
        wall = wall.replace(second=0)
        while not self._is_shown(wall):
            wall += timedelta(minutes=1)
        return wall.replace(tzinfo=self._zone).astimezone(UTC)

    def _is_shown(self, wall: datetime) -> bool:
        instant = wall.replace(tzinfo=self._zone).astimezone(UTC)
        return instant.astimezone(self._zone).replace(tzinfo=None) == wall


def make_timetable(cron: str | None, every: timedelta | None, zone: str, anchor: int) -> Timetable:
    """The timetable of a checked definition, which has either ``cron`` or ``every``.

    Raises:
        MalformedCron, UnknownZone, InvalidInterval: it cannot be.
    """
    if cron is not None:
        return Cron(cron, zone)
    assert every is not None
    find_zone(zone)
    return Interval(every, anchor)


def check_line(line: object) -> str:
    """The line with single spaces.

    Raises:
        MalformedCron: cron does not understand it, or it never comes true.
    """
    if not isinstance(line, str) or not line.isascii() or len(line) > MAX_LINE:
        raise MalformedCron(line, f"it is no plain text of at most {MAX_LINE} characters")
    fields = line.split()
    try:
        if next(CronSim(line, _ANY_DAY), None) is not None:
            return " ".join(fields)
    except CronSimError as error:
        raise MalformedCron(line, _fault(fields, str(error))) from None
    raise MalformedCron(line, "it never comes true")


def _fault(fields: list[str], told: str) -> str:
    if len(fields) not in (5, 6):
        return f"it has {len(fields)} fields, not 5 (or 6, with seconds)"
    name = told.removeprefix("Bad ")
    value = fields[_FIELDS.index(name) - len(_FIELDS)]
    if name == "day-of-month" and _is_day(value):
        return f"no such month has a day {value}: it never comes true"
    return f"{value!r} is no {name.replace('-', ' ')}"


def _is_day(value: str) -> bool:
    try:
        CronSim(f"0 0 {value} * *", _ANY_DAY)
    except CronSimError:
        return False
    return True


def find_zone(name: str) -> ZoneInfo:
    """Raises:
    UnknownZone: there is no such time zone; names what is like it.
    """
    try:
        if name == "localtime":  # every machine has another one
            raise ValueError(name)
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError, TypeError, AttributeError):
        raise UnknownZone(name, _like(str(name))) from None


def _like(name: str) -> list[str]:
    known = {zone.lower(): zone for zone in sorted(available_timezones())}
    wanted = name.strip().lower().replace(" ", "_")
    places = [zone for lower, zone in known.items() if lower.rpartition("/")[2] == wanted]
    return places[:3] or [known[lower] for lower in difflib.get_close_matches(wanted, known, n=3)]


def check_interval(every: object) -> timedelta:
    """Raises:
    InvalidInterval: under a second (negative and zero among them), or over a hundred years.
    """
    if not isinstance(every, timedelta) or not LEAST_INTERVAL <= every <= MOST_INTERVAL:
        raise InvalidInterval(every)
    return every
