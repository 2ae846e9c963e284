"""Checks of PL-7: what goes live is what was reviewed, on the table that it was reviewed for; and of the records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from holdfast.gateway import routes_digest
from holdfast.pages import Page
from holdfast.plans import Application, PlanPorts, PlanResult, PlanRun, PlanStatus
from holdfast.plans.errors import DigestMismatch, InvalidPlan, PlanExists, StalePlan
from holdfast.testing.conformance import expect, expect_equal, expect_json, expect_raises
from holdfast.testing.plans.samples import (
    LONG_AGO,
    Plans,
    add_plan,
    apply,
    at_once,
    audit_rows,
    everything,
    expect_refused,
    failed_plan,
    ids,
    in_every_status,
    insert,
    live,
    make_plan,
    make_route,
    make_set,
    present,
    replace_live,
    revert,
    suite,
)

_PROJECTION: dict[str, Any] = {
    "b": [0.1, 5e-324, 1e22, 2**53 - 1, -1, True, None, "", {}],
    "a": {"é": "😀", "'; --": "%s :x", "nul": "\0", "deep": [[[[{}]]]]},
}
_CONTENDERS = 6


@suite.check
def the_stored_routes_go_live(units: Plans) -> None:
    """PL-7: what is live after apply is the plan's stored set, route by route."""
    routes = [
        make_route("b", priority=-3, model="gpt-[4]*?", key_id="k", tags={"team": "é", "empty": ""}),
        make_route("a", priority=1_000_000),
    ]
    plan = add_plan(units, routes)
    apply(units, plan)
    expect_equal(sorted(live(units).routes, key=lambda route: route.id), routes[::-1], "the live routes")
    expect_equal(live(units).digest, routes_digest(routes), "the digest of the live routes")


@suite.check
def changed_content_is_refused(units: Plans) -> None:
    """PL-7: a plan whose stored content does not have its digest is DigestMismatch, whichever part was changed."""
    plan = make_plan(0, make_set("new"), projection={"savings": 1})
    changed = {
        "routes": replace(plan, result=replace(plan.result, proposed_routes=make_set("other"))),
        "a route": replace(plan, result=replace(plan.result, proposed_routes=make_set("new", 2))),
        "the projection": replace(plan, result=replace(plan.result, projection={"savings": 2})),
        "the digest": replace(plan, digest="0" * 64),
    }
    for what, tampered in changed.items():
        kept = insert(units, replace(tampered, id=make_plan().id))
        error = expect_refused(units, DigestMismatch, f"a plan with another {what}", _applying(kept))
        expect_equal(error.wanted, kept.digest, "the digest that the error names")
    replace_live(units, [])
    moved = insert(units, replace(plan, base_revision=live(units).revision))
    expect_refused(units, DigestMismatch, "a plan with another base revision", _applying(moved))


@suite.check
def another_review_is_refused(units: Plans) -> None:
    """PL-7: when the caller reviewed something else, it is DigestMismatch; the true digest is accepted."""
    plan = add_plan(units, make_set("new"))
    for digest in ("", "0" * 64, plan.digest.upper(), plan.digest[:-1]):
        expect_refused(units, DigestMismatch, f"a review of {digest!r}", _applying(plan, digest))
    units.run(_applying(plan, plan.digest))
    expect_equal(present(units, plan).status, PlanStatus.APPLIED, "the plan's status")
    expect_refused(units, DigestMismatch, "a repeated call that reviewed something else", _applying(plan, "0" * 64))


@suite.check
def a_table_that_moved_on_is_refused(units: Plans) -> None:
    """PL-7: a plan for another revision of the routing table is StalePlan with both numbers."""
    stale = [add_plan(units, make_set(f"stale-{number}")) for number in range(2)]
    winner = add_plan(units, make_set("winner"))
    apply(units, winner)
    stale += [insert(units, make_plan(live(units).revision + 1, make_set("early"))), insert(units, make_plan(0))]
    for plan in stale:
        error = expect_refused(units, StalePlan, "a stale plan", _applying(plan))
        expect_equal((error.base, error.actual), (plan.base_revision, live(units).revision), "the error's revisions")
    revert(units, winner)
    expect_refused(units, StalePlan, "a plan of before, with the same routes live again", _applying(stale[0]))
    fresh = add_plan(units, make_set("fresh"))
    apply(units, fresh)
    expect_equal(ids(live(units).routes), ids(make_set("fresh")), "the live routes")


@suite.check
def one_of_many_plans_is_applied(units: Plans) -> None:
    """PL-7: of many plans for one revision that are applied at the same time one is, and the others are stale."""
    for _ in range(5):
        plans = [add_plan(units, make_set(f"plan-{number}")) for number in range(_CONTENDERS)]
        answers = at_once([_in_a_unit(units, plan) for plan in plans])
        won = [place for place, answer in enumerate(answers) if isinstance(answer, Application)]
        expect_equal(len(won), 1, f"how many were applied, of the answers {answers}")
        expect(all(isinstance(a, Application | StalePlan) for a in answers), f"the answers are {answers}")
        winner = plans[won[0]]
        expect_equal(ids(live(units).routes), ids(winner.result.proposed_routes), "the live routes")
        rows = [len(audit_rows(units, plan)) for plan in plans]
        expect_equal(rows, [int(plan is winner) for plan in plans], "audit rows, by plan")


@suite.check
def plans_are_kept_as_they_are(units: Plans) -> None:
    """PL-7: what is reviewed reads back the same, by get and by list, in the order in which it was written."""
    routes = [make_route("z", model="z"), make_route("a", model="a", tags={"b": "1", "a": "2"})]
    plan = insert(units, make_plan(7, routes, projection=_PROJECTION))
    for found in (present(units, plan), units.run(lambda ports: ports.plans.list()).items[0]):
        expect_equal(found, plan, "the plan")
        expect_json(found.result.projection, _PROJECTION, "the projection")
    failed = insert(units, failed_plan(3))
    expect_equal(present(units, failed), failed, "the failed plan")
    apply(units, insert(units, make_plan(0, routes, projection=_PROJECTION)))


@suite.check
def what_is_no_plan_is_refused(units: Plans) -> None:
    """PL-7: an id that is taken is PlanExists; a plan that begins as applied, has no JSON or a field of
    another type is InvalidPlan, and spoils no list."""
    plan = insert(units, make_plan(0, make_set("new")))
    again = replace(make_plan(0, make_set("other")), id=plan.id)
    expect_refused(units, PlanExists, "an id that is taken", _inserting(again))
    made = make_plan(0, make_set("new"))
    odd = {
        "applied": replace(made, status=PlanStatus.APPLIED, applied_at=LONG_AGO),
        "reverted": replace(made, status=PlanStatus.REVERTED),
        "with an inverse": replace(made, inverse=[]),
        "with a revision": replace(made, applied_revision=0),
        "with NaN": replace(made, result=PlanResult(projection={"savings": float("nan")})),
        "with a huge number": replace(made, result=PlanResult(projection={"savings": 2**60})),
        "for a huge revision": replace(made, base_revision=2**70),
        "with a list": replace(made, result=PlanResult(projection=[])),  # type: ignore[arg-type]
        "of no status": replace(made, status="done"),  # type: ignore[arg-type]
        "without a digest": replace(made, digest=None),  # type: ignore[arg-type]
        "of no id": replace(made, id="x"),  # type: ignore[arg-type]
    }
    for revision in ("1", 0.5, True, None):
        odd[f"for the revision {revision!r}"] = replace(made, base_revision=revision)  # type: ignore[arg-type]
    for what, wrong in odd.items():
        expect_refused(units, InvalidPlan, f"a plan {what}", _inserting(wrong))


@suite.check
def plans_newest_first(units: Plans) -> None:
    """PL-7: list gives the plans to review, newest first, ties of time included, by status and by page."""
    for minute in (3, 1, 2, 2, 2, 0):
        insert(units, make_plan(minute, created_at=LONG_AGO + timedelta(minutes=minute)))
    whole = _list(units, None).items
    expect_equal([plan.base_revision for plan in whole], [3, 2, 2, 2, 1, 0], "the plans by age")
    for limit in (1, 2, 3, 6, 7, 1 << 40):
        expect_equal(_all_pages(units, limit), whole, f"the pages of {limit}, put together")
    failed = insert(units, failed_plan(9))
    expect_equal(_list(units, PlanStatus.FAILED), Page([failed], None), "the failed plans")
    expect_equal(_list(units, PlanStatus.PROJECTED).items, whole, "the projected plans")
    expect_equal(_list(units, PlanStatus.APPLIED), Page([], None), "the applied plans")


@suite.check
def lists_follow_the_status(units: Plans) -> None:
    """PL-7: a plan is listed under the status it has now."""
    for status, plan in in_every_status(units).items():
        expect_equal(_list(units, status).items, [present(units, plan)], f"the {status} plans")


@suite.check
def bad_limits_and_cursors_are_refused(units: Plans) -> None:
    """PL-7: a negative limit and a malformed cursor are ValueErrors; a limit of 0 is an empty page."""
    insert(units, make_plan())
    expect_equal(_list(units, None, 0).items, [], "the page of 0")
    for status in (None, PlanStatus.PROJECTED):
        expect_raises(ValueError, "a negative limit", lambda status=status: _list(units, status, -1))  # type: ignore[misc]
        for cursor in ("", "x", "1", "1.", "1.2.3", "1;DROP TABLE plan_runs", f"{'9' * 40}.1"):
            expect_raises(ValueError, f"after={cursor!r}", lambda cursor=cursor: _list(units, None, 1, cursor))  # type: ignore[misc]
    expect_equal(len(everything(units)[1]), 1, "the number of plans")


def _applying(plan: PlanRun, reviewed: str | None = None) -> Callable[[PlanPorts], Application]:
    return lambda ports: ports.apply(plan.id, reviewed=reviewed)


def _in_a_unit(units: Plans, plan: PlanRun) -> Callable[[], object]:
    return lambda: apply(units, plan)


def _inserting(plan: PlanRun) -> Callable[[PlanPorts], None]:
    return lambda ports: ports.plans.insert(plan)


def _list(units: Plans, status: PlanStatus | None, limit: int | None = None, after: str | None = None) -> Page[PlanRun]:
    return units.run(lambda ports: ports.plans.list(status, limit=limit, after=after))


def _all_pages(units: Plans, limit: int) -> list[PlanRun]:
    items: list[PlanRun] = []
    page = _list(units, None, limit)
    while True:
        expect(len(page.items) <= limit, f"a page of {limit} holds {len(page.items)} plans")
        items += page.items
        if page.next is None:
            return items
        expect(len(items) < 100, "the pages do not end")
        page = _list(units, None, limit, page.next)
