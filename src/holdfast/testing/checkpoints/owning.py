"""Checks of owners: WO-13."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

from holdfast.errors import InvalidId
from holdfast.testing.checkpoints.dying import intend
from holdfast.testing.checkpoints.samples import (
    AWAY,
    ELSEWHERE,
    OTHER_RUN,
    RUN,
    expect_refused,
    expect_state,
    put,
    suite,
    two_checkpoints,
)
from holdfast.testing.checkpoints.subject import HOME, NAME, WorldSubject
from holdfast.testing.conformance import expect_equal, expect_raises, patience
from holdfast.worlds import Scope, World
from holdfast.worlds.errors import RestorePending, WorldShared
from holdfast.worlds.ownership import claim_scope, release_all
from holdfast.worlds.restoring import begin_restore

_CLAIMANTS = 8


@suite.check
def a_scope_has_one_owner(subject: WorldSubject) -> None:
    """WO-13: a scope is nobody's until a run claims it, and that run's alone until it releases it."""
    world = subject.world()
    expect_equal(world.owner(HOME), None, "whose a scope is at first")
    expect_equal([world.claim_scope(HOME, RUN) for _ in range(2)], [True, False], "whether a claim was news")
    error = expect_refused(subject, WorldShared, "another's claim", lambda: world.claim_scope(HOME, OTHER_RUN))
    expect_equal(error.owner, str(RUN), "the owner, as the error names it")
    expect_equal(world.claim_scope(ELSEWHERE, OTHER_RUN), True, "whether another scope can be another's")
    expect_equal(subject.world("another").claim_scope(HOME, OTHER_RUN), True, "whether another world's can")
    expect_equal(world.release_scope(HOME, OTHER_RUN), False, "whether another run's release did anything")
    expect_equal(subject.world().owner(HOME), RUN, "whose it is after another run's release")
    expect_equal(world.release_scope(HOME, RUN), True, "whether its own did")
    expect_equal((world.owner(HOME), world.owner(ELSEWHERE)), (None, OTHER_RUN), "the owners")
    expect_equal(world.claim_scope(HOME, OTHER_RUN), True, "whether a scope that was released can be claimed")
    expect_equal(subject.store.run(lambda tx: release_all(tx, OTHER_RUN)), 3, "how many scopes the other run had")
    expect_equal((world.owner(HOME), world.owner(ELSEWHERE)), (None, None), "the owners, all released")


@suite.check
def of_many_claims_one_succeeds(subject: WorldSubject) -> None:
    """WO-13: of claims at once, one run's succeeds; all others hear whose the scope is."""
    worlds = [subject.world() for _ in range(_CLAIMANTS)]
    for scope in (HOME, ELSEWHERE, AWAY):
        runs = [uuid4() for _ in worlds]
        together = Barrier(_CLAIMANTS)
        with ThreadPoolExecutor(_CLAIMANTS) as threads:
            claims = [threads.submit(_claims, *each, scope, together) for each in zip(worlds, runs, strict=True)]
            won = [run for run, claim in zip(runs, claims, strict=True) if claim.result()]
        expect_equal(won, [worlds[0].owner(scope)], "the runs whose claim succeeded, and the owner")


def _claims(world: World, run: UUID, scope: Scope, together: Barrier) -> bool:
    """Claim ``scope`` when all are ready to; whether that was granted."""
    together.wait(patience.get())
    with suppress(WorldShared):
        return world.claim_scope(scope, run)
    return False


@suite.check
def a_foreign_scope_is_not_restored(subject: WorldSubject) -> None:
    """WO-13: a restore on behalf of another run, or of none, is WorldShared when one scope of the checkpoint has an
    owner; no scope has changed, and nothing was written."""
    world = subject.world()
    for number, name in ((1, "first"), (2, "second")):
        for scope in (HOME, ELSEWHERE):
            put(subject, number, scope)
        world.checkpoint(name, [HOME, ELSEWHERE])
    world.claim_scope(ELSEWHERE, RUN)
    target = world.find("first")
    for run in (OTHER_RUN, None):
        acts: list[Callable[[], object]] = [
            partial(world.restore, "first", run=run),
            lambda run=run: subject.store.run(lambda tx: begin_restore(tx, target, run=run)),  # type: ignore[misc]
        ]
        for act in acts:
            error = expect_refused(subject, WorldShared, f"a restore on behalf of {run}", act)
            expect_equal(error.owner, str(RUN), "the owner, as the error names it")
    world.restore("first", run=RUN)
    for scope in (HOME, ELSEWHERE):
        expect_state(subject, 1, f"the scope {scope}, restored by the owner of one", scope)
    world.release_scope(ELSEWHERE, RUN)
    world.restore("second")
    expect_state(subject, 2, "a scope that was released, restored by anybody", ELSEWHERE)


@suite.check
def nobody_claims_what_is_being_restored(subject: WorldSubject) -> None:
    """WO-13: a scope is not claimed while a restore may yet change it: no run's state is rewound by another one."""
    world = two_checkpoints(subject)
    intend(subject)
    expect_raises(
        RestorePending,
        "a claim within a transaction",
        lambda: subject.store.run(lambda tx: claim_scope(tx, NAME, HOME, OTHER_RUN)),
    )
    world.claim_scope(HOME, OTHER_RUN)
    expect_state(subject, 1, "the state that the new owner finds")
    put(subject, 3)
    subject.world()
    expect_state(subject, 3, "the state that the new owner made")


@suite.check
def runs_are_ids(subject: WorldSubject) -> None:
    """WO-13: a run is an id, as a UUID or its text alike; anything else is refused."""
    world = two_checkpoints(subject)
    world.claim_scope(HOME, str(RUN))  # type: ignore[arg-type]
    expect_equal(world.owner(HOME), RUN, "the owner")
    world.restore("first", run=str(RUN))  # type: ignore[arg-type]
    unfit: list[Any] = ["me", "", 5, UUID(int=0)]
    for wrong in unfit:
        acts: list[Callable[[], object]] = [
            partial(world.restore, "first", run=wrong),
            partial(world.claim_scope, ELSEWHERE, wrong),
            partial(world.release_scope, HOME, wrong),
            partial(world.fork_scope, HOME, ELSEWHERE, wrong),
        ]
        for act in acts:
            expect_refused(subject, InvalidId, f"the run {wrong!r}", act)
