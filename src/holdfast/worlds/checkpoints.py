"""Checkpoints: what the services of a world were, stored and found again (WO-10)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from holdfast.clock import to_datetime
from holdfast.errors import InvalidId, InvalidInput
from holdfast.ids import parse_id, row_id, row_num
from holdfast.pages import EVERYTHING, Page, page_of, parse_cursor, rows_wanted
from holdfast.store import Row, Transaction, load_queries
from holdfast.text import is_storable
from holdfast.worlds.errors import CheckpointExists, CheckpointInUse, InvalidScope
from holdfast.worlds.model import Scope, check_name

_q = load_queries("holdfast.worlds")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_. -]{0,62}[A-Za-z0-9_.-])?", re.ASCII)


class Moment(NamedTuple):
    """When in a run a checkpoint was taken: after the step, or at the end of the wave, of that number.

    Attributes:
        run: id of the flow or council run.
        position: grows along the run; what rewinding compares.
    """

    run: UUID
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What one service held in one scope.

    Attributes:
        manifest: digest of the stored view (:func:`holdfast.worlds.manifests.get_view`).
        resources: how many.
    """

    service: str
    account_id: str
    region: str
    manifest: str
    resources: int

    @property
    def scope(self) -> Scope:
        return Scope(self.account_id, self.region)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What the services of a world were at one time.

    Attributes:
        name: unique within the world among those of its run (or of none) that are not superseded; ``None`` where none
            was given.
        run, position: the moment it is tied to, if any (:class:`Moment`).
        superseded: its run was rewound behind it, so that a further rewind does not find it, and its name is free.
        states: one a service and scope, in the order of their names.
    """

    id: UUID
    world: str
    name: str | None
    run: UUID | None
    position: int | None
    superseded: bool
    created_at: datetime
    states: tuple[State, ...]


Reference = Checkpoint | UUID | str
"""A checkpoint, its id, or its name within the world."""


class Standing(NamedTuple):
    """Whether a world is being restored, and how many restores of it have begun."""

    restores: int
    restoring: bool


class SqlCheckpoints:
    """The checkpoints of all worlds, within one transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def insert(
        self, world: str, states: Sequence[State], *, name: str | None = None, moment: Moment | None = None
    ) -> Checkpoint:
        """Add a checkpoint whose views are stored.

        Raises:
            InvalidScope: a name that cannot be one.
            InvalidInput: a moment that cannot be.
            CheckpointExists: the name is taken.
        """
        run, position = check_moment(moment) if moment else (None, None)
        columns = {
            "world": check_name(world, "a world"),
            "name": None if name is None else check_checkpoint_name(name),
            "run": str(run) if run else None,
            "position": position,
            "at": self._tx.clock.micros(),
        }
        row = self._tx.fetch_one(_q["insert_checkpoint"], columns)
        if row is None:
            raise CheckpointExists(world, str(name))
        rows = [(s.service, s.account_id, s.region, s.manifest, s.resources) for s in states]
        self._tx.execute(_q["insert_states"], {"checkpoint": row[0]}, rows=rows)
        self.add_scopes(world, {state.scope for state in states})
        found = self.get(row_id(row[0]))
        assert found is not None
        return found

    def get(self, checkpoint_id: UUID) -> Checkpoint | None:
        """The checkpoint of that id, or ``None``."""
        num = row_num(checkpoint_id)
        return None if num is None else self._one("get_checkpoint", num=num)

    def find(self, world: str, name: str) -> Checkpoint | None:
        """The world's newest checkpoint of that name, or ``None``; a superseded one only where no other has it."""
        return self._one("find_checkpoint", world=world, name=name)

    def worlds_with(self, name: str, *, limit: int) -> Sequence[str]:
        """Some worlds that have a checkpoint of that name, in order."""
        rows = self._tx.fetch(_q["worlds_with_checkpoint"], {"name": name, "limit": limit}) if is_storable(name) else []
        return [row[0] for row in rows]

    def at(self, world: str, moment: Moment) -> Checkpoint | None:
        """The world's last checkpoint of a run at or before a moment, or ``None``: what rewinding to it restores."""
        run, position = check_moment(moment)
        return self._one("checkpoint_at", world=world, run=str(run), position=position)

    def delete(self, checkpoint: Checkpoint) -> None:
        """Forget a checkpoint. The bodies it names stay: others may name them too.

        Raises:
            CheckpointInUse: a restore needs it.
        """
        num = row_num(checkpoint.id)
        self.lock(checkpoint.world)
        restore = self._tx.fetch_one(_q["get_restore"], {"world": checkpoint.world})
        if restore and num in restore[:2]:
            raise CheckpointInUse(f"The world {checkpoint.world} is being restored by {checkpoint.id}.")
        for query in ("delete_states", "delete_checkpoint"):
            self._tx.execute(_q[query], {"num": num})

    def worlds_of(self, run: UUID) -> list[str]:
        """The worlds that a run has checkpoints of: what rewinding it restores (FL-20)."""
        return [row[0] for row in self._tx.fetch(_q["worlds_of_run"], {"run": str(run)})]

    def supersede(self, moment: Moment) -> int:
        """Mark the run's checkpoints after ``moment`` as those of a past that rewinding has undone; returns how many.

        To be called in the transaction that rewinds the run.
        """
        run, position = check_moment(moment)
        return self._tx.execute(_q["supersede_checkpoints"], {"run": str(run), "position": position})

    def lock(self, world: str) -> int:
        """Lock a world, so that no restore begins or ends beside this transaction; returns how many have begun."""
        self._tx.execute(_q["add_world"], {"world": check_name(world, "a world")})
        ((restores,),) = self._tx.fetch(_q["lock_world"], {"world": world})
        return int(restores)

    def standing(self, world: str) -> Standing:
        """Where a world is with regard to restores."""
        row = self._tx.fetch_one(_q["world_standing"], {"world": world})
        return Standing(row[0], row[1] is not None) if row else Standing(0, False)

    def scopes(self, world: str) -> dict[Scope, UUID | None]:
        """The scopes that a world uses, with the run that owns each."""
        rows = self._tx.fetch(_q["list_scopes"], {"world": world})
        return {Scope(account, region): UUID(owner) if owner else None for account, region, owner in rows}

    def add_scopes(self, world: str, scopes: set[Scope]) -> None:
        """Note that a world uses these scopes."""
        self._tx.execute(_q["add_scopes"], {"world": world}, rows=sorted(scopes))

    def _one(self, query: str, **params: str | int) -> Checkpoint | None:
        row = self._tx.fetch_one(_q[query], params)
        return _checkpoint(row, self._states([row[0]])[row[0]]) if row else None

    def _states(self, nums: Sequence[int]) -> dict[int, list[State]]:
        found: dict[int, list[State]] = {num: [] for num in nums}
        for num, service, account, region, manifest, resources in self._tx.fetch(
            _q["list_states"], rows=[(num,) for num in nums]
        ):
            state = State(service=service, account_id=account, region=region, manifest=manifest, resources=resources)
            found[num].append(state)
        return found

    def list(self, world: str | None = None, *, limit: int | None = None, after: str | None = None) -> Page[Checkpoint]:
        """Checkpoints, of one world or of all, newest first.

        Raises:
            ValueError: a negative limit or a malformed cursor.
            InvalidScope: what cannot be the name of a world.
        """
        if world is not None:
            check_name(world, "a world")
        (num,) = parse_cursor(after, 1, EVERYTHING)
        query = "list_checkpoints" if world is None else "list_world_checkpoints"
        rows = self._tx.fetch(_q[query], {"world": world, "num": num, "limit": rows_wanted(limit)})
        states = self._states([row[0] for row in rows])
        return page_of(rows, limit, lambda row: _checkpoint(row, states[row[0]]), lambda row: row[0])


def check_checkpoint_name(name: object) -> str:
    """``name`` itself.

    Raises:
        InvalidScope: it cannot be the name of a checkpoint.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidScope(
            f"{name!r} cannot be the name of a checkpoint.",
            remedy="Use 1 to 64 letters, digits, '-', '_' or '.', beginning with a letter or digit; spaces within.",
        )
    try:
        parse_id(name)
    except InvalidId:
        return name
    raise InvalidScope(f"{name!r} cannot be the name of a checkpoint: it is an id.", remedy="Choose another name.")


def check_moment(moment: Moment) -> Moment:
    """Raises:
    InvalidInput: its position is negative, or no number.
    """
    run, position = moment
    if type(position) is not int or not 0 <= position < EVERYTHING:
        raise InvalidInput(
            f"{position!r} is no step or wave that a checkpoint can be tied to.",
            remedy="Count steps and waves from 0, in the order in which they come.",
        )
    return Moment(parse_id(run), position)


def find_checkpoint(tx: Transaction, world: str, wanted: Reference) -> Checkpoint | None:
    """The world's checkpoint of that name or id, or ``None``."""
    checkpoints = SqlCheckpoints(tx)
    if isinstance(wanted, str):
        named = checkpoints.find(world, wanted) if is_storable(wanted) else None
        if named:
            return named
    try:
        found = checkpoints.get(parse_id(wanted.id if isinstance(wanted, Checkpoint) else wanted))
    except InvalidId:
        return None
    return found if found and found.world == world else None


def moment_of(flow: UUID | None, step: int | None, run: UUID | None, wave: int | None) -> Moment | None:
    """The moment of a flow's step or of a council run's wave; ``None`` where none of them is given.

    Raises:
        InvalidInput: half a moment, or two.
        InvalidId: no id of a run.
    """
    match (flow, step, run, wave):
        case (None, None, None, None):
            return None
        case (UUID() | str(), int(), None, None):
            return check_moment(Moment(flow, step))
        case (None, None, UUID() | str(), int()):
            return check_moment(Moment(run, wave))
    raise InvalidInput(
        "A checkpoint is tied to a flow and a step, or to a run and a wave, or to nothing.",
        remedy="Pass flow= and step=, or run= and wave=.",
    )


def _checkpoint(row: Row, states: Sequence[State]) -> Checkpoint:
    num, world, name, run, position, superseded, created_at = row
    return Checkpoint(
        id=row_id(num),
        world=world,
        name=name,
        run=UUID(run) if run else None,
        position=position,
        superseded=bool(superseded),
        created_at=to_datetime(created_at),
        states=tuple(states),
    )
