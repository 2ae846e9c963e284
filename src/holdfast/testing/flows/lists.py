"""Checks of the lists: FL-3, FL-5, FL-7."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from holdfast.flows import Flow, FlowStatus, FlowStore, StepStatus
from holdfast.pages import Page
from holdfast.testing.conformance import expect, expect_equal, expect_raises
from holdfast.testing.flows.samples import (
    LONG_AGO,
    MALFORMED_CURSORS,
    Flows,
    PageOf,
    T,
    add_flow,
    add_step,
    all_pages,
    append,
    events_of,
    insert,
    make_flow,
    make_step,
    present,
    steps_of,
    suite,
    update,
    updating,
)

_LIMITS = (1, 2, 3, 6, 7, 8, 1000, 1 << 40)
_MINUTES = (3, 1, 2, 2, 2, 0, 2)
"""When the samples are from: out of order, and with ties."""


@suite.check
def owners_flows_newest_first(units: Flows) -> None:
    """FL-3: list_by_owner gives exactly that owner's flows, newest first."""
    for owner in ("ann", "Ann", "ann ", "ann%", ""):
        for minute in (1, 3, 0, 2):
            insert(units, _flow_of_minute(minute, owner_session_key=owner, goal=f"{owner}|{minute}"))
    for owner in ("ann", "Ann", "ann ", "ann%", ""):
        goals = [flow.goal for flow in _by_owner(units, owner)(None, None).items]
        expect_equal(goals, [f"{owner}|{minute}" for minute in (3, 2, 1, 0)], f"the flows of {owner!r}")
    expect_equal(_by_owner(units, "bob")(None, None), Page([], None), "the flows of nobody")


@suite.check
def statuses_flows_oldest_update_first(units: Flows) -> None:
    """FL-3: list_by_status gives exactly the flows of that status, the oldest update first."""
    flows = {minute: _flow_of_minute(minute, goal=str(minute)) for minute in (1, 3, 0, 2)}
    for flow in flows.values():
        insert(units, flow)
        insert(units, make_flow(status=FlowStatus.WAITING))
    update(units, present(units, flows[0].id))
    update(units, replace(present(units, flows[2].id), status=FlowStatus.RUNNING))
    goals = [flow.goal for flow in _by_status(units, FlowStatus.CREATED)(None, None).items]
    expect_equal(goals, ["1", "3", "0"], "created flows after an update")
    expect_equal(len(_by_status(units, FlowStatus.WAITING)(None, None).items), 4, "the number of waiting flows")
    expect_equal(_by_status(units, FlowStatus.FAILED)(None, None), Page([], None), "failed flows")


@suite.check
def lists_and_get_agree(units: Flows) -> None:
    """FL-3: a list gives the whole records."""
    flow = add_flow(
        units, owner_session_key="o", state={"a": [1]}, error={"kind": "E"}, result="1", key="k", revision=4
    )
    expect_equal(_by_owner(units, "o")(None, None).items, [flow], "list_by_owner")
    expect_equal(_by_status(units, flow.status)(None, None).items, [flow], "list_by_status")


@suite.check
def pages_of_flows_have_no_gaps(units: Flows) -> None:
    """FL-3: pages by limit and cursor make up the whole list, ties of time included."""
    flows = [_flow_of_minute(minute, owner_session_key="o") for minute in _MINUTES]
    for flow in flows:
        insert(units, flow)
    for page_of in (_by_owner(units, "o"), _by_status(units, FlowStatus.CREATED)):
        whole = page_of(None, None)
        expect_equal(whole.next, None, "the cursor of the whole list")
        expect_equal({flow.id for flow in whole.items}, {flow.id for flow in flows}, "the flows of the whole list")
        _expect_pages(page_of, [flow.id for flow in whole.items], lambda flow: flow.id)


@suite.check
def paging_survives_newcomers(units: Flows) -> None:
    """FL-3: a cursor is a place, not a count: what is added ahead of it neither repeats nor hides anything."""
    flows = [_flow_of_minute(minute, owner_session_key="o") for minute in _MINUTES]
    for flow in flows:
        insert(units, flow)

    def by_owner_newcomer() -> None:
        insert(units, _flow_of_minute(60, owner_session_key="o", status=FlowStatus.WAITING))

    def by_status_newcomer() -> None:
        insert(units, _flow_of_minute(-60))

    wanted = [flow.id for flow in _by_owner(units, "o")(None, None).items]
    found = [flow.id for flow in all_pages(_by_owner(units, "o"), 2, between=by_owner_newcomer)]
    expect_equal(found, wanted, "an owner's pages while newer flows come in")
    wanted = [flow.id for flow in _by_status(units, FlowStatus.CREATED)(None, None).items]
    found = [flow.id for flow in all_pages(_by_status(units, FlowStatus.CREATED), 2, between=by_status_newcomer)]
    expect_equal(found, wanted, "a status's pages while older flows come in")


@suite.check
def bad_limits_and_cursors_are_refused(units: Flows) -> None:
    """FL-3: a negative limit and a malformed cursor are ValueErrors on every list; a limit of 0 is an empty page."""
    flow = add_flow(units, owner_session_key="o")
    add_step(units, flow.id, "run")
    append(units, flow.id, "kind")
    for name, page_of in _lists(units, flow.id, "o", flow.status).items():
        expect_equal(len(page_of(None, None).items), 1, f"the length of {name}")
        expect_equal(page_of(0, None).items, [], f"{name} with limit=0")
        for limit in (-1, -1000):
            expect_raises(ValueError, f"{name} with limit={limit}", _call(page_of, limit, None))
        for cursor in MALFORMED_CURSORS:
            expect_raises(ValueError, f"{name} with after={cursor!r}", _call(page_of, 1, cursor))


@suite.check
def events_newest_first(units: Flows) -> None:
    """FL-5: list_events gives the newest ``limit`` events of that flow, newest first, ties of time included."""
    flow, other = add_flow(units), add_flow(units)
    kinds = [f"kind {number}" for number in range(7)]

    def work(store: FlowStore) -> None:
        for kind in kinds:
            store.append_event(flow.id, kind, {})
            store.append_event(other.id, "other", {})

    units.run(work)
    newest_first = kinds[::-1]
    expect_equal([event.kind for event in events_of(units, flow.id)], newest_first, "all events")
    page_of = _events(units, flow.id)
    for limit in (1, 3, 7, 100):
        found = [event.kind for event in page_of(limit, None).items]
        expect_equal(found, newest_first[:limit], f"the newest {limit} events")
    _expect_pages(page_of, newest_first, lambda event: event.kind)
    seen = all_pages(page_of, 2, between=lambda: append(units, flow.id, "newcomer"))
    expect_equal([event.kind for event in seen], newest_first, "pages of events while newer ones come in")
    expect_equal(_events(units, uuid4())(None, None), Page([], None), "the events of an unknown flow")


@suite.check
def steps_in_creation_order(units: Flows) -> None:
    """FL-7: list_steps gives the steps of that flow in creation order, whatever became of them since, those that a
    rewind undid among them."""
    flow, other = add_flow(units), add_flow(units)
    run_ids = ["m", "z", "a", "M", "10", "9", "b"]
    steps = [make_step(flow.id, run_id, superseded_by=2 if run_id in ("a", "9") else None) for run_id in run_ids]

    def work(store: FlowStore) -> None:
        for step in steps:
            store.insert_step(step)
            store.insert_step(replace(step, id=uuid4(), flow_id=other.id))

    units.run(work)
    for number in (3, 0, 6):
        moved = replace(steps[number], status=StepStatus.SUCCEEDED)
        units.run(updating(moved))
    expect_equal([step.run_id for step in steps_of(units, flow.id)], run_ids, "the steps in creation order")
    _expect_pages(_steps(units, flow.id), run_ids, lambda step: step.run_id)
    expect_equal(_steps(units, uuid4())(None, None), Page([], None), "the steps of an unknown flow")


def _flow_of_minute(minute: int, **fields: Any) -> Flow:
    return make_flow(created_at=LONG_AGO + timedelta(minutes=minute), **fields)


def _call(page_of: PageOf[Any], limit: int, after: str | None) -> Callable[[], object]:
    return lambda: page_of(limit, after)


def _by_owner(units: Flows, owner: str) -> PageOf[Flow]:
    return lambda limit, after: units.run(lambda store: store.list_by_owner(owner, limit=limit, after=after))


def _by_status(units: Flows, status: FlowStatus) -> PageOf[Flow]:
    return lambda limit, after: units.run(lambda store: store.list_by_status(status, limit=limit, after=after))


def _events(units: Flows, flow_id: UUID) -> PageOf[Any]:
    return lambda limit, after: units.run(lambda store: store.list_events(flow_id, limit=limit, after=after))


def _steps(units: Flows, flow_id: UUID) -> PageOf[Any]:
    return lambda limit, after: units.run(lambda store: store.list_steps(flow_id, limit=limit, after=after))


def _lists(units: Flows, flow_id: UUID, owner: str, status: FlowStatus) -> dict[str, PageOf[Any]]:
    return {
        "list_by_owner": _by_owner(units, owner),
        "list_by_status": _by_status(units, status),
        "list_events": _events(units, flow_id),
        "list_steps": _steps(units, flow_id),
    }


def _expect_pages(page_of: PageOf[T], whole: Sequence[object], name: Callable[[T], object]) -> None:
    expect(len(whole) > 2, "too few items to page through")
    for limit in _LIMITS:
        found = [name(item) for item in all_pages(page_of, limit)]
        expect_equal(found, list(whole), f"the pages of {limit}, put together")
