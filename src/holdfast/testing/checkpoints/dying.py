"""Checks of restores whose process dies: WO-10."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import TypeVar

from holdfast.audit import SqlAuditLog
from holdfast.store import Store, Unit
from holdfast.store.database import Work
from holdfast.testing.checkpoints.samples import (
    ELSEWHERE,
    OTHER_RUN,
    RUN,
    both,
    expect_state,
    expect_whole,
    held,
    put,
    state,
    suite,
    two_checkpoints,
    values,
)
from holdfast.testing.checkpoints.services import Alpha, Refusing
from holdfast.testing.checkpoints.subject import HOME, NAME, WorldSubject
from holdfast.testing.conformance import expect, expect_equal, expect_raises
from holdfast.testing.crash.fuse import Fuse, Killed, rehearse
from holdfast.worlds import Checkpoint, World
from holdfast.worlds.checkpoints import SqlCheckpoints
from holdfast.worlds.errors import CheckpointInUse, RestorePending, RestoreStuck
from holdfast.worlds.restoring import Pending, abandon_restore, begin_restore

R = TypeVar("R")


class MortalStore(Store):
    """Another handle of a store, that of a process which dies at a chosen write point: before or after a unit."""

    def __init__(self, store: Store, fuse: Fuse) -> None:
        self.clock = store.clock
        self.backend = store.backend
        self._store = store
        self._fuse = fuse

    def run(self, work: Work[R], *, actor: str = "system", idempotent: bool = False) -> R:
        self._fuse("before a unit")
        result = self._store.run(work, actor=actor, idempotent=idempotent)
        self._fuse("after a unit")
        return result

    def read(self, work: Work[R]) -> R:
        self._refuse_the_dead()
        return self._store.read(work)

    def submit(self, unit: Unit, *, reading: bool = False) -> None:
        self._refuse_the_dead()
        self._store.submit(unit, reading=reading)

    def refuse_nested(self) -> None:
        self._store.refuse_nested()

    def _refuse_the_dead(self) -> None:
        if self._fuse.where:
            raise Killed("The process was killed.")


def dies(subject: WorldSubject, point: int, act: Callable[[World], object]) -> bool:
    """Do ``act`` with a world whose process dies at that write point; whether it had so many."""
    fuse = Fuse(point, rehearse)
    with suppress(Killed):
        act(subject.world(store=MortalStore(subject.store, fuse)))
    return fuse.where is not None


def intend(subject: WorldSubject, name: str = "first") -> Pending:
    """Write the intent of a restore, as rewinding a run does in its transaction."""
    target = subject.world().find(name)
    return subject.store.run(lambda tx: begin_restore(tx, target, run=RUN), actor="ann")


def audited(subject: WorldSubject) -> list[str]:
    """Who restored, newest first."""
    return [row.actor for row in subject.store.read(lambda tx: SqlAuditLog(tx).list()).items]


def newest(world: World) -> Checkpoint:
    """The checkpoint taken last."""
    return world.checkpoints(limit=1).items[0]


@suite.check
def a_restore_that_died_is_carried_out(subject: WorldSubject) -> None:
    """WO-10: wherever a restore dies, whoever comes next finds all as before or carries it out; it is never a mixture,
    and what was there is kept whole and audited once."""
    two_checkpoints(subject)
    for point in count(1):
        put(subject, 2)
        restores = len(audited(subject))
        died = dies(subject, point, lambda world: world.restore("first"))
        torn = state(subject) not in ((values(1),) * 2, (values(2),) * 2)
        reopened = subject.world()
        expect_whole(subject, (1,) if torn or not died else (1, 2), f"after the death at point {point}")
        began = state(subject)[0] == values(1)
        expect_equal(len(audited(subject)), restores + began, f"restores audited, after the death at point {point}")
        if began:
            expect_equal(held(reopened, newest(reopened)), both(2), f"what was there, at the death at point {point}")
        if not died:
            return


@suite.check
def a_restore_that_dies_again_is_carried_out(subject: WorldSubject) -> None:
    """WO-10: an intent that a run's rewinding wrote is carried out, wherever those who do so die, and on its behalf."""
    two_checkpoints(subject)
    for point in count(1):
        put(subject, 2)
        intend(subject)
        died = dies(subject, point, lambda world: world)
        reopened = subject.world()
        expect_state(subject, 1, f"the state after the death at point {point}")
        expect_equal(held(reopened, newest(reopened)), both(2), f"what was there, at the death at point {point}")
        expect_equal(audited(subject), ["ann"] * point, "who restored")
        if not died:
            return


@suite.check
def whatever_is_asked_comes_after_the_restore(subject: WorldSubject) -> None:
    """WO-10: also a world that is open carries a restore out before it answers."""
    open_already = two_checkpoints(subject)
    asks: list[Callable[[], object]] = [
        open_already.recover,
        open_already.snapshot,
        open_already.checkpoint,
        open_already.capture,
        lambda: open_already.diff("first"),
        lambda: open_already.preview("first"),
        lambda: open_already.restore("first"),
        lambda: open_already.claim_scope(HOME, RUN),
    ]
    for ask in asks:
        put(subject, 2)
        intend(subject)
        ask()
        expect_state(subject, 1, "the state after something was asked")


@suite.check
def a_pending_restore_is_protected(subject: WorldSubject) -> None:
    """WO-10: beside a restore that has not ended no other begins, and what it needs is not forgotten."""
    world = two_checkpoints(subject)
    first, second = world.find("first"), world.find("second")
    pending = intend(subject)
    expect_equal(pending.checkpoint, first.id, "what is to be restored")
    expect_raises(RestorePending, "another intent", lambda: subject.store.run(lambda tx: begin_restore(tx, second)))
    expect_raises(
        CheckpointInUse, "forgetting its target", lambda: subject.store.run(lambda tx: SqlCheckpoints(tx).delete(first))
    )
    subject.world().restore("second")
    expect_equal(len(audited(subject)), 2, "how many were carried out, one after the other")
    expect_state(subject, 2, "the state after both")


@suite.check
def a_restore_that_cannot_be_is_given_up(subject: WorldSubject) -> None:
    """WO-10: an intent that a service refuses changes nothing and says so, until it is given up."""
    two_checkpoints(subject)
    intend(subject)
    choosy = [Alpha(subject.store, "a"), Refusing(subject.store, "b")]
    expect_raises(RestoreStuck, "opening it", lambda: subject.world(services=choosy))
    expect_state(subject, 2, "the state after a service refused")
    given_up = abandon_restore(subject.store, NAME, actor="eve")
    expect(given_up is not None, "nothing was given up")
    expect_equal(abandon_restore(subject.store, NAME), None, "what is given up the second time")
    subject.world(services=choosy)
    expect_state(subject, 2, "the state after it was given up")
    expect_equal(audited(subject), ["eve"], "who gave it up")


@suite.check
def a_checkpoint_that_died_is_there_or_not(subject: WorldSubject) -> None:
    """WO-10: a checkpoint whose process dies is there entirely, or not at all and can be taken again."""
    for point in count(1):
        put(subject, point)
        name = f"c{point}"
        died = dies(subject, point, lambda world, name=name: world.checkpoint(name))  # type: ignore[misc]
        world = subject.world()
        if all(taken.name != name for taken in world.checkpoints().items):
            expect(died, "the checkpoint was taken, and is not there")
            world.checkpoint(name)
        expect_equal(held(world, name), both(point), f"the checkpoint that died at point {point}")
        if not died:
            return


@suite.check
def a_fork_that_died_is_made_again(subject: WorldSubject) -> None:
    """WO-13: wherever a fork dies, its copy is nobody's and empty, or the run's and whole; asking again makes it."""
    two_checkpoints(subject)
    for point in count(1):
        died = dies(subject, point, lambda world: world.fork_scope(HOME, ELSEWHERE, OTHER_RUN))
        world = subject.world()
        owner = world.owner(ELSEWHERE)
        expect(owner in (None, OTHER_RUN) and (died or owner is not None), f"the copy is {owner}'s")
        expect_state(subject, 2 if owner else 0, f"the copy after the death at point {point}", ELSEWHERE)
        world.fork_scope(HOME, ELSEWHERE, OTHER_RUN)
        expect_state(subject, 2, f"the copy that was made again after the death at point {point}", ELSEWHERE)
        expect_equal(world.owner(ELSEWHERE), OTHER_RUN, "whose it is")
        if not died:
            return
        put(subject, 0, ELSEWHERE)
        world.release_scope(ELSEWHERE, OTHER_RUN)
