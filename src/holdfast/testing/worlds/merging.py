"""Checks of merge: WO-3, WO-4."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, get_args

from holdfast.testing.conformance import expect_equal, expect_raises
from holdfast.testing.worlds.samples import (
    HERE,
    Subject,
    View,
    added,
    differing,
    expect_resources,
    expect_view,
    listening,
    put,
    remove,
    snap,
    suite,
    told,
)
from holdfast.worlds import MergeConflict, MergeReport, diff
from holdfast.worlds.merging import Policy

POLICIES: tuple[Policy, ...] = get_args(Policy)


@suite.check
def merge_adds_what_is_missing(subject: Subject) -> None:
    """WO-3: what only the view has is added, what only the state has stays, and what both have alike is nothing."""
    view = put(subject, {1: 1, 2: 1, 3: 1})
    remove(subject, (1, 3))
    now = put(subject, {4: 1})
    report = subject.service.merge(*HERE, view)
    merged = snap(subject)
    expect_resources(merged, {**view.resources, **now.resources}, "the state merged")
    expect_equal(list(report.added), added(now, view), "what the report says was added")
    expect_equal(report.conflicts, (), "the conflicts of a merge without any")
    expect_equal(report.delta, diff(now.resources, merged.resources), "the delta of the report")
    expect_equal((report.policy, report.dry_run), ("keep", False), "the policy and mode of the report")


@suite.check
def merge_loses_nothing(subject: Subject) -> None:
    """WO-3: by default, whatever was there is there afterwards as it was, collisions and all."""
    view, now = _collision(subject)
    subject.service.merge(*HERE, view)
    expect_resources(snap(subject), {**view.resources, **now.resources}, "the state merged")


@suite.check
def merge_into_nothing_is_the_view(subject: Subject) -> None:
    """WO-3: merged into an empty state, a view is restored; merged again, it is nothing; so is the empty view."""
    empty = snap(subject)
    view = put(subject, {1: 1, 2: 1, 3: 1})
    remove(subject, (1, 2, 3))
    service = subject.service
    expect_equal(list(service.merge(*HERE, view).added), sorted(view.resources), "what was added to nothing")
    expect_view(snap(subject), view, "the state merged into nothing")
    with listening(subject) as heard:
        for policy in POLICIES:
            for same in (view, snap(subject), empty):
                expect_equal(service.merge(*HERE, same, policy=policy), MergeReport(policy=policy), "the second report")
        heard.nothing("merging what is there")
    expect_view(snap(subject), view, "the state merged with itself")


@suite.check
def keep_keeps_and_reports(subject: Subject) -> None:
    """WO-4: by the policy ``keep`` every collision stays as it was, and is reported with both records."""
    view, now = _collision(subject)
    report = subject.service.merge(*HERE, view, policy="keep")
    expect_resources(snap(subject), {**view.resources, **now.resources}, "the state merged")
    _expect_conflicts(report, view, now, "kept")
    expect_equal(list(report.added), added(now, view), "what the report says was added")


@suite.check
def replace_replaces_the_collisions_alone(subject: Subject) -> None:
    """WO-4: by the policy ``replace`` the colliding resources become the view's, the report has their old records."""
    view, now = _collision(subject)
    report = subject.service.merge(*HERE, view, policy="replace")
    merged = snap(subject)
    expect_resources(merged, {**now.resources, **view.resources}, "the state merged")
    _expect_conflicts(report, view, now, "replaced")
    expect_equal(report.delta, diff(now.resources, merged.resources), "the delta of the report")


@suite.check
def fail_fails_whole(subject: Subject) -> None:
    """WO-4: by the policy ``fail`` a collision is MergeConflict with all of them, and nothing changes; without one,
    the view is merged."""
    view, now = _collision(subject)
    service = subject.service
    with listening(subject) as heard:
        error = expect_raises(MergeConflict, "a collision", lambda: service.merge(*HERE, view, policy="fail"))
        heard.nothing("a merge that failed")
    expect_view(snap(subject), now, "the state after the merge that failed")
    _expect_conflicts(error.report, view, now, "kept")
    remove(subject, (1, 2))
    rest = snap(subject)
    expect_equal(service.merge(*HERE, view, policy="fail").conflicts, (), "the conflicts of a merge without any")
    expect_resources(snap(subject), {**view.resources, **rest.resources}, "the state merged without collisions")


@suite.check
def dry_run_only_reports(subject: Subject) -> None:
    """WO-4: ``dry_run`` changes nothing, tells nobody, and reports what the merge would do, whatever the policy."""
    view, now = _collision(subject)
    service = subject.service
    for policy in POLICIES:
        with listening(subject) as heard:
            report = service.merge(*HERE, view, policy=policy, dry_run=True)
            heard.nothing(f"a dry run of {policy}")
        expect_view(snap(subject), now, f"the state after a dry run of {policy}")
        expect_equal(report.dry_run, True, "the mode of the report")
        expect_equal(replace(report, dry_run=False), _merged(subject, view, policy), f"the report of {policy}")
        service.restore(*HERE, now)


@suite.check
def other_policies_are_refused(subject: Subject) -> None:
    """WO-4: a policy that is none of the three is a ValueError, and nothing changes."""
    view, now = _collision(subject)
    policies: list[Any] = ["", "KEEP", "overwrite", None]
    for policy in policies:
        for dry_run in (False, True):
            act = partial(subject.service.merge, *HERE, view, policy=policy, dry_run=dry_run)
            expect_raises(ValueError, f"the policy {policy!r}", act)
    expect_view(snap(subject), now, "the state after other policies were refused")


@suite.check
def a_merge_is_one_mutation(subject: Subject) -> None:
    """WO-5: a merge that changes something is told once, with the report's delta."""
    view, _ = _collision(subject)
    with listening(subject) as heard:
        report = subject.service.merge(*HERE, view, policy="replace")
        expect_equal(told(heard.take()), [report.delta], "the deltas told of a merge")


def _collision(subject: Subject) -> tuple[View, View]:
    """A view and a present state: of 1 and 2 they differ, 3 is the same, 4 and 5 only one of them has."""
    view = put(subject, {1: 1, 2: 1, 3: 1, 4: 1})
    put(subject, {1: 2, 2: 2, 5: 1})
    return view, remove(subject, (4,))


def _merged(subject: Subject, view: View, policy: Policy) -> MergeReport[Any]:
    """The report of a real merge."""
    try:
        return subject.service.merge(*HERE, view, policy=policy)
    except MergeConflict as error:
        return error.report


def _expect_conflicts(report: MergeReport[Any], view: View, now: View, resolution: str) -> None:
    found = [(conflict.resource, conflict.mine, conflict.theirs, conflict.resolution) for conflict in report.conflicts]
    wanted = [(name, now.resources[name], view.resources[name], resolution) for name in differing(now, view)]
    expect_equal(found, wanted, "the conflicts")
