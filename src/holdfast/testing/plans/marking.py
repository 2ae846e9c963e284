"""Checks of ``mark_applied``: PL-1 to PL-4."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from holdfast.gateway.errors import AmbiguousRoutes
from holdfast.plans import PlanPorts, PlanRun, PlanStatus
from holdfast.testing.conformance import expect_equal, expect_raises
from holdfast.testing.plans.samples import (
    LONG_AGO,
    STRONG,
    OutOfPaper,
    Plans,
    add_plan,
    everything,
    expect_refused,
    ids,
    in_every_status,
    live,
    make_route,
    make_set,
    marking,
    present,
    replace_live,
    suite,
)


@suite.check
def marking_puts_the_routes_live(units: Plans) -> None:
    """PL-1: mark_applied moves the status, stamps the given time, and puts the given routes live."""
    replace_live(units, make_set("old"))
    plan, before = add_plan(units, make_set("new")), live(units)
    units.run(marking(plan.id, make_set("given")))
    found = present(units, plan)
    expect_equal((found.status, found.applied_at), (PlanStatus.APPLIED, LONG_AGO), "status and applied_at")
    expect_equal(ids(live(units).routes), ids(make_set("given")), "the live routes")
    expect_equal(live(units).revision, before.revision + 1, "the table's revision")
    expect_equal(found.applied_revision, before.revision + 1, "the revision that the plan knows")


@suite.check
def a_unit_that_fails_leaves_neither(units: Plans) -> None:
    """PL-1: when the transaction fails after mark_applied, neither status nor routes have changed."""
    replace_live(units, make_set("old"))
    plan = add_plan(units, make_set("new"))
    before = everything(units)

    def work(ports: PlanPorts) -> None:
        marking(plan.id, make_set("new"))(ports)
        raise OutOfPaper("The unit fails.")

    expect_raises(OutOfPaper, "a unit that fails", lambda: units.run(work))
    expect_equal(everything(units), before, "all there is after a unit that failed")


@suite.check
def refused_routes_leave_the_status(units: Plans) -> None:
    """PL-1: when the routes are refused, the status has not moved, even if the caller goes on and commits."""
    plan = add_plan(units, make_set("new"))
    tie = [make_route("a", model="x*"), make_route("b", model="*y", target=STRONG)]
    expect_refused(units, AmbiguousRoutes, "mark_applied with ambiguous routes", marking(plan.id, tie))


@suite.check
def the_previous_status_is_the_answer(units: Plans) -> None:
    """PL-2: mark_applied gives the status before, whichever it was."""
    for status, plan in in_every_status(units).items():
        expect_equal(units.run(marking(plan.id, make_set("new"))), status, f"the answer for a {status} plan")


@suite.check
def an_unknown_plan_is_none(units: Plans) -> None:
    """PL-2: for an unknown plan mark_applied and get give None, and nothing is written."""
    replace_live(units, make_set("old"))
    before = everything(units)
    asked: dict[str, Callable[[PlanPorts], object]] = {
        "mark_applied": marking(uuid4(), make_set("new")),
        "mark_reverted": lambda ports: ports.plans.mark_reverted(uuid4(), LONG_AGO),
        "get": lambda ports: ports.plans.get(uuid4()),
        "locked": lambda ports: ports.plans.locked(uuid4()),
    }
    for name, work in asked.items():
        expect_equal(units.run(work), None, f"the answer of {name}")
    expect_equal(everything(units), before, "all there is")


@suite.check
def only_a_projected_plan_writes(units: Plans) -> None:
    """PL-3: a plan in any other status is left alone, and so is the routing table."""
    plans = in_every_status(units)
    del plans[PlanStatus.PROJECTED]
    before = everything(units)
    for status, plan in plans.items():
        units.run(marking(plan.id, make_set("never")))
        expect_equal(everything(units), before, f"all there is after marking a {status} plan")


@suite.check
def only_one_of_two_marks_writes(units: Plans) -> None:
    """PL-3: of two marks in one transaction the first writes and the second does not."""
    plan = add_plan(units, make_set("new"))

    def work(ports: PlanPorts) -> tuple[PlanStatus | None, PlanStatus | None]:
        return marking(plan.id, make_set("first"))(ports), marking(plan.id, make_set("second"))(ports)

    expect_equal(units.run(work), (PlanStatus.PROJECTED, PlanStatus.APPLIED), "the answers")
    expect_equal(ids(live(units).routes), ids(make_set("first")), "the live routes")


@suite.check
def only_an_applied_plan_is_marked_reverted(units: Plans) -> None:
    """PL-3: mark_reverted gives the status before, and moves an applied plan alone."""
    plans = in_every_status(units)
    for status, plan in plans.items():
        before = present(units, plan)
        expect_equal(units.run(_reverting(plan)), status, f"the answer for a {status} plan")
        found = present(units, plan)
        if status is PlanStatus.APPLIED:
            expect_equal((found.status, found.reverted_at), (PlanStatus.REVERTED, LONG_AGO), "the plan afterwards")
        else:
            expect_equal(found, before, f"the {status} plan afterwards")


@suite.check
def no_routes_leave_the_table_alone(units: Plans) -> None:
    """PL-4: with no routes the status moves and the routing table is untouched, revision included."""
    for routes in ([], make_set("old")):
        replace_live(units, routes)
        plan, before = add_plan(units, make_set("new")), live(units)
        expect_equal(units.run(marking(plan.id, [])), PlanStatus.PROJECTED, "the answer")
        found = present(units, plan)
        expect_equal((found.status, found.applied_at), (PlanStatus.APPLIED, LONG_AGO), "status and applied_at")
        expect_equal(live(units), before, "the routing table")


def _reverting(plan: PlanRun) -> Callable[[PlanPorts], PlanStatus | None]:
    return lambda ports: ports.plans.mark_reverted(plan.id, LONG_AGO)
