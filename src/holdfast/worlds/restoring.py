"""Restores that a crash cannot tear (WO-10).

A restore has several effects, one a service and scope, and no transaction spans them all. So what is intended is
written first; each effect is idempotent; and whoever meets the intent carries it out before anything else. The
functions here are the transactions of that; :class:`holdfast.worlds.world.World` does what lies between them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from holdfast.audit import SqlAuditLog
from holdfast.clock import to_datetime
from holdfast.ids import new_id, parse_id, row_id, row_num
from holdfast.store import Store, Transaction, Unit, load_queries
from holdfast.store.units import wait_for
from holdfast.worlds.checkpoints import Checkpoint, SqlCheckpoints, State
from holdfast.worlds.errors import CheckpointNotFound, RestoreLost, RestorePending
from holdfast.worlds.model import check_name
from holdfast.worlds.ownership import check_owner
from holdfast.worlds.service import fence

_q = load_queries("holdfast.worlds")
RESTORED, ABANDONED = "world.restored", "world.restore_abandoned"
"""The acts in the audit chain."""
PATIENCE_SECONDS = 30.0
_FIRST_POLL_SECONDS = 0.02
_LAST_POLL_SECONDS = 0.5
"""On PostgreSQL every look opens a connection."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A restore that has begun and not ended.

    Attributes:
        checkpoint: what is to be restored.
        before: the checkpoint of what was there; ``None`` until it is taken.
        run, actor: on whose behalf.
        token: of the process that carries it out.
    """

    world: str
    checkpoint: UUID
    before: UUID | None
    run: UUID | None
    actor: str
    token: str
    began_at: datetime


class Restored(NamedTuple):
    """A restore that was carried out.

    Attributes:
        checkpoint: what the world is now.
        before: what it was.
        discarded: names of what was removed first, which ``before`` has not.
    """

    checkpoint: Checkpoint
    before: Checkpoint
    discarded: tuple[str, ...] = ()


def pending_restore(tx: Transaction, world: str) -> Pending | None:
    """The world's restore that has not ended, or ``None``."""
    row = tx.fetch_one(_q["get_restore"], {"world": world})
    if row is None:
        return None
    checkpoint, before, run, actor, token, began_at = row
    return Pending(
        world=world,
        checkpoint=row_id(checkpoint),
        before=None if before is None else row_id(before),
        run=UUID(run) if run else None,
        actor=actor,
        token=token,
        began_at=to_datetime(began_at),
    )


def begin_restore(
    tx: Transaction, target: Checkpoint, *, run: UUID | None = None, before: Sequence[State] | None = None
) -> Pending:
    """Write that the world is to become what it was at ``target``. From here on nobody sees it in between: whoever
    opens it next carries the restore out. Rewinding a run calls this in the transaction of its own records.

    Args:
        target: a checkpoint of the world.
        run: on whose behalf.
        before: what is there now, where it is known already; kept as a checkpoint.

    Raises:
        RestorePending: another one has not ended.
        WorldShared: one of its scopes belongs to another run (WO-13).
        CheckpointNotFound: it was deleted meanwhile.
        InvalidId: no id of a run.
    """
    owner = None if run is None else parse_id(run)
    checkpoints = SqlCheckpoints(tx)
    checkpoints.lock(target.world)
    if pending_restore(tx, target.world):
        raise RestorePending(target.world)
    if checkpoints.get(target.id) is None:
        raise CheckpointNotFound(target.world, str(target.id))
    check_owner(tx, target.world, {state.scope for state in target.states}, owner)
    kept = None if before is None else checkpoints.insert(target.world, before)
    columns = {
        "world": target.world,
        "checkpoint": row_num(target.id),
        "before": row_num(kept.id) if kept else None,
        "run": str(owner) if owner else None,
        "actor": tx.actor,
        "token": str(new_id()),
        "at": tx.clock.micros(),
    }
    tx.execute(_q["begin_restore"], columns)
    tx.execute(_q["count_restore"], {"world": target.world})
    return _present(tx, target.world)


def redirect_restore(tx: Transaction, target: Checkpoint, *, run: UUID) -> bool:
    """Have a restore that has begun on the run's behalf lead to ``target`` instead; false when none has. Whoever was
    carrying it out has lost it; what was there before the first of them stays kept.

    Raises:
        CheckpointNotFound: it was deleted meanwhile.
        WorldShared: one of its scopes belongs to another run (WO-13).
    """
    checkpoints = SqlCheckpoints(tx)
    checkpoints.lock(target.world)
    if checkpoints.get(target.id) is None:
        raise CheckpointNotFound(target.world, str(target.id))
    check_owner(tx, target.world, {state.scope for state in target.states}, run)
    named = {"world": target.world, "run": str(run), "checkpoint": row_num(target.id)}
    if not tx.execute(_q["redirect_restore"], named | {"actor": tx.actor, "token": str(new_id())}):
        return False
    tx.execute(_q["count_restore"], {"world": target.world})
    return True


def take_over(tx: Transaction, world: str) -> Pending | None:
    """Make the world's pending restore, if there is one, this process's to carry out."""
    SqlCheckpoints(tx).lock(world)
    if not tx.execute(_q["take_restore_over"], {"world": world, "token": str(new_id())}):
        return None
    return _present(tx, world)


def keep_before(tx: Transaction, pending: Pending, states: Sequence[State]) -> Pending:
    """Keep what is there as the checkpoint before the restore.

    Raises:
        RestoreLost: another process has taken it over.
    """
    checkpoints = SqlCheckpoints(tx)
    checkpoints.lock(pending.world)
    kept = checkpoints.insert(pending.world, states)
    columns = {"world": pending.world, "token": pending.token, "before": row_num(kept.id)}
    if not tx.execute(_q["keep_before"], columns):
        raise RestoreLost(pending.world)
    return _present(tx, pending.world)


def check_still_ours(tx: Transaction, pending: Pending) -> None:
    """Raises:
    RestoreLost: another process has taken the restore over.
    """
    found = pending_restore(tx, pending.world)
    if found is None or found.token != pending.token:
        raise RestoreLost(pending.world)


@contextmanager
def fenced(store: Store, pending: Pending) -> Iterator[Callable[[], None]]:
    """Have services ask, under their own locks, whether the restore is still this process's: a server that cuts its
    connection takes its hold back and does not tell. Gives what they ask, which raises :class:`RestoreLost`.

    No connection to a store in memory is cut, and there services could not ask from within their units.
    """

    def check() -> None:
        """A read that units may wait for, unlike ``store.read``: readers have threads of their own here."""
        wait_for(
            lambda answer: store.submit(
                Unit(lambda tx: check_still_ours(tx, pending), answer, idempotent=True), reading=True
            ),
            lambda: "a restore asks whether it is still this process's",
        )

    asked = fence.set((lambda: None) if store.backend.local else check)
    try:
        yield check
    finally:
        fence.reset(asked)


def end_restore(tx: Transaction, pending: Pending, target: Checkpoint) -> Restored:
    """Write that the restore is done: its intent goes, its audit row comes.

    Raises:
        RestoreLost: another process has taken it over.
    """
    checkpoints = SqlCheckpoints(tx)
    checkpoints.lock(pending.world)
    if not tx.execute(_q["end_restore"], {"world": pending.world, "token": pending.token}):
        raise RestoreLost(pending.world)
    before = checkpoints.get(pending.before) if pending.before else None
    assert before is not None
    detail = {
        "checkpoint": str(target.id),
        "name": target.name,
        "before": str(before.id),
        "run": str(pending.run) if pending.run else None,
        "from": _digests(before.states),
        "to": _digests(target.states),
    }
    SqlAuditLog(tx).append(RESTORED, pending.world, detail)
    return Restored(target, before)


def abandon_restore(
    store: Store, world: str, *, actor: str = "system", patience: float = PATIENCE_SECONDS
) -> Pending | None:
    """Give up a restore that cannot be carried out; ``None`` when there is none.

    The world stays as it is: services that were restored already stay so. What it was before, if its restore had got
    that far, is the checkpoint :attr:`Pending.before`.

    Args:
        world: its name.
        actor: who asks, for the audit chain.
        patience: seconds to wait for a process that is carrying it out.

    Raises:
        InvalidScope: what cannot be the name of a world.
        RestorePending: another process is carrying it out, for longer than ``patience``.
    """

    def abandon(tx: Transaction) -> Pending | None:
        SqlCheckpoints(tx).lock(world)
        pending = pending_restore(tx, world)
        if pending:
            tx.execute(_q["abandon_restore"], {"world": world})
            kept = {"checkpoint": str(pending.checkpoint), "before": str(pending.before) if pending.before else None}
            SqlAuditLog(tx).append(ABANDONED, world, kept | {"run": str(pending.run) if pending.run else None})
        return pending

    with holding(store, check_name(world, "a world"), patience):
        return store.run(abandon, actor=actor)


@contextmanager
def holding(store: Store, world: str, patience: float) -> Iterator[None]:
    """Keep all others from carrying out restores of a world during the block.

    Raises:
        RestorePending: another one is at it, for longer than ``patience`` seconds.
    """
    deadline = store.clock.monotonic() + patience
    pause = _FIRST_POLL_SECONDS
    while (release := store.backend.hold(f"world-{world}")) is None:
        left = deadline - store.clock.monotonic()
        if left <= 0:
            raise RestorePending(world)
        time.sleep(min(pause, left))
        pause = min(2 * pause, _LAST_POLL_SECONDS)
    try:
        yield
    finally:
        release()


def _present(tx: Transaction, world: str) -> Pending:
    found = pending_restore(tx, world)
    assert found is not None
    return found


def _digests(states: Iterable[State]) -> dict[str, str]:
    return {f"{state.service}/{state.account_id}/{state.region}": state.manifest for state in states}
