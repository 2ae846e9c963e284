"""What all records of AWS resources have in common. Pure: no I/O."""

from __future__ import annotations

from typing import Any

import msgspec


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
