"""Rewind, fork, retry: progress and worlds go back together, in one transaction (FL-16, FL-20, WO-10, WO-13).

The transaction writes what the worlds are to become; whoever opens one next, the flow's own worker at the latest,
carries that out before anything else happens in it. So a crash at any point leaves a flow and worlds of one time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from holdfast.audit import SqlAuditLog
from holdfast.flows import Flow
from holdfast.flows.rewinding import manager as records
from holdfast.flows.rewinding.errors import FlowRunning, NoSuchStep
from holdfast.flows.rewinding.model import Cut, Kept, Target, position_of
from holdfast.pages import Page, check_limit, parse_cursor
from holdfast.rewind.errors import CheckpointLost, NoCopyPossible, NotCheckpointed, ScopesNeeded
from holdfast.rewind.model import OpenedWorld, Opening, Position, Taken, copied_opening, nearest, rewindable
from holdfast.rewind.remains import copied_folders, note_world
from holdfast.rewind.sql import Source, SqlRewinds
from holdfast.store import Transaction
from holdfast.worlds.checkpoints import Checkpoint, Moment, SqlCheckpoints
from holdfast.worlds.errors import InvalidScope
from holdfast.worlds.model import Scope, to_scope
from holdfast.worlds.ownership import hold_scopes
from holdfast.worlds.restoring import begin_restore, redirect_restore

REWOUND, FORKED, RETRIED = "flow.rewound", "flow.forked", "flow.retried"
"""The acts in the audit chain."""
_LATEST = (1 << 62) - 1
"""Behind every record."""
Scopes = Mapping[Scope | tuple[str, str], Scope | tuple[str, str]]


def rewind(
    tx: Transaction, flow_id: UUID, to_step: Target, *, patch: dict[str, Any] | None = None, note: str = ""
) -> Flow:
    """Have a flow and its worlds go back to a place in its history, and on from there (FL-16, FL-20).

    Args:
        to_step: how many records to keep; or the run id of the last one, ``"plan#2"``; or the name of a checkpoint,
            which has no ``#``.
        patch: a merge patch (RFC 7396) of the flow's state, which the workflow sees from there on (FL-15).
        note: why, for history and audit.

    Raises:
        FlowNotFound, FlowRunning, NoSuchStep, RewindBeyondEnd, InvalidPatch, PlaceTaken, RevisionMismatch: as
            :func:`holdfast.flows.rewinding.manager.rewind`.
        NotCheckpointed: steps ran since a world's last checkpoint; names the nearest places.
        CheckpointLost: the checkpoint was deleted.
        WorldShared: another run owns a scope by now (WO-13).
        RestorePending: another run's restore of a shared world has not ended.
    """
    scene = _look(tx, flow_id, to_step)
    records.patched(scene.cut.flow, patch)
    targets = _targets(tx, scene)
    if scene.cut.flow.epoch is not None:
        raise FlowRunning(flow_id, scene.cut.flow.epoch)
    flow = records.undo(tx, scene.cut, patch=patch, note=note)
    SqlCheckpoints(tx).supersede(Moment(flow_id, scene.cut.record))
    for target in targets:
        hold_scopes(tx, target.world, {state.scope for state in target.states}, flow_id)
        if not redirect_restore(tx, target, run=flow_id):
            begin_restore(tx, target, run=flow_id)
    restored = {target.world: str(target.id) for target in targets}
    told = {"worlds": restored, "note": note, "patched": patch is not None}
    SqlAuditLog(tx).append(REWOUND, str(flow_id), _place(scene.cut) | _undone(scene.cut) | told)
    return flow


def fork(
    tx: Transaction,
    flow_id: UUID,
    at_step: Target,
    *,
    id: UUID | str | None = None,
    key: str | None = None,
    patch: dict[str, Any] | None = None,
    scopes: Scopes | None = None,
) -> Flow:
    """Make another flow that goes on from a place of this one, with copies of its worlds (FL-16, WO-13). This one stays
    as it is, and may be running.

    Args:
        at_step: as for :func:`rewind`.
        id, key, patch: as for :func:`holdfast.flows.rewinding.manager.fork`.
        scopes: of worlds with scopes of their own choice, where the copy of each is to be. What is there is replaced,
            and kept as a checkpoint.

    Raises:
        FlowNotFound, NoSuchStep, RewindBeyondEnd, FlowExists, InvalidId, InvalidPatch: as there.
        NotCheckpointed, CheckpointLost: as :func:`rewind`.
        NoCopyPossible: a world is one directory alone.
        ScopesNeeded: ``scopes`` lacks some.
        InvalidScope: a scope that cannot be, or that is its own copy.
        WorldShared: a copy's scope belongs to another run.
        RestorePending: a shared world's restore has not ended.
    """
    scene = _look(tx, flow_id, at_step)
    opened = [world for world in scene.opened if world.num <= scene.cut.record]
    _targets(tx, scene)
    chosen = _chosen(flow_id, opened, scopes or {})
    made, num = records.copy(tx, scene.cut, id=id, key=key, patch=patch)
    copies = [_copy_world(tx, scene.cut, world, made, num, chosen) for world in opened]
    SqlAuditLog(tx).append(FORKED, str(flow_id), _place(scene.cut) | {"to": str(made.id), "worlds": copies})
    return made


def retry(tx: Transaction, flow_id: UUID) -> Flow:
    """Have a failed or cancelled flow go on; see :func:`holdfast.flows.rewinding.manager.retry`. Its worlds stay as
    they are, with what was mended in them meanwhile; :func:`rewind` puts them back as well.

    Raises:
        FlowNotFound, NothingToRetry, PlaceTaken, RevisionMismatch: as there.
        WorldShared: another run owns a scope by now (WO-13).
    """
    cut = records.locate_failure(tx, flow_id)
    flow = records.undo(tx, cut, kind=records.RETRIED)
    SqlCheckpoints(tx).supersede(Moment(flow_id, cut.record))
    for world in SqlRewinds(tx).opened(cut.num):
        hold_scopes(tx, world.opening.stored, set(world.opening.scopes), flow_id)
    SqlAuditLog(tx).append(RETRIED, str(flow_id), _place(cut) | _undone(cut))
    return flow


def positions(tx: Transaction, flow_id: UUID, *, limit: int | None = None, after: str | None = None) -> Page[Position]:
    """The places in a flow's history, from the beginning on, with their checkpoints.

    Raises:
        FlowNotFound: unknown id.
        ValueError: a negative limit or a malformed cursor.
    """
    check_limit(limit)
    (first,) = parse_cursor(after, 1, -1)
    _, num, kept = records.look(tx, flow_id)
    opened = SqlRewinds(tx).opened(num)
    taken = SqlRewinds(tx).taken(flow_id, [world.opening.stored for world in opened])
    found = rewindable(kept, opened, taken)
    chosen = range(first + 1, len(found) if limit is None else min(len(found), first + 1 + limit))
    shown = [kept[place - 1] for place in chosen if place]
    details = SqlRewinds(tx).details(num, shown)
    names: dict[int, list[str]] = {}
    for checkpoint in taken:
        names.setdefault(checkpoint.num, []).append(checkpoint.name or "")
    items = [Position(position=0, run_id=None, status=None, at=None)] if 0 in chosen else []
    for record, place in zip(shown, (place for place in chosen if place), strict=True):
        status, at = details[record.num]
        items.append(
            Position(
                position=place,
                run_id=record.run_id,
                status=status,
                at=at,
                checkpoints=tuple(names.get(record.num, ())),
                rewindable=found[place],
            )
        )
    return Page(items, str(chosen[-1]) if chosen and chosen[-1] + 1 < len(found) else None)


class _Scene(NamedTuple):
    """A place in a history, and the worlds in that history."""

    cut: Cut
    opened: Sequence[OpenedWorld]
    taken: Sequence[Taken]


def _look(tx: Transaction, flow_id: UUID, target: Target) -> _Scene:
    flow, num, kept = records.look(tx, flow_id)
    opened = SqlRewinds(tx).opened(num)
    taken = SqlRewinds(tx).taken(flow_id, [world.opening.stored for world in opened])
    return _Scene(Cut(flow, num, kept, _position(flow_id, kept, taken, target)), opened, taken)


def _position(flow_id: UUID, kept: Sequence[Kept], taken: Sequence[Taken], target: Target) -> int:
    """No name of a checkpoint has a ``#``, and every run id has one."""
    if not isinstance(target, str) or "#" in target:
        return position_of(flow_id, kept, target)
    nums = [checkpoint.num for checkpoint in taken if checkpoint.name == target]
    if not nums:
        names = dict.fromkeys(checkpoint.name for checkpoint in taken if checkpoint.name)
        raise NoSuchStep(flow_id, target, len(kept), list(names))
    return bisect_right([record.num for record in kept], max(nums))


def _targets(tx: Transaction, scene: _Scene) -> list[Checkpoint]:
    """What the worlds are to become: for each the checkpoint of that time, or its opening one where it was not open.

    Raises:
        NotCheckpointed, CheckpointLost: there is none.
    """
    cut, flow_id = scene.cut, scene.cut.flow.id
    if not scene.opened:
        return []
    found = rewindable(cut.kept, scene.opened, scene.taken)
    if not found[cut.position]:
        names = [world.opening.name for world in scene.opened if world.num <= cut.record]
        raise NotCheckpointed(flow_id, cut.position, names, nearest(found, cut.position))
    checkpoints, targets = SqlCheckpoints(tx), []
    for world in scene.opened:
        target = checkpoints.at(world.opening.stored, Moment(flow_id, max(cut.record, world.num)))
        if target is None:
            raise CheckpointLost(flow_id, cut.position, world.opening.name)
        targets.append(target)
    return targets


def _chosen(flow_id: UUID, opened: Sequence[OpenedWorld], scopes: Scopes) -> dict[Scope, Scope]:
    """Where the copies of shared worlds are to be.

    Raises:
        NoCopyPossible: there is no place for one.
        ScopesNeeded: some lack.
        InvalidScope: one cannot be.
    """
    for world in opened:
        if world.opening.single:
            raise NoCopyPossible(flow_id, world.opening.name)
    chosen = {to_scope(old): to_scope(new) for old, new in scopes.items()}
    needed = {scope for world in opened if not world.opening.own for scope in world.opening.scopes}
    taken = {scope for scope in needed if chosen.get(scope, scope) in needed}
    if taken:
        raise ScopesNeeded(flow_id, taken)
    copies = [chosen[scope] for scope in needed]
    if len(set(copies)) < len(copies):
        raise InvalidScope("Two scopes cannot have one copy.", remedy="Name another scope for each.")
    return chosen


def _copy_world(
    tx: Transaction, cut: Cut, world: OpenedWorld, fork: Flow, num: int, chosen: Mapping[Scope, Scope]
) -> str:
    """Give the fork its own copy of a world: carried out by whoever opens it next. Returns its name."""
    old = world.opening
    if old.own:
        new = copied_opening(old, fork.id)
        scopes = dict(zip(old.scopes, new.scopes, strict=True))
    else:
        scopes = {scope: chosen[scope] for scope in old.scopes}
        new = Opening(old.name, old.stored, tuple(scopes.values()), own=False)
    rewinds, checkpoints = SqlRewinds(tx), SqlCheckpoints(tx)
    hold_scopes(tx, new.stored, set(new.scopes), fork.id)
    note_world(tx, fork.id, new, copied_folders(tx, cut.flow.id, old.stored, new.scopes[0]))
    rewinds.copy_checkpoints(Source(cut.flow.id, old.stored, cut.record), num, fork.id, new.stored, scopes)
    rewinds.rewrite(num, world.run_id, new)
    target = checkpoints.at(new.stored, Moment(fork.id, _LATEST))
    assert target is not None
    begin_restore(tx, target, run=fork.id)
    return new.stored


def _place(cut: Cut) -> dict[str, Any]:
    return {"position": cut.position, "last": cut.run_id}


def _undone(cut: Cut) -> dict[str, Any]:
    return {"from_attempt": cut.flow.attempt, "superseded": len(cut.kept) - cut.position}
