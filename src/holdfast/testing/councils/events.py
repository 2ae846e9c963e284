"""Checks of the event log: CO-4, CO-6."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any
from uuid import UUID

from holdfast.councils import CouncilRunEvent, RunStatus
from holdfast.councils.errors import InvalidWave, RunNotFound
from holdfast.errors import HoldfastError, InvalidInput
from holdfast.ids import new_id
from holdfast.pages import Page
from holdfast.testing.conformance import expect, expect_equal, expect_json, expect_raises
from holdfast.testing.councils.leases import CouncilPorts
from holdfast.testing.councils.samples import (
    Call,
    Councils,
    Thrown,
    add_run,
    append,
    appending,
    begin_lease,
    caught,
    diamond,
    end_lease,
    live,
    log,
    mark,
    move,
    planning,
    present,
    rewind,
    seqs,
    suite,
)
from holdfast.testing.flows.samples import ODD_VALUES, deep

_THREADS = 4
_EACH = 8
_REFUSED_KINDS: tuple[Any, ...] = ("\0", "a\0b", "\ud800", "", None, 7)


@suite.check
def every_event_is_recorded(units: Councils) -> None:
    """CO-4: append_event records each event, equal ones too, and returns what it recorded; the run stays as it is."""
    for status in RunStatus:
        run = add_run(units, status=status)
        events = [append(units, run.id, "same", {"same": [1]}, wave) for wave in (None, 0, 0, 1, 0, None, 2**31 - 1)]
        expect_equal(live(units, run.id), events, "what is listed, against what was returned")
        expect_equal([event.wave_index for event in events], [None, 0, 0, 1, 0, None, 2**31 - 1], "the waves")
        for event in events:
            expect_equal(event.at.utcoffset(), timedelta(0), "the UTC offset of an event's time")
            expect_equal((event.run_id, event.kind, event.payload), (run.id, "same", {"same": [1]}), "the event")
            expect(not event.superseded, "a new event is superseded")
        for event, following in pairwise(events):
            expect(event.at <= following.at, f"time goes back from {event.at} to {following.at}")
        expect_equal(present(units, run.id), run, "the run whose events they are")


@suite.check
def odd_payloads_read_back_exactly(units: Councils) -> None:
    """CO-4: payloads and kinds read back to the byte, however odd; neither is the caller's own afterwards."""
    run = add_run(units)
    for value in [*ODD_VALUES, deep(100)]:
        append(units, run.id, "'odd' é 😀", value)
        recorded = live(units, run.id)[-1]
        expect_json(recorded.payload, value, "the payload")
        expect_equal(recorded.kind, "'odd' é 😀", "the kind")
    payload = {"list": [1]}
    append(units, run.id, "kept", payload).payload["list"].append(2)
    payload["list"].append(3)
    expect_equal(live(units, run.id)[-1].payload, {"list": [1]}, "the payload after its copies were changed")


@suite.check
def numbers_count_per_run(units: Councils) -> None:
    """CO-6: the store assigns seq, from 1 in each run and without a gap, whatever happens in the others."""
    runs = [add_run(units).id for _ in range(3)]
    for turn in range(1, 6):
        for place, run_id in enumerate(runs):
            if turn > place:
                expect_equal(append(units, run_id).seq, turn - place, "the number of an event")
    expect_equal([seqs(live(units, run_id)) for run_id in runs], [[*range(1, 6 - n)] for n in range(3)], "all numbers")


@suite.check
def refusals_use_no_number(units: Councils) -> None:
    """CO-6: an event that cannot be recorded is refused and leaves no gap, even if its unit goes on."""
    run = add_run(units)
    refused: list[tuple[type[HoldfastError], str, Call]] = [
        (InvalidInput, "a payload that is no JSON", appending(run.id, "kind", object())),
        (InvalidInput, "a payload of NaN", appending(run.id, "kind", {"x": [float("nan")]})),
        (RunNotFound, "an unknown run", appending(new_id())),
        *((InvalidInput, f"the kind {kind!r}", appending(run.id, kind)) for kind in _REFUSED_KINDS),
        *((InvalidWave, f"the wave {wave}", appending(run.id, wave_index=wave)) for wave in (-1, 2**31, -(2**70))),
    ]
    for number, (kind, what, call) in enumerate(refused, 1):
        units.run(caught(kind, what, call))
        expect_equal(append(units, run.id).seq, number, f"the number after {what}")


@suite.check
def failed_unit_leaves_no_gap(units: Councils) -> None:
    """CO-6: numbers that a failed unit took are taken again."""
    run = add_run(units)

    def work(ports: CouncilPorts) -> None:
        for _ in range(3):
            ports.councils.append_event(run.id, "lost", {})
        raise Thrown

    for number in (1, 2, 3):
        expect_raises(Thrown, "a unit that fails", lambda: units.run(work))
        expect_equal(append(units, run.id).seq, number, "the number after a failed unit")
    expect_equal([event.kind for event in live(units, run.id)], ["kind"] * 3, "the kinds of all events")


@suite.check
def numbers_go_on_across_resume_and_rewind(units: Councils) -> None:
    """CO-6: seq is never reused across interruption, resume and rewind, and gap-free over live and superseded events
    together."""
    epoch = begin_lease(units)
    run_id = add_run(units, epoch=epoch).id
    seen: dict[int, str] = {}
    for lap in range(4):
        for wave in (None, 0, 1, 2):
            append(units, run_id, f"lap {lap} wave {wave}", {}, wave)
        units.run(planning(run_id, diamond(output=lap)))
        end_lease(units, epoch)
        expect_equal(mark(units), 1, "the number of interrupted runs")
        epoch = begin_lease(units)
        move(units, run_id, RunStatus.RUNNING, epoch)
        append(units, run_id, f"resumed {lap}")
        rewind(units, run_id, lap % 3, epoch)
        whole = log(units, run_id)
        expect_equal(seqs(whole), [*range(1, len(whole) + 1)], "the numbers of live and superseded events")
        expect(seen.items() <= {event.seq: event.kind for event in whole}.items(), "an event changed its number")
        seen = {event.seq: event.kind for event in whole}
        expect_equal(append(units, run_id, "next").seq, len(whole) + 1, "the next number")
        expect(
            set(seqs(live(units, run_id))) < {*seen, len(whole) + 1}, "no event was superseded, or a live one is new"
        )


@suite.check
def concurrent_appenders_leave_no_gap(units: Councils) -> None:
    """CO-6: appenders that race, and some of whose units fail, use each number once, and lose no event."""
    left, right = add_run(units).id, add_run(units).id

    def failing(ports: CouncilPorts) -> None:
        ports.councils.append_event(left, "lost", {})
        raise Thrown

    def appender(name: int) -> list[tuple[UUID, int, int]]:
        done = []
        for turn in range(_EACH):
            run_id = (left, right)[turn % 2]
            done.append((run_id, append(units, run_id, "kind", [name, turn]).seq, turn))
            if turn % 3 == 0:
                expect_raises(Thrown, "a unit that fails", lambda: units.run(failing))
        return done

    with ThreadPoolExecutor(_THREADS) as pool:
        done = [entry for entries in pool.map(appender, range(_THREADS)) for entry in entries]
    for run_id in (left, right):
        events = live(units, run_id)
        expect_equal(seqs(events), [*range(1, _THREADS * _EACH // 2 + 1)], "the numbers of racing appenders")
        found = [(run_id, event.seq, event.payload[1]) for event in events]
        expect_equal(found, sorted(entry for entry in done if entry[0] == run_id), "the events of racing appenders")


@suite.check
def attached_reader_misses_nothing(units: Councils) -> None:
    """CO-6: whoever reads on after the last number seen gets every event once and in order, while others append."""
    run_id, count = add_run(units).id, _THREADS * _EACH
    seen: list[int] = []

    def appender(name: int) -> None:
        for _ in range(_EACH):
            append(units, run_id, "kind", name)

    with ThreadPoolExecutor(_THREADS) as pool:
        racing = [pool.submit(appender, name) for name in range(_THREADS)]
        while len(seen) < count:
            over = all(future.done() for future in racing)
            after = str(seen[-1]) if seen else None
            page = units.run(partial(_next_page, run_id, after))
            seen += seqs(page.items)
            expect(bool(page.items) or not over, f"only {len(seen)} of {count} events are seen")
        for future in racing:
            future.result()
    expect_equal(seen, [*range(1, count + 1)], "what the reader saw")


def _next_page(run_id: UUID, after: str | None, ports: CouncilPorts) -> Page[CouncilRunEvent]:
    return ports.councils.list_events(run_id, limit=3, after=after)
