"""What views hold as it was given: values in any form, pairs, times. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec

from holdfast.worlds.aws.shapes import as_it_was, lossless

_FIRST, _LAST = -62_135_596_800, 253_402_300_799
"""The seconds since 1970 at which the years 1 and 9999 begin and end: clients can read no others."""
UtcTime = Annotated[datetime, msgspec.Meta(tz=False)]
"""A time of the emulator, which has no zone; it cannot be reckoned with one that has."""
Seconds = Annotated[float, msgspec.Meta(ge=_FIRST, le=_LAST)]
"""Since 1970."""
WholeSeconds = Annotated[int, msgspec.Meta(ge=_FIRST, le=_LAST)]
"""Since 1970."""


def is_lossless(value: Any) -> bool:
    """Whether it is what :func:`~holdfast.worlds.aws.shapes.lossless` has made of something."""
    try:
        return bool(lossless(as_it_was(value)) == value)
    except (ValueError, TypeError, ArithmeticError, AttributeError, RecursionError):
        return False


def is_object(value: Any) -> bool:
    """Whether it is such a value of an object."""
    return isinstance(value, dict) and is_lossless(value) and isinstance(as_it_was(value), dict)


def has_twins(pairs: Iterable[Sequence[Any]] | None) -> bool:
    """Whether two of the pairs begin alike, where one object is to be made of all of them."""
    firsts = [first for first, *_ in pairs or ()]
    return len(set(firsts)) < len(firsts)


def twins(keys: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The names of the resources that have what another has by which the emulator keeps them.

    Args:
        keys: of each resource, its name and that.
    """
    seen: set[str] = set()
    for name, key in keys:
        if key in seen:
            yield name
        seen.add(key)


NOT_WRITTEN = "it is no value that a view can have written"
TWINS = "it has a name twice"
