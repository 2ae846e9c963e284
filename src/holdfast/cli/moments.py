"""Moments as people write them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from holdfast.errors import InvalidInput

_AGO = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class InvalidMoment(InvalidInput):
    """A text that names no moment."""

    code = "invalid_moment"
    remedy = "Use a span before now, e.g. 90s, 15m, 2h, 7d or 1w, or RFC 3339: 2030-01-31T12:00:00Z."


def parse_moment(text: str, now: datetime) -> datetime:
    """The moment that ``text`` names: a span before ``now``, or RFC 3339 with its offset.

    Raises:
        InvalidMoment: it names none.
    """
    span = _AGO.fullmatch(text.strip())
    try:
        if span:
            return now - timedelta(**{_UNITS[span[2]]: float(span[1])})
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise InvalidMoment(f"{text!r} is no moment.") from None
    if moment.tzinfo is None:
        raise InvalidMoment(f"{text!r} has no offset from UTC.")
    return moment
