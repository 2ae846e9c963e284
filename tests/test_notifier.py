"""WO-5, WO-6: the notifier by itself."""

from __future__ import annotations

import gc
import logging
import threading

import pytest

from holdfast.worlds import Scope, StateChange, StateChangeNotifier, StateView

SECONDS = 30
Change = StateChange[str]


def change(revision: int) -> Change:
    return StateChange(
        Scope("account", "region"), "sample", revision, (), lambda: StateView(service="s", version=1, resources={})
    )


def test_each_listener_is_told_in_order_in_a_thread_of_its_own() -> None:
    notifier: StateChangeNotifier[str] = StateChangeNotifier()
    heard: list[list[int]] = [[], []]
    threads: list[set[str]] = [set(), set()]

    def listener(number: int) -> None:
        def listen(told: Change) -> None:
            heard[number].append(told.revision)
            threads[number].add(str(threading.get_ident()))

        notifier.subscribe(listen)

    for number in range(2):
        listener(number)
    for revision in range(200):
        notifier.publish(change(revision))
    assert notifier.drain(SECONDS)
    assert heard == [list(range(200))] * 2
    assert len(threads[0] | threads[1]) == 2
    assert str(threading.get_ident()) not in threads[0] | threads[1]


def test_a_listener_hears_nothing_from_before_or_after_its_time() -> None:
    notifier: StateChangeNotifier[str] = StateChangeNotifier()
    heard: list[int] = []
    notifier.publish(change(1))
    unsubscribe = notifier.subscribe(lambda told: heard.append(told.revision))
    notifier.publish(change(2))
    assert notifier.drain(SECONDS)
    unsubscribe()
    notifier.publish(change(3))
    unsubscribe()
    assert notifier.drain(SECONDS)
    assert heard == [2]


def test_what_is_queued_is_not_delivered_after_the_unsubscribe() -> None:
    notifier: StateChangeNotifier[str] = StateChangeNotifier()
    heard: list[int] = []
    reached, release, ended = threading.Event(), threading.Event(), threading.Event()

    def listener(told: Change) -> None:
        heard.append(told.revision)
        reached.set()
        release.wait(SECONDS)
        ended.set()

    unsubscribe = notifier.subscribe(listener)
    for revision in (1, 2, 3):
        notifier.publish(change(revision))
    assert reached.wait(SECONDS)
    unsubscribe()
    release.set()
    assert ended.wait(SECONDS)
    assert notifier.drain(SECONDS)
    assert heard == [1]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(2), KeyboardInterrupt()])
def test_a_listener_that_raises_goes_on_listening(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    notifier: StateChangeNotifier[str] = StateChangeNotifier()
    heard: list[int] = []

    def failing(told: Change) -> None:
        heard.append(told.revision)
        raise error

    notifier.subscribe(failing)
    with caplog.at_level(logging.ERROR, "holdfast.worlds"):
        for revision in (1, 2):
            notifier.publish(change(revision))
        assert notifier.drain(SECONDS)
    assert heard == [1, 2]
    assert [record.getMessage() for record in caplog.records] == ["a listener of sample failed"] * 2


def test_a_drain_that_takes_too_long_says_so() -> None:
    notifier: StateChangeNotifier[str] = StateChangeNotifier()
    assert notifier.drain(0)
    release = threading.Event()

    def listener(told: Change) -> None:
        release.wait(SECONDS)

    notifier.subscribe(listener)
    notifier.publish(change(1))
    assert not notifier.drain(0)
    release.set()
    assert notifier.drain(SECONDS)


def test_listeners_may_subscribe_publish_and_unsubscribe() -> None:
    """WO-6: from within a listener."""
    notifier: StateChangeNotifier[str] = StateChangeNotifier()
    heard: list[int] = []
    done = threading.Event()

    def late(told: Change) -> None:
        heard.append(told.revision)
        done.set()

    def listener(told: Change) -> None:
        unsubscribe()
        notifier.subscribe(late)
        notifier.publish(change(told.revision + 1))

    unsubscribe = notifier.subscribe(listener)
    notifier.publish(change(1))
    assert done.wait(SECONDS)
    assert heard == [2]


def test_no_thread_outlives_its_subscription_or_the_notifier() -> None:
    threads: list[threading.Thread] = []

    def listener(told: Change) -> None:
        threads.append(threading.current_thread())

    notifier: StateChangeNotifier[str] = StateChangeNotifier()
    unsubscribe = notifier.subscribe(listener)
    notifier.subscribe(listener)
    notifier.publish(change(1))
    assert notifier.drain(SECONDS)
    unsubscribe()
    del unsubscribe, notifier
    gc.collect()
    for thread in threads:
        thread.join(SECONDS)
    assert [thread.is_alive() for thread in threads] == [False, False]
