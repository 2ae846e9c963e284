"""Checks of checkpoints that are tied to a run's moments: WO-10."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID, uuid4

from holdfast.errors import InvalidInput
from holdfast.testing.checkpoints.samples import (
    OTHER_RUN,
    RUN,
    both,
    expect_refused,
    found,
    held,
    put,
    suite,
)
from holdfast.testing.checkpoints.subject import WorldSubject
from holdfast.testing.conformance import expect_equal
from holdfast.worlds import Moment
from holdfast.worlds.checkpoints import SqlCheckpoints


def supersede(subject: WorldSubject, run: UUID, position: int) -> int:
    """Mark what rewinding ``run`` to ``position`` undoes."""
    return subject.store.run(lambda tx: SqlCheckpoints(tx).supersede(Moment(run, position)))


@suite.check
def the_last_one_at_or_before_a_moment_is_found(subject: WorldSubject) -> None:
    """WO-10: a run's moment finds its last checkpoint at or before it, of this world and run, in any order taken."""
    world = subject.world()
    for step in (4, 2, 6):
        world.checkpoint(f"at-{step}", flow=RUN, step=step)
    world.checkpoint("wave-3", run=OTHER_RUN, wave=3)
    subject.world("another").checkpoint("elsewhere", flow=RUN, step=5)
    world.checkpoint("untied")
    for position, name in {0: None, 1: None, 2: "at-2", 3: "at-2", 4: "at-4", 5: "at-4", 6: "at-6", 99: "at-6"}.items():
        expect_equal(found(world.find_at(RUN, position)), name, f"what is found at {position}")
    expect_equal([found(world.find_at(OTHER_RUN, wave)) for wave in (2, 3)], [None, "wave-3"], "the other run's")
    expect_equal(found(world.find_at(uuid4(), 99)), None, "what is found of a run that took none")
    put(subject, 1)
    world.checkpoint("at-4-again", flow=RUN, step=4)
    at_four = world.find_at(RUN, 4)
    expect_equal(found(at_four), "at-4-again", "the later one of two at one moment")
    expect_equal(at_four and held(world, at_four), both(1), "what it holds")


@suite.check
def what_was_undone_is_not_found(subject: WorldSubject) -> None:
    """WO-10: checkpoints after the moment that a run was rewound to are not found any more; those taken since are."""
    world = subject.world()
    for step in (1, 2, 3):
        world.checkpoint(f"at-{step}", flow=RUN, step=step)
        world.checkpoint(f"wave-{step}", run=OTHER_RUN, wave=step)
    expect_equal(supersede(subject, RUN, 1), 2, "how many were undone")
    expect_equal(found(world.find_at(RUN, 99)), "at-1", "what is found after the run was rewound")
    expect_equal(found(world.find_at(OTHER_RUN, 99)), "wave-3", "what is found of another run")
    world.checkpoint("at-3-anew", flow=RUN, step=3)
    expect_equal(
        [found(world.find_at(RUN, step)) for step in (1, 2, 3)], ["at-1", "at-1", "at-3-anew"], "after it went on"
    )
    expect_equal(supersede(subject, RUN, 0), 2, "how many were undone by the second time")
    expect_equal(found(world.find_at(RUN, 99)), None, "what is found before all of them")
    expect_equal(world.find("at-1").superseded, True, "whether what was undone can be told, and had by name")


@suite.check
def a_run_that_was_rewound_names_its_checkpoints_anew(subject: WorldSubject) -> None:
    """WO-10: a superseded checkpoint's name is free: a run that was rewound does again what it did."""
    world = subject.world()
    for number in (1, 2, 3):
        put(subject, number)
        old = world.checkpoint("wave-2", run=RUN, wave=2)
        expect_equal(held(world, "wave-2"), both(number), "the checkpoint of that name")
        supersede(subject, RUN, 1)
        expect_equal(held(world, old.id), both(number), "the superseded one, by its id")
    put(subject, 4)
    world.checkpoint("wave-2")
    expect_equal(held(world, "wave-2"), both(4), "the one of that name that was not undone")


@suite.check
def moments_that_cannot_be_are_refused(subject: WorldSubject) -> None:
    """WO-10: half a moment, two of them, or a step that cannot be is refused."""
    world = subject.world()
    wrongs: list[dict[str, Any]] = [
        {"flow": RUN},
        {"step": 1},
        {"flow": RUN, "wave": 1},
        {"flow": RUN, "step": 1, "run": RUN, "wave": 1},
        {"flow": RUN, "step": -1},
        {"flow": RUN, "step": 1 << 70},
        {"flow": RUN, "step": True},
        {"flow": RUN, "step": "1"},
        {"run": "me", "wave": 0},
        {"run": UUID(int=0), "wave": 0},
    ]
    for wrong in wrongs:
        expect_refused(subject, InvalidInput, f"a checkpoint of {wrong}", partial(world.checkpoint, **wrong))
