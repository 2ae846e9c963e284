"""Checks of forks: WO-13."""

from __future__ import annotations

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
from holdfast.testing.checkpoints.subject import HOME, WorldSubject
from holdfast.testing.conformance import expect, expect_equal
from holdfast.worlds.errors import CheckpointNotFound, InvalidScope, ScopeInUse, WorldShared


@suite.check
def a_fork_has_a_copy_of_its_own(subject: WorldSubject) -> None:
    """WO-13: a fork gets a copy in a scope that is its own; the source stays whose it was."""
    world = two_checkpoints(subject)
    world.claim_scope(HOME, RUN)
    expect(world.fork_scope(HOME, ELSEWHERE, OTHER_RUN) is not None, "nothing was copied")
    for scope in (HOME, ELSEWHERE):
        expect_state(subject, 2, f"the scope {scope}", scope)
    expect_equal((world.owner(HOME), world.owner(ELSEWHERE)), (RUN, OTHER_RUN), "the owners")
    put(subject, 3, ELSEWHERE)
    expect_equal(world.fork_scope(HOME, ELSEWHERE, OTHER_RUN), None, "asking again")
    expect_state(subject, 3, "the copy after asking again", ELSEWHERE)


@suite.check
def changes_on_either_side_do_not_show_on_the_other(subject: WorldSubject) -> None:
    """WO-13: neither clients' changes nor restores of one side touch the other."""
    world = two_checkpoints(subject)
    world.claim_scope(HOME, RUN)
    world.fork_scope(HOME, ELSEWHERE, OTHER_RUN)
    world.checkpoint("copied", [ELSEWHERE])
    put(subject, 3)
    expect_state(subject, 2, "the copy after the source was changed", ELSEWHERE)
    put(subject, 4, ELSEWHERE)
    expect_state(subject, 3, "the source after the copy was changed")
    world.restore("first", run=RUN)
    expect_state(subject, 1, "the source, restored")
    expect_state(subject, 4, "the copy after the source was restored", ELSEWHERE)
    world.restore("copied", run=OTHER_RUN)
    expect_state(subject, 2, "the copy, restored", ELSEWHERE)
    expect_state(subject, 1, "the source after the copy was restored")
    expect_refused(subject, WorldShared, "the fork, on the source", lambda: world.restore("first", run=OTHER_RUN))
    expect_refused(subject, WorldShared, "the source, on the fork", lambda: world.restore("copied", run=RUN))


@suite.check
def a_fork_can_be_of_an_earlier_time(subject: WorldSubject) -> None:
    """WO-13: of a checkpoint, the copy is what the source was then; the source stays what it is."""
    world = two_checkpoints(subject)
    put(subject, 3)
    world.fork_scope(HOME, ELSEWHERE, OTHER_RUN, checkpoint="first")
    expect_state(subject, 1, "the copy", ELSEWHERE)
    expect_state(subject, 3, "the source")


@suite.check
def a_copy_overwrites_nothing(subject: WorldSubject) -> None:
    """WO-13: a copy is made in a scope that is empty (ScopeInUse), no other run's (WorldShared), and not the source;
    of what is not there, none is made."""
    world = two_checkpoints(subject)
    put(subject, 5, ELSEWHERE)
    expect_refused(
        subject, ScopeInUse, "a copy over what is there", lambda: world.fork_scope(HOME, ELSEWHERE, OTHER_RUN)
    )
    world.claim_scope(AWAY, RUN)
    expect_refused(subject, WorldShared, "a copy in another's scope", lambda: world.fork_scope(HOME, AWAY, OTHER_RUN))
    world.claim_scope(HOME, OTHER_RUN)
    expect_refused(subject, InvalidScope, "a copy in the source", lambda: world.fork_scope(HOME, HOME, OTHER_RUN))
    expect_refused(
        subject,
        InvalidScope,
        "a copy of what the checkpoint has not",
        lambda: world.fork_scope(ELSEWHERE, AWAY, RUN, checkpoint="first"),
    )
    expect_refused(
        subject,
        CheckpointNotFound,
        "a copy of no checkpoint",
        lambda: world.fork_scope(HOME, AWAY, RUN, checkpoint="nothing"),
    )
