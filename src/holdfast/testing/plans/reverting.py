"""Checks of reverting: PL-9."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from holdfast.gateway import Route
from holdfast.plans import PlanPorts, PlanRun, PlanStatus, Reversal
from holdfast.plans.errors import InvalidState, StalePlan
from holdfast.testing.conformance import expect_equal
from holdfast.testing.plans.samples import (
    Plans,
    add_plan,
    apply,
    at_once,
    audit_rows,
    everything,
    expect_refused,
    in_every_status,
    live,
    make_set,
    marking,
    present,
    replace_live,
    revert,
    suite,
)


@suite.check
def reverting_restores_what_was_live(units: Plans) -> None:
    """PL-9: revert puts the set live again that was live before, as a new revision, and the plan is reverted."""
    _expect_restored(units, make_set("old"))


@suite.check
def empty_means_empty(units: Plans) -> None:
    """PL-9: where nothing was live before, nothing is live after revert."""
    _expect_restored(units, [])


@suite.check
def a_plan_without_routes_is_reverted(units: Plans) -> None:
    """PL-9: reverting a plan that changed nothing leaves the same routes live, and is audited."""
    replace_live(units, make_set("old"))
    plan, before = add_plan(units, []), live(units)
    apply(units, plan)
    revert(units, plan)
    expect_equal(live(units).routes, before.routes, "the live routes")
    expect_equal([row.act for row in audit_rows(units, plan)], ["plan.reverted", "plan.applied"], "its audit rows")


@suite.check
def the_inverse_is_what_was_live_at_the_mark(units: Plans) -> None:
    """PL-9: the stored inverse is the set that was live when the plan was marked, not when it was proposed."""
    plan = add_plan(units, make_set("new"))
    replace_live(units, make_set("meanwhile"))
    units.run(marking(plan.id, make_set("new")))
    inverse = present(units, plan).inverse
    expect_equal(
        inverse and sorted(route.id for route in inverse), [r.id for r in make_set("meanwhile")], "the inverse"
    )


@suite.check
def a_table_that_moved_on_is_not_reverted(units: Plans) -> None:
    """PL-9: once others build upon a plan, reverting it is StalePlan with both numbers."""
    plan = add_plan(units, make_set("new"))
    done = apply(units, plan)
    for later in (make_set("later"), make_set("new"), []):
        replace_live(units, later)
        error = expect_refused(units, StalePlan, "reverting under a later change", _reverting(plan))
        expect_equal((error.base, error.actual), (done.revision, live(units).revision), "the error's revisions")


@suite.check
def other_statuses_are_not_reverted(units: Plans) -> None:
    """PL-9: a plan that was never applied is InvalidState; nothing is written, no audit row."""
    plans = in_every_status(units)
    for status in (PlanStatus.PROJECTED, PlanStatus.FAILED):
        error = expect_refused(units, InvalidState, f"reverting a {status} plan", _reverting(plans[status]))
        expect_equal(error.status, status, "the status that the error names")


@suite.check
def a_repeated_revert_says_so(units: Plans) -> None:
    """PL-9: reverting again gives the reversal that happened, marked as repeated, and adds no audit row."""
    plan = add_plan(units, make_set("new"))
    apply(units, plan)
    first = revert(units, plan)
    expect_equal(first.repeated, False, "repeated at first")
    replace_live(units, make_set("later"))
    before = everything(units)
    expect_equal(revert(units, plan), replace(first, repeated=True), "the answer, asked again")
    expect_equal(everything(units), before, "all there is, asked again")


@suite.check
def one_of_many_callers_reverts(units: Plans) -> None:
    """PL-9: of many who revert one plan at the same time one does; the others are told of it. One audit row."""
    plan = add_plan(units, make_set("new"))
    apply(units, plan)
    answers = at_once([lambda: revert(units, plan)] * 6)
    told = sorted(answer.repeated if isinstance(answer, Reversal) else True for answer in answers)
    expect_equal(told, [False, True, True, True, True, True], f"who was told that it is repeated, of {answers}")
    expect_equal(len(audit_rows(units, plan)), 2, "the number of audit rows")
    expect_equal(live(units).routes, (), "the live routes")


def _expect_restored(units: Plans, routes: list[Route]) -> None:
    replace_live(units, routes)
    plan, before = add_plan(units, make_set("new")), live(units)
    apply(units, plan)
    done = revert(units, plan)
    expect_equal((live(units).routes, live(units).digest), (before.routes, before.digest), "the live routes")
    expect_equal((live(units).revision, done.revision), (before.revision + 2,) * 2, "the revision")
    found = present(units, plan)
    expect_equal((found.status, found.reverted_at is not None), (PlanStatus.REVERTED, True), "status and reverted_at")
    expect_equal(audit_rows(units, plan)[0].act, "plan.reverted", "the newest audit row")


def _reverting(plan: PlanRun) -> Callable[[PlanPorts], Reversal]:
    return lambda ports: ports.revert(plan.id)
