"""Checks of applying: PL-3 to PL-6 and PL-8."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

from holdfast.errors import HoldfastError
from holdfast.gateway import routes_digest
from holdfast.plans import Application, PlanPorts, PlanRun, PlanStatus
from holdfast.plans.errors import InvalidState, PlanNotFound
from holdfast.testing.conformance import expect, expect_equal, expect_raises
from holdfast.testing.plans.samples import (
    OutOfPaper,
    Plans,
    RefusingAudit,
    add_plan,
    apply,
    at_once,
    audit_rows,
    everything,
    expect_refused,
    ids,
    in_every_status,
    live,
    make_set,
    marking,
    present,
    replace_live,
    revert,
    suite,
)

_AT_ONCE = 6


@suite.check
def other_statuses_are_refused(units: Plans) -> None:
    """PL-3: applying a reverted or failed plan is InvalidState with its status; nothing is written, no audit row."""
    plans = in_every_status(units)
    for status in (PlanStatus.REVERTED, PlanStatus.FAILED):
        error = expect_refused(units, InvalidState, f"applying a {status} plan", _applying(plans[status]))
        expect_equal(error.status, status, "the status that the error names")


@suite.check
def an_unknown_plan_is_not_found(units: Plans) -> None:
    """PL-3: applying or reverting what is not there is PlanNotFound; nothing is written, no audit row."""
    replace_live(units, make_set("old"))
    unknown = uuid4()
    for what, act in (("apply", PlanPorts.apply), ("revert", PlanPorts.revert)):
        error = expect_refused(units, PlanNotFound, f"{what} of an unknown plan", _calling(what, unknown))
        expect_equal(error.plan_id, unknown, f"the id that the error of {act.__name__} names")


@suite.check
def a_plan_without_routes_is_applied(units: Plans) -> None:
    """PL-4: a plan without routes can be applied: it is audited, and the routing table is untouched."""
    replace_live(units, make_set("old"))
    plan, before = add_plan(units, []), live(units)
    done = apply(units, plan)
    expect_equal(present(units, plan).status, PlanStatus.APPLIED, "the plan's status")
    expect_equal(live(units), before, "the routing table")
    expect_equal(
        (done.routes_before, done.routes_after, done.revision),
        (before.digest, before.digest, before.revision),
        "what the application tells of the table",
    )
    expect_equal(len(audit_rows(units, plan)), 1, "the number of its audit rows")


@suite.check
def a_repeated_call_says_so(units: Plans) -> None:
    """PL-5: applying again gives the application that happened, marked as repeated, and adds no audit row."""
    plan = add_plan(units, make_set("new"))
    first = apply(units, plan)
    expect_equal(first.repeated, False, "repeated at first")
    for what, between in (("at once", None), ("under another plan", make_set("other"))):
        if between:
            apply(units, add_plan(units, between))
        before = everything(units)
        expect_equal(apply(units, plan), replace(first, repeated=True), f"the answer {what}")
        expect_equal(everything(units), before, f"all there is, asked again {what}")
    expect_equal([row.act for row in audit_rows(units, plan)], ["plan.applied"], "its audit rows")


@suite.check
def a_lost_answer_is_found(units: Plans) -> None:
    """PL-5: the repeated call names actor, time and place in the chain of the audit row that was written."""
    plan = add_plan(units, make_set("new"))
    apply(units, plan)
    again, (row,) = apply(units, plan), audit_rows(units, plan)
    expect_equal((again.seq, again.actor, again.at), (row.seq, row.actor, row.at), "the row that the answer names")


@suite.check
def a_mark_without_a_row_is_no_success(units: Plans) -> None:
    """PL-5: a plan that was marked without an audit row is InvalidState, and does not get one afterwards."""
    plan = add_plan(units, make_set("new"))
    units.run(marking(plan.id, make_set("new")))
    expect_refused(units, InvalidState, "applying a plan that was only marked", _applying(plan))


@suite.check
def one_of_many_callers_applies(units: Plans) -> None:
    """PL-5: of many who apply one plan at the same time one does; the others are told of it. One audit row."""
    plan = add_plan(units, make_set("new"))
    answers = at_once([lambda: apply(units, plan)] * _AT_ONCE)
    expect(all(isinstance(answer, Application) for answer in answers), f"the answers are {answers}")
    told = sorted(answer.repeated for answer in answers if isinstance(answer, Application))
    expect_equal(told, [False] + [True] * (_AT_ONCE - 1), "who was told that it is repeated")
    expect_equal(len(audit_rows(units, plan)), 1, "the number of audit rows")
    expect_equal(ids(live(units).routes), ids(make_set("new")), "the live routes")


@suite.check
def an_audit_log_that_fails_leaves_nothing(units: Plans) -> None:
    """PL-6: where the audit row cannot be written, neither status nor routes change."""
    plan = add_plan(units, make_set("new"))
    _expect_unaudited_is_undone(units, "apply", plan)
    apply(units, plan)
    _expect_unaudited_is_undone(units, "revert", plan)


@suite.check
def a_unit_that_fails_leaves_no_row(units: Plans) -> None:
    """PL-6: the audit row belongs to the same transaction: when that fails, there is none, and no gap either."""
    plan = add_plan(units, make_set("new"))
    before = everything(units)

    def work(ports: PlanPorts) -> None:
        ports.apply(plan.id)
        raise OutOfPaper("The unit fails.")

    expect_raises(OutOfPaper, "a unit that fails", lambda: units.run(work))
    expect_equal(everything(units), before, "all there is after a unit that failed")
    expect_equal(apply(units, plan).seq, before[2].seq + 1, "the next place in the chain")


@suite.check
def every_act_has_one_row(units: Plans) -> None:
    """PL-6: every apply and every revert is exactly one row of the chain, under the plan's id."""
    plan, seq = add_plan(units, make_set("new")), everything(units)[2].seq
    for number, (act, call) in enumerate((("plan.applied", apply), ("plan.reverted", revert)), 1):
        done = call(units, plan)
        expect_equal(everything(units)[2].seq, seq + number, f"the length of the chain after {act}")
        row = audit_rows(units, plan)[0]
        expect_equal((row.act, row.subject, row.seq), (act, str(plan.id), done.seq), "the newest row")


@suite.check
def applying_replaces(units: Plans) -> None:
    """PL-8: what was live before is gone; the plan's routes are all there is."""
    replace_live(units, [*make_set("old"), *make_set("new", 1)])
    apply(units, add_plan(units, make_set("new")))
    expect_equal(ids(live(units).routes), ids(make_set("new")), "the live routes")


@suite.check
def the_audit_row_tells_it_all(units: Plans) -> None:
    """PL-8: the audit row carries the plan's digest, the digests of the routes before and after, and the revision."""
    replace_live(units, make_set("old"))
    plan = add_plan(units, make_set("new"))
    for call, before, after in ((apply, "old", "new"), (revert, "new", "old")):
        done, (row, *_) = call(units, plan), audit_rows(units, plan)
        wanted = {
            "digest": plan.digest,
            "routes_before": routes_digest(make_set(before)),
            "routes_after": routes_digest(make_set(after)),
            "revision": live(units).revision,
        }
        expect_equal({name: row.detail.get(name) for name in wanted}, wanted, f"the detail of {row.act}")
        expect_equal({name: getattr(done, name) for name in wanted}, wanted, f"the answer of {row.act}")


def _applying(plan: PlanRun) -> Callable[[PlanPorts], Application]:
    return lambda ports: ports.apply(plan.id)


def _calling(name: str, plan_id: object) -> Callable[[PlanPorts], object]:
    return lambda ports: getattr(ports, name)(plan_id)


def _expect_unaudited_is_undone(units: Plans, name: str, plan: PlanRun) -> None:
    before = everything(units)

    def work(ports: PlanPorts) -> object:
        ports.audit = RefusingAudit(ports)
        return _calling(name, plan.id)(ports)

    expect_raises(HoldfastError, f"{name} without an audit log", lambda: units.run(work))
    expect_equal(everything(units), before, f"all there is after {name} without an audit log")
