"""Checks of rewinding the log, and of pruning what was superseded: CO-8."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from holdfast.councils import CouncilRunEvent, RunStatus
from holdfast.councils.errors import InvalidWave
from holdfast.testing.conformance import expect, expect_equal, expect_raises
from holdfast.testing.councils.samples import (
    TERMINAL,
    Councils,
    add_run,
    append,
    begin_lease,
    caught,
    days_ago,
    diamond,
    get,
    live,
    log,
    move,
    present,
    rewind,
    rewinding,
    seqs,
    suite,
)

_WAVES = (None, 0, 1, None, 2, 1, 3, 0, None, 2)
"""The waves of the events that are rewound: in no order, as parallel nodes emit them."""


@suite.check
def later_waves_are_superseded(units: Councils) -> None:
    """CO-8: exactly the live events with a wave strictly greater leave the live log; earlier ones, those of the wave
    itself and those of no wave stay as they are, and another run's too."""
    for to in (None, 0, 1, 2, 3, 4):
        run_id, other = add_run(units).id, add_run(units).id
        events = [append(units, run_id, "kind", {"wave": wave}, wave) for wave in _WAVES]
        bystanders = [append(units, other, "kind", {}, wave) for wave in _WAVES]
        kept = [event for event in events if event.wave_index is None or event.wave_index <= _floor(to)]
        rewound = rewind(units, run_id, to)
        expect_equal(live(units, run_id), [*kept, rewound], f"the live log after a rewind to wave {to}")
        expect_equal(log(units, other), bystanders, "another run's events")


@suite.check
def superseded_events_stay_readable(units: Councils) -> None:
    """CO-8: superseded events can still be read, in their places, unchanged but for saying when they were superseded;
    a second rewind leaves that as it is."""
    run_id = add_run(units).id
    events = [append(units, run_id, "kind", {"wave": wave}, wave) for wave in _WAVES]
    first = rewind(units, run_id, 1)
    seen = _expect_log(
        log(units, run_id), [*events, first], {event.seq for event in events if event.wave_index in (2, 3)}
    )
    again = append(units, run_id, "again", {}, 2)
    second = rewind(units, run_id, 0)
    lost = {event.seq for event in [*events, first, again] if event.wave_index is not None and event.wave_index > 0}
    whole = _expect_log(log(units, run_id), [*events, first, again, second], lost)
    for event in seen:
        if event.superseded:
            expect_equal(whole[event.seq - 1], event, "an event that had been superseded before")


@suite.check
def rewound_event_says_from_where_to_where(units: Councils) -> None:
    """CO-8: the ``rewound`` event is of the wave rewound to, and says from which wave to which, and how many events
    were superseded."""
    run_id = add_run(units).id
    for wave in _WAVES:
        append(units, run_id, "kind", {}, wave)
    reached: int | None = 3
    for to, count in ((2, 1), (2, 0), (5, 0), (1, 5), (None, 5), (None, 0)):
        event = rewind(units, run_id, to)
        wanted = {"from": reached, "to": to, "superseded": count}
        expect_equal((event.kind, event.wave_index, event.payload), ("rewound", to, wanted), f"the rewind to {to}")
        expect_equal(live(units, run_id)[-1], event, "the newest live event")
        reached = max((one.wave_index for one in live(units, run_id) if one.wave_index is not None), default=None)


@suite.check
def rewound_run_is_running(units: Councils) -> None:
    """CO-8: a rewind makes the run running again from whatever status, terminal ones included, under the lease of
    whoever rewound it."""
    epoch = begin_lease(units)
    for status in RunStatus:
        for taker in (None, epoch):
            run = add_run(units, status=status, graph=diamond(), epoch=epoch if status is RunStatus.RUNNING else None)
            append(units, run.id, "kind", {}, 1)
            rewind(units, run.id, 0, taker)
            now = present(units, run.id)
            expect(now.updated_at > run.updated_at, "a rewind moves updated_at")
            wanted = replace(run, status=RunStatus.RUNNING, epoch=taker, updated_at=now.updated_at)
            expect_equal(now, wanted, f"the run that was {status} after a rewind")


@suite.check
def no_such_wave_changes_nothing(units: Councils) -> None:
    """CO-8: an index that no wave has is InvalidWave; the run and its events stay."""
    run = add_run(units, status=RunStatus.COMPLETED)
    events = [append(units, run.id, "kind", {}, wave) for wave in _WAVES]
    for wave in (-1, -5, 2**31, 2**70):
        units.run(caught(InvalidWave, f"a rewind to wave {wave}", rewinding(run.id, wave)))
    expect_equal(log(units, run.id), events, "the events after refused rewinds")
    expect_equal(present(units, run.id), run, "the run after refused rewinds")


@suite.check
def superseded_events_are_pruned_by_age(units: Councils) -> None:
    """CO-8: pruning takes superseded events once they have been so for long enough, in slices, and never live ones; no
    number is used again."""
    run_id = add_run(units).id
    events = [append(units, run_id, "kind", {}, wave) for wave in _WAVES]
    rewound = rewind(units, run_id, 0)
    expect_equal(_prune_events(units, 1, None), 0, "the number pruned of what was superseded just now")
    counts = [_prune_events(units, 0, limit) for limit in (0, 2, None, None)]
    expect_equal(counts, [0, 2, 3, 0], "the numbers pruned with limits 0, 2, none and none")
    kept = [event for event in events if event.wave_index in (None, 0)]
    expect_equal(log(units, run_id), [*kept, rewound], "the events after pruning")
    expect_equal(append(units, run_id).seq, rewound.seq + 1, "the next number")


@suite.check
def old_terminal_runs_are_pruned(units: Councils) -> None:
    """CO-8: pruning takes terminal runs last updated over ``retain_days`` ago, live and superseded events with them,
    in slices, and nothing else: no run that began long ago and ended just now."""
    old, young = days_ago(units, 30.01), days_ago(units, 29.99)
    doomed = [add_run(units, status=status, created_at=old) for status in TERMINAL]
    kept = [add_run(units, status=status, created_at=young) for status in TERMINAL]
    kept += [add_run(units, status=status, created_at=old) for status in RunStatus if status not in TERMINAL]
    late = add_run(units, created_at=old)
    kept.append(move(units, late.id, RunStatus.COMPLETED))
    for run in (*doomed, *kept):
        append(units, run.id)
    counts = [_prune_runs(units, days, limit) for days, limit in ((31, None), (30, 0), (30, 2), (30, None), (30, 5))]
    expect_equal(counts, [0, 0, 2, 1, 0], "the numbers pruned")
    expect_equal([get(units, run.id) for run in doomed], [None] * len(doomed), "what was pruned")
    expect_equal([seqs(log(units, run.id)) for run in doomed], [[]] * len(doomed), "its events")
    expect_equal([present(units, run.id) for run in kept], kept, "what was kept")
    expect_equal([seqs(log(units, run.id)) for run in kept], [[1]] * len(kept), "its events")


@suite.check
def bad_spans_are_refused(units: Councils) -> None:
    """CO-8: a negative number of days or limit is a ValueError; any number of days is not too many."""
    for prune in (_prune_runs, _prune_events):
        for days, limit in ((-1, None), (1, -1)):
            expect_raises(ValueError, f"{days} days, limit={limit}", _call(prune, units, days, limit))
        expect_equal(prune(units, 10**15, None), 0, "the number pruned after a million million years")


def _floor(wave_index: int | None) -> int:
    return -1 if wave_index is None else wave_index


def _expect_log(found: list[CouncilRunEvent], wanted: list[CouncilRunEvent], lost: set[int]) -> list[CouncilRunEvent]:
    """``found`` is ``wanted``, of which exactly the numbers in ``lost`` are superseded."""
    expect_equal({event.seq for event in found if event.superseded}, lost, "the numbers of superseded events")
    expect_equal([replace(event, superseded_at=None) for event in found], wanted, "live and superseded events")
    return found


def _prune_events(units: Councils, retain_days: int, limit: int | None) -> int:
    return units.run(lambda ports: ports.councils.prune_superseded_events(retain_days, limit=limit))


def _prune_runs(units: Councils, retain_days: int, limit: int | None) -> int:
    return units.run(lambda ports: ports.councils.prune_terminal_runs(retain_days, limit=limit))


def _call(prune: Callable[..., int], *args: Any) -> Callable[[], object]:
    return lambda: prune(*args)
