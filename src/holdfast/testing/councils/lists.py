"""Checks of the lists: CO-5, CO-6."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from holdfast.councils import CouncilRun, CouncilRunEvent, RunStatus
from holdfast.pages import Page
from holdfast.testing.conformance import expect_equal, expect_raises
from holdfast.testing.councils.samples import (
    Councils,
    add_run,
    append,
    full_graph,
    live,
    log,
    move,
    present,
    rewind,
    seqs,
    suite,
)
from holdfast.testing.flows.samples import LONG_AGO, MALFORMED_CURSORS, PageOf, all_pages

_LIMITS = (1, 2, 3, 6, 7, 8, 1000, 1 << 40)
_MINUTES = (3, 1, 2, 2, 2, 0, 2)
"""When the samples are from: out of order, and with ties."""


@suite.check
def runs_newest_first(units: Councils) -> None:
    """CO-5: list_runs gives the runs by creation, newest first, however they were changed since; of one status when
    asked for, of all otherwise."""
    for minute in (1, 3, 0, 2):
        _run_of(units, minute, goal=str(minute))
        _run_of(units, minute, goal=f"done {minute}", status=RunStatus.COMPLETED)
    oldest = _page(units, RunStatus.RUNNING, None, None).items[-1]
    move(units, oldest.id, RunStatus.AWAITING_APPROVAL)
    _expect_goals(units, RunStatus.RUNNING, ["3", "2", "1"])
    move(units, oldest.id, RunStatus.RUNNING)
    _expect_goals(units, RunStatus.RUNNING, ["3", "2", "1", "0"])
    _expect_goals(units, RunStatus.COMPLETED, ["done 3", "done 2", "done 1", "done 0"])
    _expect_goals(units, RunStatus.FAILED, [])
    whole = [run.created_at for run in _page(units, None, None, None).items]
    expect_equal(whole, [LONG_AGO + timedelta(minutes=minute) for minute in (3, 3, 2, 2, 1, 1, 0, 0)], "all runs")


@suite.check
def lists_and_get_agree(units: Councils) -> None:
    """CO-5: a list gives the whole records."""
    run = add_run(units, graph=full_graph({"x": 1}), status=RunStatus.INTERRUPTED)
    for status in (None, RunStatus.INTERRUPTED):
        expect_equal(_page(units, status, None, None), Page([present(units, run.id)], None), f"list_runs({status})")


@suite.check
def pages_of_runs_have_no_gaps(units: Councils) -> None:
    """CO-5: pages by limit and cursor make up the whole list, ties of time included."""
    ids = {_run_of(units, minute).id for minute in _MINUTES}
    for status in (None, RunStatus.RUNNING):
        whole = _page(units, status, None, None)
        expect_equal(whole.next, None, "the cursor of the whole list")
        expect_equal({run.id for run in whole.items}, ids, "the runs of the whole list")
        _expect_pages(_runs(units, status), [run.id for run in whole.items], lambda run: run.id)


@suite.check
def paging_survives_newcomers(units: Councils) -> None:
    """CO-5: a cursor is a place, not a count: what is added ahead of it neither repeats nor hides anything."""
    for minute in _MINUTES:
        _run_of(units, minute)
    later = count(60)
    for status in (None, RunStatus.RUNNING):
        wanted = [run.id for run in _page(units, status, None, None).items]
        found = all_pages(_runs(units, status), 2, between=lambda: _run_of(units, next(later)))
        expect_equal([run.id for run in found], wanted, f"the pages of {status} while newer runs come in")


@suite.check
def bad_limits_and_cursors_are_refused(units: Councils) -> None:
    """CO-5: a negative limit and a malformed cursor are ValueErrors on every list; a limit of 0 is an empty page."""
    run = add_run(units)
    append(units, run.id)
    lists: dict[str, PageOf[Any]] = {
        "list_runs": _runs(units, None),
        "list_runs by status": _runs(units, run.status),
        "list_events": _events(units, run.id, False),
        "list_events with superseded ones": _events(units, run.id, True),
    }
    for name, page_of in lists.items():
        expect_equal(len(page_of(None, None).items), 1, f"the length of {name}")
        expect_equal(page_of(0, None).items, [], f"{name} with limit=0")
        for limit in (-1, -1000):
            expect_raises(ValueError, f"{name} with limit={limit}", _call(page_of, limit, None))
        for cursor in MALFORMED_CURSORS:
            expect_raises(ValueError, f"{name} with after={cursor!r}", _call(page_of, 1, cursor))


@suite.check
def pages_of_events_in_order_of_seq(units: Councils) -> None:
    """CO-6: list_events is in order of seq; its cursor is a seq, so that one can go on after any event, superseded
    ones too; the events of an unknown run are none."""
    run_id = add_run(units).id
    for number in range(12):
        append(units, run_id, f"kind {number}", {}, number % 4)
    rewind(units, run_id, 1)
    for superseded, whole in ((False, live(units, run_id)), (True, log(units, run_id))):
        expect_equal(seqs(whole), sorted(seqs(whole)), "the order")
        page_of = _events(units, run_id, superseded)
        _expect_pages(page_of, seqs(whole), lambda event: event.seq)
        for seq in range(15):
            later = [event for event in whole if event.seq > seq]
            expect_equal(page_of(None, str(seq)).items, later, f"the events after {seq}")
            expect_equal(page_of(2, str(seq)).items, later[:2], f"two events after {seq}")
    seen = all_pages(_events(units, run_id, True), 5, between=lambda: _late(units, run_id))
    expect_equal(seqs(seen), seqs(log(units, run_id))[: len(seen)], "pages while events come in")
    expect_equal(_events(units, uuid4(), True)(None, None), Page([], None), "the events of an unknown run")


def _late(units: Councils, run_id: UUID) -> None:
    if len(log(units, run_id)) < 20:
        append(units, run_id, "newcomer")


def _run_of(units: Councils, minute: int, **fields: Any) -> CouncilRun:
    return add_run(units, created_at=LONG_AGO + timedelta(minutes=minute), **fields)


def _page(units: Councils, status: RunStatus | None, limit: int | None, after: str | None) -> Page[CouncilRun]:
    return units.run(lambda ports: ports.councils.list_runs(status, limit=limit, after=after))


def _runs(units: Councils, status: RunStatus | None) -> PageOf[CouncilRun]:
    return lambda limit, after: _page(units, status, limit, after)


def _events(units: Councils, run_id: UUID, superseded: bool) -> PageOf[CouncilRunEvent]:
    return lambda limit, after: units.run(
        lambda ports: ports.councils.list_events(run_id, limit=limit, after=after, superseded=superseded)
    )


def _call(page_of: PageOf[Any], limit: int, after: str | None) -> Callable[[], object]:
    return lambda: page_of(limit, after)


def _expect_goals(units: Councils, status: RunStatus, wanted: list[str]) -> None:
    found = [run.goal for run in _page(units, status, None, None).items]
    expect_equal(found, wanted, f"the runs that are {status}")


def _expect_pages(page_of: PageOf[Any], whole: Sequence[object], name: Callable[[Any], object]) -> None:
    for limit in _LIMITS:
        found = [name(item) for item in all_pages(page_of, limit)]
        expect_equal(found, list(whole), f"the pages of {limit}, put together")
