"""Whose a scope is: it has at most one owning run (WO-13)."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from holdfast.ids import parse_id
from holdfast.store import Transaction, load_queries
from holdfast.worlds.checkpoints import SqlCheckpoints
from holdfast.worlds.errors import RestorePending, WorldShared
from holdfast.worlds.model import Scope, check_scope

_q = load_queries("holdfast.worlds")
_BEHALF = 2
"""Where the query ``get_restore`` has the run."""


def claim_scope(tx: Transaction, world: str, scope: Scope, run: UUID) -> bool:
    """Make ``scope`` the run's own; false when it is so already.

    Raises:
        WorldShared: it belongs to another run.
        RestorePending: a restore has begun, not on the run's own behalf, which may yet change what is there.
    """
    account_id, region = check_scope(*scope)
    owner = parse_id(run)
    checkpoints = SqlCheckpoints(tx)
    checkpoints.lock(world)
    restore = tx.fetch_one(_q["get_restore"], {"world": world})
    if restore and restore[_BEHALF] != str(owner):
        raise RestorePending(world)
    checkpoints.add_scopes(world, {scope})
    named = {"world": world, "account": account_id, "region": region}
    if tx.execute(_q["claim_scope"], {**named, "run": str(owner), "at": tx.clock.micros()}):
        return True
    check_owner(tx, world, [scope], owner)
    return False


def hold_scopes(tx: Transaction, world: str, scopes: Iterable[Scope], run: UUID) -> None:
    """Make those of ``scopes`` the run's own that are not; raises as :func:`claim_scope` does."""
    checkpoints = SqlCheckpoints(tx)
    checkpoints.lock(world)
    owners = checkpoints.scopes(world)
    for scope in sorted(scopes):
        if owners.get(scope) != run:
            claim_scope(tx, world, scope, run)


def release_scope(tx: Transaction, world: str, scope: Scope, run: UUID) -> bool:
    """Make ``scope`` nobody's; false when it was not the run's."""
    account_id, region = check_scope(*scope)
    named = {"world": world, "account": account_id, "region": region, "run": str(parse_id(run))}
    return tx.execute(_q["release_scope"], named) == 1


def release_all(tx: Transaction, run: UUID) -> int:
    """Release every scope of a run that has ended; returns how many."""
    return tx.execute(_q["release_all_scopes"], {"run": str(parse_id(run))})


def release_ended(tx: Transaction, runs: Iterable[str]) -> int:
    """Release every scope of these runs (texts of ids), which have ended; returns how many."""
    return tx.execute(_q["release_scopes_of"], rows=[(run,) for run in runs])


def check_owner(tx: Transaction, world: str, scopes: Iterable[Scope], run: UUID | None) -> None:
    """See that each of ``scopes`` is nobody's, or the run's. To be called with the world locked.

    Raises:
        WorldShared: one belongs to another run.
    """
    owners = SqlCheckpoints(tx).scopes(world)
    for scope in scopes:
        if owners.get(scope) not in (None, run):
            raise WorldShared(describe_scope(world, scope), str(owners[scope]))


def describe_scope(world: str, scope: Scope) -> str:
    """A scope as errors name it."""
    return f"the scope {scope.account_id}/{scope.region} of the world {world}"
