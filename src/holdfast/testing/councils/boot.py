"""Checks of what becomes of runs whose process died: CO-7."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from holdfast.councils import RunStatus
from holdfast.councils.errors import RunHeld
from holdfast.flows.errors import LeaseLost
from holdfast.testing.conformance import expect, expect_equal
from holdfast.testing.councils.leases import CouncilPorts
from holdfast.testing.councils.samples import (
    Councils,
    add_run,
    append,
    begin_lease,
    caught,
    diamond,
    end_lease,
    live,
    make_run,
    mark,
    move,
    moving,
    planning,
    present,
    rewind,
    rewinding,
    suite,
)

_THREADS = 4
_FLEET = 1500
_UNHEARD_OF = 1 << 40
"""An epoch that no worker ever had."""


@suite.check
def runs_of_the_dead_are_interrupted(units: Councils) -> None:
    """CO-7: a run left running by a lease that is over becomes interrupted and free, and an ``interrupted`` event of
    no wave says so; the answer is the number of runs marked, and nothing else of them changes."""
    dead = [begin_lease(units), begin_lease(units)]
    runs = [add_run(units, epoch=epoch, graph=diamond(output=epoch)) for epoch in (*dead, dead[0])]
    for run in runs:
        append(units, run.id, "kind", {}, 1)
    for epoch in dead:
        end_lease(units, epoch)
    expect_equal(mark(units), 3, "the number marked")
    for run in runs:
        now = present(units, run.id)
        expect(now.updated_at > run.updated_at, "being marked moves updated_at")
        wanted = replace(run, status=RunStatus.INTERRUPTED, epoch=None, updated_at=now.updated_at)
        expect_equal(now, wanted, "the run that was left behind")
        told = [(event.seq, event.kind, event.wave_index, event.payload) for event in live(units, run.id)]
        expect_equal(told, [(1, "kind", 1, {}), (2, "interrupted", None, {"epoch": run.epoch})], "its events")


@suite.check
def living_runs_are_left_alone(units: Councils) -> None:
    """CO-7: a run whose lease is alive is never touched, whoever else died."""
    living, dying = begin_lease(units), begin_lease(units)
    left = add_run(units, epoch=dying)
    kept = [add_run(units, epoch=living), add_run(units, status=RunStatus.INTERRUPTED)]
    kept[1] = move(units, kept[1].id, RunStatus.RUNNING, living)
    rewound = add_run(units, epoch=dying, status=RunStatus.COMPLETED)
    rewind(units, rewound.id, None, living)
    kept.append(present(units, rewound.id))
    expect_equal(mark(units), 0, "the number marked while all are alive")
    end_lease(units, dying)
    expect_equal(mark(units), 1, "the number marked once one died")
    expect_equal([present(units, run.id) for run in kept], kept, "the runs of the living")
    expect_equal(present(units, left.id).status, RunStatus.INTERRUPTED, "the run of the dead")
    end_lease(units, living)
    expect_equal(mark(units), 3, "the number marked once the other died")


@suite.check
def runs_without_a_lease_are_left_behind(units: Councils) -> None:
    """CO-7: a run that is running without a lease, or under one that nobody knows, counts as left behind."""
    begin_lease(units)
    runs = [add_run(units), add_run(units, epoch=_UNHEARD_OF), add_run(units, status=RunStatus.FAILED)]
    rewind(units, runs[2].id, 0)
    expect_equal(mark(units), 3, "the number marked")
    found = [present(units, run.id).status for run in runs]
    expect_equal(found, [RunStatus.INTERRUPTED] * 3, "what became of them")


@suite.check
def others_are_not_interrupted(units: Councils) -> None:
    """CO-7: what is not running is not touched: nobody has to be alive for a run that waits for approval."""
    dead = begin_lease(units)
    runs = [add_run(units, status=status) for status in RunStatus if status is not RunStatus.RUNNING]
    waiting = add_run(units, epoch=dead)
    runs.append(move(units, waiting.id, RunStatus.AWAITING_APPROVAL))
    end_lease(units, dead)
    expect_equal(mark(units), 0, "the number marked")
    expect_equal([present(units, run.id) for run in runs], runs, "the runs that were not running")
    expect_equal([live(units, run.id) for run in runs], [[]] * len(runs), "their events")


@suite.check
def who_lost_a_lease_changes_nothing(units: Councils) -> None:
    """CO-7: a worker whose run was marked and taken up by another, or rewound by another, changes neither its status
    nor its graph: RunHeld; its holder does, and so does somebody who is no worker."""
    stale, holder = begin_lease(units), begin_lease(units)
    marked, rewound = (add_run(units, epoch=stale, graph=diamond()) for _ in range(2))
    end_lease(units, stale)
    rewind(units, rewound.id, 0, holder)
    expect_equal(mark(units), 1, "the number marked")
    move(units, marked.id, RunStatus.RUNNING, holder)
    for run_id in (marked.id, rewound.id):
        before = present(units, run_id)
        for status in RunStatus:
            error = units.run(caught(RunHeld, f"{status} by a stale worker", moving(run_id, status, stale)))
            expect_equal((error.run_id, error.epoch), (run_id, holder), "what RunHeld names")
        units.run(caught(RunHeld, "a graph by a stale worker", planning(run_id, diamond(output=1), stale)))
        expect_equal(present(units, run_id), before, "the run that a stale worker would change")
        for epoch in (holder, None):
            units.run(planning(run_id, diamond(output=epoch), epoch))
            expect_equal(present(units, run_id).graph, diamond(output=epoch), "the graph of its holder")
    expect_equal(move(units, marked.id, RunStatus.COMPLETED, holder).status, RunStatus.COMPLETED, "by its holder")
    expect_equal(move(units, rewound.id, RunStatus.CANCELLED).status, RunStatus.CANCELLED, "by a person")


@suite.check
def the_dead_take_nothing_up(units: Councils) -> None:
    """CO-7: a worker whose lease is over takes no run up, and changes none of those it had that are not marked yet:
    LeaseLost, nothing is written."""
    epoch = begin_lease(units)
    runs = [add_run(units, epoch=epoch, graph=diamond()), add_run(units, status=RunStatus.INTERRUPTED)]
    end_lease(units, epoch)
    held, free = (run.id for run in runs)
    for over in (epoch, _UNHEARD_OF):
        units.run(caught(LeaseLost, "taking a run up", moving(free, RunStatus.RUNNING, over)))
        units.run(caught(LeaseLost, "rewinding", rewinding(held, 0, over)))
    units.run(caught(LeaseLost, "completing", moving(held, RunStatus.COMPLETED, epoch)))
    units.run(caught(LeaseLost, "changing a graph", planning(held, diamond(output=1), epoch)))
    expect_equal([present(units, run.id) for run in runs], runs, "the runs")
    expect_equal([live(units, run.id) for run in runs], [[], []], "their events")


@suite.check
def each_run_is_counted_once(units: Councils) -> None:
    """CO-7: however many processes mark at once or one after another, each run is marked and counted once."""
    dead = begin_lease(units)
    runs = [add_run(units, epoch=dead if number % 2 else None) for number in range(10)]
    end_lease(units, dead)
    with ThreadPoolExecutor(_THREADS) as pool:
        counts = list(pool.map(lambda _: mark(units), range(_THREADS)))
    expect_equal(sum(counts), len(runs), "the sum of what all counted")
    expect_equal(mark(units), 0, "the number marked afterwards")
    for run in runs:
        expect_equal([event.kind for event in live(units, run.id)], ["interrupted"], "the events of a run")
    again = begin_lease(units)
    move(units, runs[0].id, RunStatus.RUNNING, again)
    end_lease(units, again)
    expect_equal(mark(units), 1, "the number marked when one was left behind again")
    expect_equal([event.seq for event in live(units, runs[0].id)], [1, 2], "the numbers of its events")


@suite.check
def a_fleets_runs_are_marked_together(units: Councils) -> None:
    """CO-7: runs in great number are marked as one is."""
    dead = begin_lease(units)

    def create_all(ports: CouncilPorts) -> None:
        for _ in range(_FLEET):
            ports.councils.create_run(make_run(epoch=dead))

    units.run(create_all)
    end_lease(units, dead)
    expect_equal(mark(units), _FLEET, "the number marked")
    expect_equal(mark(units), 0, "the number marked again")
