"""Pages of lists that can grow: what every port's lists take and give.

A list takes ``limit`` (``None``: everything) and ``after`` (a cursor), and returns a :class:`Page`. Cursors name the
last item's place in the list's order, not a number of items to skip, so that newcomers shift nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")
R = TypeVar("R")
EVERYTHING = 1 << 62
_CURSOR_PART = re.compile(r"-?\d{1,18}", re.ASCII)


class Page(NamedTuple, Generic[T]):
    """One page of a list that can grow.

    Attributes:
        items: the records.
        next: hand it back as ``after`` for the next page; ``None`` at the end.
    """

    items: list[T]
    next: str | None


def check_limit(limit: int | None) -> None:
    """Raises:
    ValueError: ``limit`` is negative.
    """
    if limit is not None and limit < 0:
        raise ValueError(f"a limit cannot be negative, got {limit}")


def parse_cursor(after: str | None, width: int, start: int) -> tuple[int, ...]:
    """The ``width`` numbers of a cursor, or ``start`` as each of them where there is none.

    Raises:
        ValueError: it is no cursor of such a list.
    """
    if after is None:
        return (start,) * width
    parts = str(after).split(".")
    if len(parts) != width or not all(_CURSOR_PART.fullmatch(part) for part in parts):
        raise ValueError(f"{after!r} is not a cursor of this list")
    return tuple(int(part) for part in parts)


def rows_wanted(limit: int | None) -> int:
    """How many rows to fetch for a page: one more than it holds tells whether it is the last.

    Raises:
        ValueError: ``limit`` is negative.
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
