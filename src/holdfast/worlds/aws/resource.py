"""What all records of AWS resources have in common. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

MOST_NESTED = 200
"""Containers in containers, of a record: what walks through them recurses, and so does the emulator."""
_SHALLOW = frozenset({str, int, bool, float, type(None)})


class Resource(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, eq=False, tag_field="type", gc=False
):
    """A resource of a service, as its view has it.

    Attributes:
        rank: where it stands among those that are listed in the order of their making: higher is later. It is no part
            of what the resource is: two records that differ in it alone are equal.
    """

    rank: int = 0

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Resource) and type(self) is type(other) and _content(self) == _content(other)

    def __ne__(self, other: object) -> bool:  # structs have one of their own, that tells identity
        return not self == other

    def __hash__(self) -> int:
        return hash(type(self))


def _content(record: msgspec.Struct) -> tuple[Any, ...]:
    """All fields but the rank, which is the first."""
    return msgspec.structs.astuple(record)[1:]


def too_deep(record: Resource) -> str | None:
    """The field of a record in which more than ``MOST_NESTED`` containers are nested, if any."""
    values = zip(record.__struct_fields__, msgspec.structs.astuple(record), strict=True)
    return next((name for name, value in values if type(value) not in _SHALLOW and _is_deep(value)), None)


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MOST_NESTED):
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return False
    return any(True for one in level for _ in _inside(one))


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, list | tuple):
        return value
    return msgspec.structs.astuple(value) if isinstance(value, msgspec.Struct) else ()
