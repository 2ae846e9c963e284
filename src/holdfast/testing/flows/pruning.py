"""Checks of pruning: FL-9."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from holdfast.flows import Flow, FlowStatus
from holdfast.testing.conformance import expect_equal, expect_raises
from holdfast.testing.flows.samples import (
    TERMINAL,
    Flows,
    add_flow,
    append,
    days_ago,
    events_of,
    find_step,
    get,
    get_step,
    insert,
    inserting,
    make_step,
    present,
    steps_of,
    suite,
    update,
)


@suite.check
def prune_goes_by_status_and_age(units: Flows) -> None:
    """FL-9: exactly the finished, failed and cancelled flows last updated over ``retain_days`` ago are deleted; the
    answer is their number."""
    old, young = days_ago(units, 30.01), days_ago(units, 29.99)
    doomed = [_aged(units, status, old) for status in TERMINAL]
    kept = [_aged(units, status, young) for status in TERMINAL]
    kept += [_aged(units, status, old) for status in FlowStatus if status not in TERMINAL]
    kept.append(_aged(units, FlowStatus.CREATED, old, paused=True))
    expect_equal(_prune(units, 31), 0, "the number pruned after 31 days")
    expect_equal(_prune(units, 30), len(doomed), "the number pruned after 30 days")
    expect_equal([get(units, flow.id) for flow in doomed], [None] * len(doomed), "what was pruned")
    expect_equal([present(units, flow.id) for flow in kept], kept, "what was kept")
    expect_equal(_prune(units, 30), 0, "the number pruned again")


@suite.check
def age_counts_from_the_last_update(units: Flows) -> None:
    """FL-9: a flow that was created long ago and ended just now is young."""
    flow = add_flow(units, status=FlowStatus.RUNNING, created_at=days_ago(units, 400))
    ended = update(units, replace(flow, status=FlowStatus.FINISHED))
    expect_equal(_prune(units, 1), 0, "the number pruned")
    expect_equal(present(units, flow.id), ended, "the flow that ended just now")


@suite.check
def prune_takes_steps_and_events_along(units: Flows) -> None:
    """FL-9: steps and events go with their flow, and no other's; those that a rewind undid as well."""
    doomed, kept = add_flow(units, key="k", tags={"t": "1"}), add_flow(units, tags={"t": "1"})
    steps = {flow.id: make_step(flow.id, "run", superseded_by=1) for flow in (doomed, kept)}
    for flow in (doomed, kept):
        units.run(inserting(steps[flow.id]))
        append(units, flow.id, "kind", {})
    expect_equal(_prune(units, 0), 0, "the number pruned while both flows are alive")
    update(units, replace(doomed, status=FlowStatus.CANCELLED))
    expect_equal(_prune(units, 0), 1, "the number pruned")
    expect_equal(get_step(units, steps[doomed.id].id), None, "a step of the pruned flow")
    expect_equal(find_step(units, doomed.id, "run"), None, "a step of the pruned flow, by run id")
    insert(units, replace(doomed, tags={}))
    expect_equal(present(units, doomed.id).tags, {}, "tags of a flow that takes the pruned one's id")
    expect_equal(present(units, kept.id).tags, {"t": "1"}, "the other's tags")
    expect_equal(events_of(units, doomed.id), [], "events of a flow that takes the pruned one's id")
    expect_equal(steps_of(units, doomed.id), [], "steps of a flow that takes the pruned one's id")
    expect_equal(len(events_of(units, kept.id)), 1, "the number of the other's events")
    expect_equal(steps_of(units, kept.id), [steps[kept.id]], "the other's steps")


@suite.check
def children_outlive_their_parents(units: Flows) -> None:
    """FL-9: a pruned flow's children stay, without a parent, also when another flow takes its id."""
    parent = _aged(units, FlowStatus.FINISHED, days_ago(units, 10))
    child = add_flow(units, parent=parent.id)
    expect_equal(_prune(units, 1), 1, "the number pruned")
    insert(units, parent)
    expect_equal(present(units, child.id), replace(child, parent=None), "the child")


@suite.check
def prune_in_slices(units: Flows) -> None:
    """FL-9: with a limit at most that many are deleted, so that slices add up to the whole."""
    old = days_ago(units, 10)
    for number in range(7):
        _aged(units, TERMINAL[number % 3], old)
    counts = [_prune(units, 5, limit) for limit in (0, 3, 1, 1000, 3)]
    expect_equal(counts, [0, 3, 1, 3, 0], "the numbers pruned with limits 0, 3, 1, 1000 and 3")


@suite.check
def bad_spans_are_refused(units: Flows) -> None:
    """FL-9: a negative number of days or limit is a ValueError; any number of days is not too many."""
    flow = _aged(units, FlowStatus.FAILED, days_ago(units, 10))
    for days, limit in ((-1, None), (-1, 5), (1, -1)):
        expect_raises(ValueError, f"prune({days}, limit={limit})", partial(_prune, units, days, limit))
    for days in (100_000, 1_000_000_000, 10**15):
        expect_equal(_prune(units, days), 0, f"the number pruned after {days} days")
    expect_equal(present(units, flow.id), flow, "the flow")


def _aged(units: Flows, status: FlowStatus, at: datetime, **fields: Any) -> Flow:
    return add_flow(units, status=status, created_at=at, **fields)


def _prune(units: Flows, retain_days: int, limit: int | None = None) -> int:
    return units.run(lambda store: store.prune_terminal_flows(retain_days, limit=limit))
