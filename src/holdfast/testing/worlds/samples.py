"""The suite of stateful services, and what its checks have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from threading import Event, Lock, Thread
from typing import Any

from holdfast.testing.conformance import Suite, expect, expect_equal, patience
from holdfast.testing.shapes import Shape, parts_of
from holdfast.testing.worlds.subject import ServiceSubject
from holdfast.worlds import Delta, Scope, StateChange, StatefulService, StateView
from holdfast.worlds.model import apply_delta, encode_view

Subject = ServiceSubject[Any]
View = StateView[Any]
Resources = dict[str, Any]

suite: Suite[Subject] = Suite(
    "StatefulService",
    Shape(
        "Yield a ServiceSubject of holdfast.testing: your service, and a client of it that the checks can command.",
        (*parts_of(StatefulService, "service"), *parts_of(ServiceSubject)),
    ),
)
HERE = Scope("111122223333", "us-east-1")
ELSEWHERE = (Scope("111122223333", "eu-west-1"), Scope("444455556666", "us-east-1"))
BAD_NAMES = ("", ".", "..", "a/b", "a b", "-a", "a\0", "\ud800", "é", "x" * 65)


class Heard:
    """A listener that keeps what it is told."""

    def __init__(self, subject: Subject) -> None:
        self._notifier = subject.service.notifier
        self._lock = Lock()
        self._changes: list[StateChange[Any]] = []

    def __call__(self, change: StateChange[Any]) -> None:
        with self._lock:
            self._changes.append(change)

    def take(self) -> list[StateChange[Any]]:
        """What was told since the last time, once everything was told."""
        expect(self._notifier.drain(patience.get()), "the listeners were not told everything in time")
        with self._lock:
            taken, self._changes = self._changes, []
        return taken

    def nothing(self, what: str) -> None:
        """Nothing was told; ``what`` was no mutation."""
        expect_equal([change.delta for change in self.take()], [], f"what was told after {what}")


@contextmanager
def listening(subject: Subject) -> Iterator[Heard]:
    """A listener for the block."""
    heard = Heard(subject)
    with subscribed(subject, heard):
        yield heard


@contextmanager
def subscribed(subject: Subject, *listeners: Callable[[StateChange[Any]], None]) -> Iterator[None]:
    """Have the listeners told during the block, in this order."""
    ends = [subject.service.notifier.subscribe(listener) for listener in listeners]
    try:
        yield
    finally:
        for end in ends:
            end()


def happens(event: Event, what: str) -> None:
    """Wait for ``event``, which must come."""
    expect(event.wait(patience.get()), f"{what} did not happen")


def aside(act: Callable[[], object]) -> Future[object]:
    """Have ``act`` done in a thread of its own."""
    future: Future[object] = Future()

    def run() -> None:
        try:
            future.set_result(act())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future


def finishes(future: Future[object], what: str) -> None:
    """Wait for ``future``, which must come; raises its error."""
    expect(bool(wait([future], patience.get()).done), f"{what} did not come to an end")
    future.result()


def put(subject: Subject, variants: dict[int, int], scope: Scope = HERE) -> View:
    """Put these numbers in these variants; returns the snapshot."""
    for n, variant in variants.items():
        subject.put(*scope, n, variant)
    return snap(subject, scope)


def remove(subject: Subject, numbers: Iterable[int], scope: Scope = HERE) -> View:
    """Remove these numbers; returns the snapshot."""
    for n in numbers:
        subject.remove(*scope, n)
    return snap(subject, scope)


def snap(subject: Subject, scope: Scope = HERE) -> View:
    """The snapshot."""
    return subject.service.snapshot(*scope)


def with_resources(view: View, resources: Resources) -> View:
    """``view`` with other resources."""
    return type(view)(service=view.service, version=view.version, resources=resources, not_captured=view.not_captured)


def expect_view(found: View, wanted: View, what: str) -> None:
    """Equal to the byte of their canonical JSON.

    Raises:
        Violation: they differ.
    """
    expect_equal(encode_view(found), encode_view(wanted), what)


def expect_resources(found: View, wanted: Resources, what: str) -> None:
    """The view's resources are these, to the byte.

    Raises:
        Violation: they are not.
    """
    expect_view(found, with_resources(found, wanted), what)


def differing(first: View, second: View) -> list[str]:
    """The names of what both have, differently."""
    both = first.resources.keys() & second.resources.keys()
    return sorted(name for name in both if first.resources[name] != second.resources[name])


def added(before: View, after: View) -> list[str]:
    """The names of what only ``after`` has."""
    return sorted(after.resources.keys() - before.resources.keys())


def fold(before: View, deltas: Sequence[Delta[Any]]) -> list[View]:
    """The states to which the deltas lead, one after the other.

    Raises:
        Violation: a delta does not begin where the one before it ended.
    """
    resources = dict(before.resources)
    states: list[View] = []
    for delta in deltas:
        for change in delta:
            expect_equal(resources.get(change.resource), change.before, f"{change.resource!r} before a change")
            expect(change.before != change.after, f"the change of {change.resource!r} changes nothing")
        apply_delta(resources, delta)
        states.append(with_resources(before, dict(resources)))
    return states


def told(changes: Sequence[StateChange[Any]]) -> list[Delta[Any]]:
    """The deltas of what a listener was told."""
    return [change.delta for change in changes]
