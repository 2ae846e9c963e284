"""Spans of time as users give them."""

from __future__ import annotations

from datetime import timedelta

from holdfast.flows.errors import InvalidTimeout

MAX_SECONDS = 100 * 365 * 86400.0


def seconds(span: float | timedelta, what: str) -> float:
    """``span`` in seconds.

    Raises:
        InvalidTimeout: negative, not a number, or over a hundred years.
    """
    value = span.total_seconds() if isinstance(span, timedelta) else float(span)
    if not 0 <= value <= MAX_SECONDS:
        raise InvalidTimeout(f"{what} cannot be {span!r}.")
    return value
