"""Checks of checkpoints and of undisturbed restores: WO-10."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import uuid4

from holdfast.audit import SqlAuditLog
from holdfast.testing.checkpoints.samples import (
    AWAY,
    ELSEWHERE,
    both,
    everything,
    expect_refused,
    expect_state,
    found,
    held,
    put,
    suite,
    two_checkpoints,
)
from holdfast.testing.checkpoints.services import Alpha, Refusing
from holdfast.testing.checkpoints.subject import HOME, WorldSubject
from holdfast.testing.conformance import expect, expect_equal, expect_raises
from holdfast.worlds.errors import (
    CheckpointExists,
    CheckpointNotFound,
    InvalidScope,
    MissingBlob,
    UnknownService,
)

BAD_NAMES = ("", "a/b", "-x", "x" * 65, "a\0", "\ud800", str(uuid4()))


@suite.check
def services_and_scopes_come_back_together(subject: WorldSubject) -> None:
    """WO-10: a restore brings all services and scopes of the checkpoint back, those that were empty too."""
    world = subject.world()
    put(subject, 1)
    world.checkpoint("first", [HOME, ELSEWHERE])
    put(subject, 2)
    put(subject, 3, ELSEWHERE)
    world.checkpoint("second", [HOME, ELSEWHERE])
    for name, here, there in (("first", 1, 0), ("second", 2, 3), ("first", 1, 0)):
        expect_equal(world.restore(name).checkpoint, world.find(name), "the checkpoint that was restored")
        expect_state(subject, here, f"the first scope, restored to {name}")
        expect_state(subject, there, f"the second scope, restored to {name}", ELSEWHERE)


@suite.check
def other_scopes_are_left_alone(subject: WorldSubject) -> None:
    """WO-10: a restore touches no scope that the checkpoint does not hold, be it one that the world uses."""
    world = two_checkpoints(subject)
    put(subject, 4, ELSEWHERE)
    put(subject, 5, AWAY)
    world.checkpoint("all", [HOME, ELSEWHERE, AWAY])
    world.restore("first")
    for number, scope in ((1, HOME), (4, ELSEWHERE), (5, AWAY)):
        expect_state(subject, number, f"the scope {scope}", scope)


@suite.check
def what_was_there_is_kept(subject: WorldSubject) -> None:
    """WO-10: a restore keeps what was there as a checkpoint, whose restore undoes it; each is audited once."""
    world = two_checkpoints(subject)
    put(subject, 3)
    done = world.restore("first", run=uuid4(), actor="ann")
    expect_equal(held(world, done.before), both(3), "what was there, as it was kept")
    expect_equal(world.find(done.before.id), done.before, "it, by its id")
    world.restore(done.before.id)
    expect_state(subject, 3, "the state after the restore was undone")
    rows = subject.store.read(lambda tx: SqlAuditLog(tx).list()).items
    wanted = [("world.restored", "system"), ("world.restored", "ann")]
    expect_equal([(row.act, row.actor) for row in rows], wanted, "what was audited, newest first")


@suite.check
def checkpoints_do_not_change(subject: WorldSubject) -> None:
    """WO-10: a checkpoint holds what was there when it was taken, whatever comes later, or is forgotten."""
    world = two_checkpoints(subject)
    world.checkpoint("again")
    world.forget("second")
    put(subject, 3)
    expect_equal(held(world, "first"), both(1), "the first checkpoint")
    expect_equal(held(subject.world(), "again"), both(2), "another one, equal to one that was forgotten")
    expect_equal(bool(world.diff("first", "again")), True, "whether they differ")
    world.restore("again")
    expect_equal(bool(world.diff("again")), False, "whether a world that was restored differs from the checkpoint")


@suite.check
def names_are_unique_within_a_world(subject: WorldSubject) -> None:
    """WO-10: a name that is taken is CheckpointExists, in this world alone; forgetting frees it."""
    world = two_checkpoints(subject)
    put(subject, 3)
    expect_refused(subject, CheckpointExists, "a name that is taken", lambda: world.checkpoint("first"))
    expect_equal(held(world, "first"), both(1), "the checkpoint that had the name")
    subject.world("another").checkpoint("first")
    expect_equal(held(world, "first"), both(1), "the checkpoint beside another world's of its name")
    world.forget("first")
    world.checkpoint("first")
    expect_equal(held(world, "first"), both(3), "the checkpoint that took the free name")


@suite.check
def what_is_not_there_is_not_found(subject: WorldSubject) -> None:
    """WO-10: an unknown name or id is CheckpointNotFound for every operation, and so is another world's checkpoint."""
    world = two_checkpoints(subject)
    other = subject.world("another").checkpoint("elsewhere")
    before = everything(subject)
    for wanted in ("nothing", *BAD_NAMES, uuid4(), other, other.id, str(other.id), "elsewhere"):
        for ask in (world.find, world.views, world.diff, world.preview, world.restore, world.forget):
            expect_raises(CheckpointNotFound, f"{ask.__name__}({wanted!r})", partial(ask, wanted))
    expect_equal(everything(subject), before, "all there is")


@suite.check
def bad_names_are_refused(subject: WorldSubject) -> None:
    """WO-10: a name that cannot be one, or that could be taken for an id, is InvalidScope."""
    world = subject.world()
    for name in BAD_NAMES:
        expect_refused(subject, InvalidScope, f"the checkpoint {name!r}", partial(world.checkpoint, name))
    unfit: list[Any] = [*BAD_NAMES[:-1], None, 5]
    for name in unfit:
        expect_raises(InvalidScope, f"the world {name!r}", partial(subject.make, subject.store, name, []))
    unfit = [("a",), "ab", ("a", "b", "c"), ("a", "/"), (1, 2), None]
    for scope in unfit:
        expect_refused(subject, InvalidScope, f"the scope {scope!r}", partial(world.checkpoint, None, [scope]))


@suite.check
def what_cannot_be_restored_is_not_begun(subject: WorldSubject) -> None:
    """WO-10: when one service is not there, or would not take its view, no service is restored."""
    two_checkpoints(subject)
    part = subject.world(services=[Alpha(subject.store, "a")])
    expect_refused(subject, UnknownService, "a restore without a service", lambda: part.restore("first"))
    choosy = subject.world(services=[Alpha(subject.store, "a"), Refusing(subject.store, "b")])
    expect_refused(subject, MissingBlob, "a restore that a service refuses", lambda: choosy.restore("first"))


@suite.check
def lists_are_newest_first(subject: WorldSubject) -> None:
    """WO-10: the list of a world's checkpoints is newest first and paged; nothing of other worlds is in it."""
    world, other = subject.world(), subject.world("another")
    names = [f"c{number}" for number in range(5)]
    for name in names:
        world.checkpoint(name)
        other.checkpoint(f"not-{name}")
    seen: list[str | None] = []
    page = world.checkpoints(limit=2)
    while True:
        expect(len(page.items) <= 2, "a page is longer than was asked for")
        seen += map(found, page.items)
        if page.next is None:
            break
        page = world.checkpoints(limit=2, after=page.next)
    expect_equal(seen, names[::-1], "the checkpoints, page by page")
    expect_equal(list(map(found, world.checkpoints().items)), names[::-1], "all of them")
    expect_raises(ValueError, "a negative limit", lambda: world.checkpoints(limit=-1))
    expect_raises(ValueError, "a malformed cursor", lambda: world.checkpoints(after="x"))


@suite.check
def looking_changes_nothing(subject: WorldSubject) -> None:
    """WO-10: opening, listing, comparing and previewing change nothing."""
    world = two_checkpoints(subject)
    before = everything(subject)
    subject.world().recover()
    world.checkpoints()
    world.diff("first")
    world.preview("first")
    world.snapshot()
    expect_equal(everything(subject), before, "all there is")
