"""Checks of what several processes do with one world at a time: WO-10."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from holdfast.testing.checkpoints.dying import audited
from holdfast.testing.checkpoints.samples import (
    RUN,
    both,
    expect_state,
    expect_whole,
    held,
    put,
    suite,
    two_checkpoints,
)
from holdfast.testing.checkpoints.services import Alpha, Beta, Gate, Interrupted
from holdfast.testing.checkpoints.subject import NAME, WorldSubject
from holdfast.testing.conformance import expect, expect_equal, expect_raises, patience
from holdfast.worlds import Moment
from holdfast.worlds.errors import RestoreLost, RestorePending
from holdfast.worlds.restoring import take_over


@suite.check
def the_second_is_refused_or_waits(subject: WorldSubject) -> None:
    """WO-10: while one restores, others who will not wait are RestorePending, and none sees the state in between; those
    who wait come after it."""
    two_checkpoints(subject)
    gate = Gate(patience.get())
    impatient = subject.world(seconds=0)
    slow = subject.world(services=[Alpha(subject.store, "a"), Interrupted(subject.store, "beta", restoring=gate)])
    with ThreadPoolExecutor() as threads:
        first = threads.submit(slow.restore, "first")
        try:
            expect(gate.reached.wait(patience.get()), "the restore did not begin")
            asks: list[Callable[[], object]] = [
                partial(subject.world, seconds=0),
                impatient.snapshot,
                impatient.checkpoint,
                partial(impatient.restore, "second"),
                partial(impatient.claim_scope, ("a", "b"), RUN),
            ]
            for ask in asks:
                expect_raises(RestorePending, "who will not wait", ask)
            waiting = threads.submit(lambda: subject.world().snapshot())
        finally:
            gate.opened.set()
        first.result()
        seen = {part: len(view.resources) for part, view in waiting.result().items()}
    expect_equal(set(seen.values()), {3}, "how many values each service has, to who waited")
    expect_state(subject, 1, "the state after the restore")
    expect_equal(len(audited(subject)), 1, "how many restores there were")


@suite.check
def restores_never_mix(subject: WorldSubject) -> None:
    """WO-10: of restores by several processes at once, each is whole and comes before or after each other."""
    two_checkpoints(subject)
    names = ["first", "second"] * 2
    with ThreadPoolExecutor(len(names)) as threads:
        for done in [threads.submit(lambda wanted=name: subject.world().restore(wanted)) for name in names]:  # type: ignore[misc]
            done.result()
    expect_whole(subject, (1, 2), "after restores by several processes")
    world = subject.world()
    for taken in world.checkpoints(limit=len(names)).items:
        expect(held(world, taken) in (both(1), both(2)), "what was there before one of them is a mixture")
    expect_equal(len(audited(subject)), len(names), "how many restores there were")


@suite.check
def who_lost_a_restore_goes_no_further(subject: WorldSubject) -> None:
    """WO-10: who finds that another process took the restore over (RestoreLost) restores no further service, and does
    not end it; the other one does."""
    two_checkpoints(subject)
    robbing = partial(subject.store.run, lambda tx: take_over(tx, NAME))
    robbed = [Interrupted(subject.store, "alpha", restoring=robbing), Beta(subject.store, "b")]
    world = subject.world(services=robbed)
    expect_raises(RestoreLost, "who lost it", lambda: world.restore("first"))
    expect_equal(audited(subject), [], "what is audited of a restore that has not ended")
    subject.world()
    expect_state(subject, 1, "the state after the other one carried it out")
    expect_equal(len(audited(subject)), 1, "how many restores there were")


@suite.check
def a_checkpoint_is_of_one_time(subject: WorldSubject) -> None:
    """WO-10: a checkpoint in whose midst another process restores is taken anew: never of two times."""
    other = two_checkpoints(subject)
    overtaken = Interrupted(subject.store, "beta", capturing=lambda: other.restore("first"))
    world = subject.world(services=[Alpha(subject.store, "a"), overtaken])
    world.checkpoint("third")
    expect_equal(held(other, "third"), both(1), "the checkpoint")
    put(subject, 2)
    overtaken = Interrupted(subject.store, "beta", capturing=lambda: other.restore("first"))
    seen = subject.world(services=[Alpha(subject.store, "a"), overtaken]).snapshot()
    numbers = {view.resources["number"].value for view in seen.values()}
    expect_equal(numbers, {1}, "the numbers in a snapshot that was overtaken")


@suite.check
def a_capture_is_not_written_after_a_restore(subject: WorldSubject) -> None:
    """WO-10: what was captured before a restore does not become a checkpoint after it, whose moment would lie."""
    world = two_checkpoints(subject)
    late, other = world.capture(), subject.world()
    other.restore("first")
    before = world.checkpoints().items
    expect_raises(RestorePending, "a late capture", lambda: subject.store.run(lambda tx: late.write(tx, name="late")))
    expect_equal(world.checkpoints().items, before, "the checkpoints")
    timely = world.capture()
    subject.store.run(lambda tx: timely.write(tx, moment=Moment(RUN, 3)))
    tied = world.find_at(RUN, 3)
    expect_equal(tied and held(world, tied), both(1), "what was captured in time, tied to its moment")
