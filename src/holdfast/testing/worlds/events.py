"""Checks of telling listeners: WO-5, WO-6."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event
from typing import Any

from holdfast.testing.conformance import expect, expect_equal
from holdfast.testing.worlds.samples import (
    ELSEWHERE,
    HERE,
    Heard,
    Subject,
    View,
    aside,
    expect_view,
    finishes,
    fold,
    happens,
    listening,
    put,
    remove,
    snap,
    subscribed,
    suite,
    told,
)
from holdfast.worlds import MergeConflict, Scope, StateChange
from holdfast.worlds.model import encode_view

Change = StateChange[Any]


@suite.check
def every_mutation_is_told(subject: Subject) -> None:
    """WO-5: each kind of mutation is told with account, region, service, delta and the new state."""
    for scope in (HERE, ELSEWHERE[1]):
        view = put(subject, {1: 1, 7: 1}, scope)
        with listening(subject) as heard:
            for what, act in _mutations(subject, scope, view):
                before = snap(subject, scope)
                act()
                after = snap(subject, scope)
                changes = heard.take()
                expect(bool(changes), f"nothing was told of {what}")
                for change in changes:
                    expect_equal((change.scope, change.service), (scope, view.service), f"who was told of {what}")
                    expect(bool(change.delta), f"an empty delta was told of {what}")
                states = fold(before, told(changes))
                expect_view(states[-1], after, f"the state to which the deltas of {what} lead")
                for state, change in zip(states, changes, strict=True):
                    expect_view(change.view(), state, f"the view told of {what}")


@suite.check
def only_mutations_are_told(subject: Subject) -> None:
    """WO-5: reads and mutations that failed are told to nobody, and leave the state as it was."""
    service = subject.service
    view = put(subject, {1: 1, 2: 1})
    now = put(subject, {1: 2})
    with listening(subject) as heard:
        for n in (1, 9):
            subject.read(*HERE, n)
            heard.nothing(f"reading number {n}")
            subject.refused(*HERE, n)
            heard.nothing(f"refused mutations around number {n}")
            subject.read(*ELSEWHERE[0], n)
        service.decode(encode_view(service.snapshot(*HERE)))
        service.snapshot(*ELSEWHERE[1])
        service.merge(*HERE, view, dry_run=True)
        heard.nothing("snapshots and a dry run")
        try:
            service.merge(*HERE, view, policy="fail")
        except MergeConflict:
            heard.nothing("a merge that failed")
    expect_view(snap(subject), now, "the state after reads and failures")


@suite.check
def views_stay_those_of_their_revision(subject: Subject) -> None:
    """WO-5: an event's view is of the revision that caused it, whenever and however often it is asked for."""
    view = put(subject, {1: 1, 7: 1})
    kept: list[tuple[Change, str]] = []
    with listening(subject) as heard:
        for _, act in _mutations(subject, HERE, view):
            act()
            kept.append((heard.take()[-1], encode_view(snap(subject))))
    for _ in range(2):
        for change, text in reversed(kept):
            expect_equal(encode_view(change.view()), text, f"the view of revision {change.revision}, asked for late")


@suite.check
def changes_are_told_in_order(subject: Subject) -> None:
    """WO-5: whoever mutates from however many threads, the changes of a scope are told in the order in which they
    happened: revisions ascend and deltas join."""
    scopes = (HERE, ELSEWHERE[0])
    before = [put(subject, {1: 1, 2: 1, 3: 1}, scope) for scope in scopes]
    with listening(subject) as heard:
        writers = [aside(partial(_write, subject, scopes[n % 2], n)) for n in range(4)]
        for writer in writers:
            finishes(writer, "writing from several threads")
        changes = heard.take()
    for scope, view in zip(scopes, before, strict=True):
        own = [change for change in changes if change.scope == scope]
        revisions = [change.revision for change in own]
        expect_equal(revisions, sorted(set(revisions)), "the revisions told")
        states = fold(view, told(own))
        expect_view(states[-1], snap(subject, scope), "the state to which the deltas lead")
        for change, state in zip(own, states, strict=True):
            expect_view(change.view(), state, f"the view of revision {change.revision}")


@suite.check
def all_listeners_are_told(subject: Subject) -> None:
    """WO-5: every listener is told everything from its subscription on, and nothing from before it."""
    first, second = Heard(subject), Heard(subject)
    put(subject, {1: 1})
    with subscribed(subject, first):
        put(subject, {1: 2})
        early = first.take()
        with subscribed(subject, second):
            put(subject, {1: 3, 2: 1})
            expect_equal(_identities(second.take()), _identities(first.take()), "what the second listener was told")
    expect(bool(early), "the first listener was told nothing")


@suite.check
def a_failing_listener_harms_nobody(subject: Subject) -> None:
    """WO-5: a listener that raises fails neither the mutation nor other listeners, and is told the next change."""
    calls: list[Change] = []

    def failing(change: Change) -> None:
        calls.append(change)
        raise (ValueError, SystemExit)[len(calls) % 2]

    heard = Heard(subject)
    with subscribed(subject, failing, heard):
        for variant in (1, 2, 3, 4):
            put(subject, {1: variant})
        changes = heard.take()
    expect(len(changes) >= 4, f"another listener was told {len(changes)} changes of 4 or more")
    expect_equal(_identities(calls), _identities(changes), "what the failing listener was told")


@suite.check
def a_slow_listener_delays_nobody(subject: Subject) -> None:
    """WO-5: while a listener is busy, mutations and snapshots go on and others are told; later it hears it all."""
    busy, release = Event(), Event()
    slow: list[Change] = []

    def listener(change: Change) -> None:
        slow.append(change)
        busy.set()
        release.wait()

    others_told = Event()
    last = Heard(subject)

    def other(change: Change) -> None:
        last(change)
        if change.scope == ELSEWHERE[0]:
            others_told.set()

    try:
        with subscribed(subject, listener, other):
            finishes(aside(lambda: put(subject, {1: 1})), "a mutation with a slow listener")
            happens(busy, "telling the slow listener")
            finishes(aside(lambda: put(subject, {1: 2, 2: 1})), "a mutation while a listener is busy")
            finishes(aside(lambda: put(subject, {1: 1}, ELSEWHERE[0])), "a mutation elsewhere meanwhile")
            happens(others_told, "telling the other listener meanwhile")
            release.set()
            expect_equal(_identities(last.take()), _identities(slow), "what the slow listener was told in the end")
    finally:
        release.set()


@suite.check
def listeners_are_called_outside_the_lock(subject: Subject) -> None:
    """WO-5: when a listener is called, the mutation is done and holds no lock: the state is the new one, and the
    listener can wait for other threads that read and mutate."""
    answered = Event()
    seen: list[View] = []

    def listener(change: Change) -> None:
        if seen:
            return
        seen.append(snap(subject, change.scope))
        finishes(aside(lambda: put(subject, {2: 1})), "a mutation that the listener waits for")
        answered.set()

    with subscribed(subject, listener):
        finishes(aside(lambda: subject.put(*HERE, 1, 1)), "the mutation told")
        happens(answered, "the answer that the listener waits for")
    expect(bool(seen[0].resources), "the listener was called before the mutation was done")


@suite.check
def unsubscribed_listeners_are_left_alone(subject: Subject) -> None:
    """WO-5: after its unsubscribe, which may be called twice, and by itself, a listener is told nothing more; others
    are."""
    gone, stays = Heard(subject), Heard(subject)
    once: list[Change] = []
    notifier = subject.service.notifier
    with subscribed(subject, stays):
        end = notifier.subscribe(gone)

        def leave(change: Change) -> None:
            once.append(change)
            end_itself()

        end_itself = notifier.subscribe(leave)
        subject.put(*HERE, 1, 1)
        expect(bool(gone.take()), "the listener was told nothing while it listened")
        end()
        put(subject, {1: 2, 2: 1})
        end()
        gone.nothing("the unsubscribe")
        expect(len(stays.take()) >= 3, "a listener that stayed was not told everything")
    expect_equal(len(once), 1, "the number of changes told to a listener that left during the first")


@suite.check
def notify_forwards_a_snapshot(subject: Subject) -> None:
    """WO-6: ``notify_state_changed`` hands every listener the present state, without a delta; it changes nothing."""
    full = put(subject, {1: 1, 2: 1})
    with listening(subject) as first, listening(subject) as second:
        for scope, view in ((HERE, full), (ELSEWHERE[0], snap(subject, ELSEWHERE[0]))):
            subject.service.notify_state_changed(*scope)
            for heard in (first, second):
                changes = heard.take()
                found = [(change.scope, change.service, change.delta) for change in changes]
                expect_equal(found, [(scope, view.service, ())], "what a listener was told")
                expect_view(changes[0].view(), view, "the view that was forwarded")
            put(subject, {1: 2}, scope)
            first.take()
            second.take()
            expect_view(changes[0].view(), view, "the view that was forwarded, asked for late")


@suite.check
def notify_may_be_called_by_a_listener(subject: Subject) -> None:
    """WO-6: called within a listener, ``notify_state_changed`` returns, and what it forwards is told after that."""
    returned, forwarded = Event(), Event()
    calls: list[Change] = []
    put(subject, {1: 1})  # so that the next one may be one mutation

    def listener(change: Change) -> None:
        calls.append(change)
        if len(calls) == 1:
            subject.service.notify_state_changed(*change.scope)
            returned.set()
        elif not change.delta:
            forwarded.set()

    with subscribed(subject, listener):
        finishes(aside(lambda: subject.put(*HERE, 1, 2)), "the mutation")
        happens(returned, "the return of notify_state_changed within a listener")
        happens(forwarded, "telling what it forwards")
    expect_view(calls[-1].view(), snap(subject), "the view that was forwarded")


def _mutations(subject: Subject, scope: Scope, view: View) -> list[tuple[str, Callable[[], object]]]:
    """One of each kind; ``view``: of numbers 1 and 7 in variant 1."""
    return [
        ("a creation", lambda: subject.put(*scope, 2, 1)),
        ("a change", lambda: subject.put(*scope, 1, 2)),
        ("a pair", lambda: subject.put_pair(*scope, 2, 3, 2)),
        ("a removal", lambda: remove(subject, (2,), scope)),
        ("a merge", lambda: subject.service.merge(*scope, view, policy="replace")),
        ("a change again", lambda: subject.put(*scope, 7, 3)),
        ("a restore", lambda: subject.service.restore(*scope, view)),
        ("a creation again", lambda: subject.put(*scope, 2, 1)),
    ]


def _write(subject: Subject, scope: Scope, n: int) -> None:
    for variant in range(8):
        subject.put(*scope, n % 3 + 1, 100 * n + variant + 2)
        subject.put_pair(*scope, 10 + n, 20 + n, variant + 1)


def _identities(changes: list[Change]) -> list[tuple[Scope, int]]:
    return [(change.scope, change.revision) for change in changes]
