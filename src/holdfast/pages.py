"""Pages of lists that can grow: what every port's lists take and give.

A list takes ``limit`` (``None``: everything) and ``after`` (a cursor), and returns a :class:`Page`. Cursors name the
last item's place in the list's order, not a number of items to skip, so that newcomers shift nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from holdfast.errors import InvalidInput

T = TypeVar("T")
R = TypeVar("R")
EVERYTHING = 1 << 62
_CURSOR_PART = re.compile(r"-?\d{1,18}", re.ASCII)


class InvalidLimit(InvalidInput):
    """A limit below zero, or no whole number."""

    code = "invalid_limit"
    remedy = "Use a whole number from 0, or None for everything."

    def __init__(self, limit: object) -> None:
        super().__init__(f"{limit!r:.80} is not a limit.")


class InvalidCursor(InvalidInput):
    """A cursor that no page of this list ended with."""

    code = "invalid_cursor"
    remedy = "Use the cursor that the page before it ended with, of the same list."

    def __init__(self, after: object) -> None:
        super().__init__(f"{after!r:.80} is not a cursor of this list.")


class Page(NamedTuple, Generic[T]):
    """One page of a list that can grow.

    Attributes:
        items: the records.
        next: hand it back as ``after`` for the next page; ``None`` at the end.
    """

    items: list[T]
    next: str | None


def check_limit(limit: object) -> None:
    """Raises:
    InvalidLimit: ``limit`` is negative, or no whole number; a ValueError.
    """
    if limit is not None and not (isinstance(limit, int) and limit >= 0):
        raise InvalidLimit(limit)


def parse_cursor(after: str | None, width: int, start: int) -> tuple[int, ...]:
    """The ``width`` numbers of a cursor, or ``start`` as each of them where there is none.

    Raises:
        InvalidCursor: it is no cursor of such a list; a ValueError.
    """
    if after is None:
        return (start,) * width
    parts = str(after).split(".")
    if len(parts) != width or not all(_CURSOR_PART.fullmatch(part) for part in parts):
        raise InvalidCursor(after)
    return tuple(int(part) for part in parts)


def rows_wanted(limit: int | None) -> int:
    """How many rows to fetch for a page: one more than it holds tells whether it is the last.

    Raises:
        InvalidLimit: as :func:`check_limit`.
    """
    check_limit(limit)
    return EVERYTHING if limit is None else min(limit, EVERYTHING - 1) + bool(limit)


def page_of(rows: Sequence[R], limit: int | None, item: Callable[[R], T], cursor: Callable[[R], Any]) -> Page[T]:
    """The page that :func:`rows_wanted` rows make.

    Args:
        rows: as fetched, in the list's order.
        limit: as asked for.
        item: the record of a row.
        cursor: a row's place in the order.
    """
    shown = rows if limit is None else rows[:limit]
    return Page([item(row) for row in shown], str(cursor(shown[-1])) if shown and len(shown) < len(rows) else None)
