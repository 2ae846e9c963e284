"""Checks of the routing table: PL-8 and PL-14."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from holdfast.gateway import Route, Target, routes_digest
from holdfast.gateway.errors import AmbiguousRoutes, DuplicateRoute, InvalidRoute, RoutesMoved
from holdfast.gateway.model import MAX_PRIORITY, MAX_ROUTES
from holdfast.plans import PlanPorts, PlanResult
from holdfast.testing.conformance import expect_equal, expect_raises
from holdfast.testing.plans.samples import (
    STRONG,
    OutOfPaper,
    Plans,
    add_plan,
    apply,
    at_once,
    everything,
    expect_refused,
    ids,
    insert,
    live,
    make_plan,
    make_route,
    make_set,
    marking,
    replace_live,
    revert,
    suite,
)

_CALLERS = 8


@suite.check
def an_empty_table(units: Plans) -> None:
    """PL-8: a fresh table is empty, at revision 0."""
    found = live(units)
    expect_equal((found.revision, found.routes, found.digest), (0, (), routes_digest([])), "the fresh table")
    expect_equal(units.run(lambda ports: ports.routes.locked()), found, "the fresh table, locked")


@suite.check
def the_revision_only_grows(units: Plans) -> None:
    """PL-8: every change counts one revision up: also to an empty set, to the same set, and back by revert."""
    plan = make_plan(4, make_set("plan"))
    steps: list[Callable[[], object]] = [
        lambda: replace_live(units, make_set("a")),
        lambda: replace_live(units, make_set("a")),
        lambda: replace_live(units, []),
        lambda: replace_live(units, []),
        lambda: apply(units, insert(units, plan)),
        lambda: revert(units, plan),
        lambda: replace_live(units, make_set("b")),
    ]
    for number, step in enumerate(steps, 1):
        step()
        expect_equal(live(units).revision, number, f"the revision after {number} changes")


@suite.check
def replacing_answers_with_the_revision(units: Plans) -> None:
    """PL-8: replace_routes gives the new revision, and the whole set is in the place of the old one."""
    for number, routes in enumerate(([make_route("a")], make_set("b"), [], [make_route("a", target=STRONG)]), 1):
        expect_equal(replace_live(units, routes), number, "the answer")
        found = live(units)
        expect_equal((list(found.routes), found.digest), (routes, routes_digest(routes)), "what is live")
        expect_equal(units.run(lambda ports: ports.routes.locked()), found, "what is live, locked")


@suite.check
def a_caller_who_is_late_is_refused(units: Plans) -> None:
    """PL-8: with expected_revision a table that moved on is RoutesMoved with both numbers."""
    replace_live(units, make_set("a"))
    for expected in (0, 2, -1, 1 << 62):
        error = expect_refused(units, RoutesMoved, f"expecting {expected}", _replacing(make_set("b"), expected))
        expect_equal((error.expected, error.actual), (expected, 1), "the error's revisions")
    expect_equal(units.run(_replacing(make_set("b"), 1)), 2, "the answer for the true revision")


@suite.check
def a_change_that_fails_counts_nothing(units: Plans) -> None:
    """PL-8: a transaction that fails after a change leaves routes and revision as they were."""
    replace_live(units, make_set("a"))
    before = everything(units)

    def work(ports: PlanPorts) -> None:
        ports.routes.replace_routes(make_set("b"))
        raise OutOfPaper("The unit fails.")

    expect_raises(OutOfPaper, "a unit that fails", lambda: units.run(work))
    expect_equal(everything(units), before, "all there is after a unit that failed")


@suite.check
def changes_at_once_all_count(units: Plans) -> None:
    """PL-8: changes made at the same time count one revision each, and what is live is the whole set of the last."""
    answers = at_once([_in_a_unit(units, f"set-{number}") for number in range(_CALLERS)])
    revisions = sorted(answer if isinstance(answer, int) else -1 for answer in answers)
    expect_equal(revisions, list(range(1, _CALLERS + 1)), f"the revisions, of the answers {answers}")
    last = answers.index(_CALLERS)
    expect_equal(ids(live(units).routes), ids(make_set(f"set-{last}")), "the live routes")


@suite.check
def routes_are_in_order(units: Plans) -> None:
    """PL-14: the table gives the routes by priority, highest first, then by id in the order of code points."""
    wanted = [(9, "z"), (1, "10"), (1, "9"), (1, "B"), (1, "a"), (1, "é"), (1, "\ufffd"), (1, "😀"), (-2, "A")]
    routes = [make_route(name, priority=priority) for priority, name in wanted]
    for given in (routes, routes[::-1], routes[4:] + routes[:4]):
        replace_live(units, given)
        found = [(route.priority, route.id) for route in live(units).routes]
        expect_equal(found, wanted, "the order of the routes")
        expect_equal(live(units).digest, routes_digest(given), "the digest, whatever the order")


@suite.check
def ambiguous_ties_are_refused(units: Plans) -> None:
    """PL-14: two routes of one priority that overlap and differ in target are AmbiguousRoutes, naming both, whoever
    hands them over."""
    replace_live(units, make_set("old"))
    plan = add_plan(units, make_set("new"))
    for when, other in _OVERLAPPING:
        tie = [make_route("second", **other, target=STRONG), make_route("first", **when)]
        named = f"the tie of {when} and {other}"
        for act in (_replacing(tie), marking(plan.id, tie), _proposing(tie)):
            error = expect_refused(units, AmbiguousRoutes, named, act)
            expect_equal((error.first, error.second), ("first", "second"), "the routes that the error names")


@suite.check
def what_is_not_ambiguous_is_taken(units: Plans) -> None:
    """PL-14: routes that exclude each other, differ in priority, or share their target are no ambiguous tie."""
    for when, other in _EXCLUSIVE:
        replace_live(units, [make_route("a", **when), make_route("b", **other, target=STRONG)])
    for when, other in _OVERLAPPING:
        replace_live(units, [make_route("a", **when), make_route("b", **other, priority=1, target=STRONG)])
        replace_live(units, [make_route("a", **when), make_route("b", **other)])
        expect_equal(ids(live(units).routes), ["a", "b"], f"the live routes of {when} and {other}")


@suite.check
def malformed_routes_are_refused(units: Plans) -> None:
    """PL-14: an id twice, an empty or overlong name, a wrong type or too many routes: refused, nothing is written."""
    replace_live(units, make_set("old"))
    plan = add_plan(units, make_set("new"))
    twice = [make_route("a"), make_route("a")]
    sets: list[tuple[type[Exception], Sequence[Any]]] = [(DuplicateRoute, twice)]
    sets += [(InvalidRoute, [route]) for route in _malformed()]
    sets += [(InvalidRoute, [make_route(str(number)) for number in range(MAX_ROUTES + 1)])]
    for kind, routes in sets:
        for act in (_replacing(routes), marking(plan.id, routes), _proposing(routes)):
            expect_refused(units, kind, f"the routes {str(routes)[:200]}", act)


_OVERLAPPING: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"model": "gpt-4o"}, {"model": "gpt-*"}),
    ({"model": "*mini"}, {"model": "gpt*"}),
    ({"model": "a?c*"}, {"model": "*b?d"}),
    ({"key_id": "k"}, {}),
    ({"tags": {"team": "a"}}, {"tags": {"env": "b"}}),
    ({"tags": {"team": "a"}}, {"tags": {"team": "a", "env": "b"}}),
    ({"key_id": "k"}, {"tags": {"env": "b"}, "model": "x"}),
]
_EXCLUSIVE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"model": "gpt-4o"}, {"model": "gpt-4"}),
    ({"model": "gpt-4o"}, {"model": "GPT-4o"}),
    ({"model": "gpt-*"}, {"model": "claude-*"}),
    ({"model": "*-mini"}, {"model": "*-large"}),
    ({"model": "??"}, {"model": "???*"}),
    ({"model": "[ab]"}, {"model": "a"}),
    ({"key_id": "k"}, {"key_id": "l"}),
    ({"tags": {"team": "a"}}, {"tags": {"team": "b", "env": "c"}}),
]


def _malformed() -> Iterable[Any]:
    yield from (make_route(""), make_route("x" * 201), make_route("a\0"), make_route("\ud800"))
    yield from (make_route("a", priority=MAX_PRIORITY + 1), make_route("a", priority=True))
    yield from (make_route("a", model=""), make_route("a", key_id=""), make_route("a", tags={"": "b"}))
    yield from (make_route("a", tags={"b": 1}), make_route("a", tags={str(n): "" for n in range(33)}))
    yield from (
        make_route("a", target=Target(provider="", model="m")),
        make_route("a", target=Target(provider="p", model="")),
    )
    yield from ({"id": "a"}, None, Route(id=7, target=STRONG))  # type: ignore[arg-type]


def _replacing(routes: Iterable[Any], expected: int | None = None) -> Callable[[PlanPorts], int]:
    return lambda ports: ports.routes.replace_routes(routes, expected_revision=expected)


def _proposing(routes: Iterable[Route]) -> Callable[[PlanPorts], None]:
    run = replace(make_plan(), result=PlanResult(proposed_routes=list(routes)))
    return lambda ports: ports.plans.insert(run)


def _in_a_unit(units: Plans, label: str) -> Callable[[], int]:
    return lambda: replace_live(units, make_set(label))
