"""The worlds in a flow's history, and the places to which both can go back. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from holdfast.errors import InvalidInput
from holdfast.flows.names import is_engines
from holdfast.flows.rewinding.model import Kept
from holdfast.worlds.model import Scope, check_name

FLOW_ACCOUNT = "flow"
MAX_NAME = 27
"""A world of one flow alone is stored under this name, a dot and the flow's id."""


class Opening(msgspec.Struct, frozen=True):
    """What the record of ``open_world`` holds.

    Attributes:
        name: as the workflow calls it.
        stored: as the store calls it.
        scopes: what it covers.
        own: stored and scopes follow from the flow's id, so that no other flow has them.
        single: its services have no other scopes, so that there is no place for a copy.
    """

    name: str
    stored: str
    scopes: tuple[Scope, ...]
    own: bool
    single: bool = False


class OpenedWorld(NamedTuple):
    """A world that a flow has opened.

    Attributes:
        num, run_id: of the record that says so.
    """

    num: int
    run_id: str
    opening: Opening


class Taken(NamedTuple):
    """A checkpoint of a flow's: world (as stored), its name, and the number of its record."""

    world: str
    name: str | None
    num: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in a flow's history: after so many records.

    Attributes:
        position: how many records stay when the flow is rewound to it.
        run_id: of the last of them; ``None`` for the beginning.
        status: how that one ended.
        at: when.
        checkpoints: names of the checkpoints that were taken here; empty texts for those without.
        rewindable: there is a state of every world for it.
    """

    position: int
    run_id: str | None
    status: str | None
    at: datetime | None
    checkpoints: tuple[str, ...] = ()
    rewindable: bool = True


def own_opening(name: str, flow_id: UUID, scopes: tuple[Scope, ...] = ()) -> Opening:
    """A world of one flow alone: no other flow's restore or checkpoint is in its way, and a fork gets another.

    Args:
        scopes: where its services do not leave them to us; those of a fork's copy are the same.
    """
    return Opening(name, f"{name}.{flow_id}", scopes or (Scope(FLOW_ACCOUNT, str(flow_id)),), own=True)


def copied_opening(opening: Opening, fork: UUID) -> Opening:
    """A fork's own copy of a flow's own world."""
    chosen = opening.scopes if all(scope.account_id != FLOW_ACCOUNT for scope in opening.scopes) else ()
    return own_opening(opening.name, fork, chosen)


def check_world(name: str) -> str:
    """Raises:
    InvalidInput: ``name`` cannot be the name of a flow's world.
    """
    check_name(name, "a world")
    if len(name) > MAX_NAME:
        raise InvalidInput(f"{name!r} is too long for a world's name.", remedy=f"Use at most {MAX_NAME} characters.")
    return name


def rewindable(kept: Sequence[Kept], opened: Iterable[OpenedWorld], taken: Iterable[Taken]) -> list[bool]:
    """Of each position, from 0, whether there is a state of every world for it (FL-20): one that no step can have
    changed since.

    Args:
        kept: the records, in order.
        opened: the worlds.
        taken: the checkpoints of these worlds.
    """
    at: dict[int, set[str]] = {}
    for checkpoint in taken:
        at.setdefault(checkpoint.num, set()).add(checkpoint.world)
    beginnings = {world.num: world.opening.stored for world in opened}
    present: set[str] = set()
    moved: set[str] = set()
    found = [True]
    for record in kept:
        if not is_engines(record.task):
            moved |= present
        if record.num in beginnings:
            present.add(beginnings[record.num])
        if record.num in at:
            moved -= at[record.num]
        found.append(not moved)
    return found


def nearest(found: Sequence[bool], position: int) -> list[int]:
    """The nearest positions, before and behind one, that can be rewound to."""
    before = next((place for place in range(position, -1, -1) if found[place]), None)
    behind = next((place for place in range(position, len(found)) if found[place]), None)
    return [place for place in (before, behind) if place is not None]
