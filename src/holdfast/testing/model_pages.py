"""Pages of the plain models that the suites are compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import TypeVar

from holdfast.pages import InvalidCursor, Page, check_limit

T = TypeVar("T")


def model_page(items: Sequence[T], limit: int | None, after: str | None, name: Callable[[T], str]) -> Page[T]:
    """One page of a list in its order, as copies that share nothing with the model.

    Its cursor is the last item's name, so that newcomers ahead of it do no harm.
    """
    check_limit(limit)
    start = 0
    if after is not None:
        start = next((place for place, item in enumerate(items, 1) if name(item) == after), -1)
        if start < 0:
            raise InvalidCursor(after)
    end = len(items) if limit is None else min(start + limit, len(items))
    return Page(
        [deepcopy(item) for item in items[start:end]], name(items[end - 1]) if start < end < len(items) else None
    )
