"""A mock AWS interrupted by Ctrl-C anywhere in the gate's own work: the gate opens, and each has what it had."""

from __future__ import annotations

import dis
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

import pytest
from moto.sqs.models import sqs_backends

from holdfast.worlds.aws import AwsWorld, at_work, gate, instruments, universe
from holdfast.worlds.aws.gate import GATE, Gate

A, REGION = "111111111111", "us-east-1"
OURS = {module.__file__ for module in (at_work, gate, universe)}
LOOKS_FOR_SIGNALS = ("CALL", "RESUME", "JUMP_BACKWARD", "POP_JUMP_BACKWARD")
"""How the names of the instructions begin after which the interpreter does."""


class Interruption:
    """Raises ``KeyboardInterrupt`` at the given one of all places in the gate's own work where a signal could.

    Args:
        countdown: places before that one.
    """

    def __init__(self, countdown: int) -> None:
        self.countdown = countdown
        self.at = ""
        self._last: dict[FrameType, int] = {}

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code.co_filename not in OURS:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            last = self._last.get(frame, 0)
            self._last[frame] = frame.f_lasti
            if _opname(frame, last).startswith(LOOKS_FOR_SIGNALS):
                self._count(frame, last)
        elif event == "return":
            self._last.pop(frame)  # it would keep alive what the function had
        return self

    def _count(self, frame: FrameType, last: int) -> None:
        self.countdown -= 1
        if self.countdown < 0 and not self.at:
            self.at = f"{frame.f_code.co_qualname}, line {frame.f_lineno}, {_opname(frame, last)}"
            self._last.clear()
            raise KeyboardInterrupt


def _opname(frame: FrameType, at: int) -> str:
    return dis.opname[frame.f_code.co_code[at]]


def interruptions(work: Callable[[], None]) -> Iterator[str]:
    """Do it again and again, interrupted at each place in turn; gives the place each time."""
    place = 0
    while True:
        interruption = Interruption(place)
        before = sys.gettrace()
        sys.settrace(interruption)
        try:
            work()
        except KeyboardInterrupt:
            assert interruption.at
        finally:
            sys.settrace(before)
        if not interruption.at:
            assert place > 10
            return
        yield interruption.at
        place += 1


def in_another_thread(work: Callable[[], Any]) -> bool:
    """Whether another thread does it within 5 seconds."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(5)
    return not thread.is_alive()


def enter(one: Any) -> None:
    with one:
        pass


def assert_open(world: AwsWorld, place: str) -> None:
    assert GATE.depth == 0, place
    assert not GATE._waiting, place
    assert not world.at_work._entered.entries, place
    assert instruments.at_work is None, place
    assert in_another_thread(lambda: enter(world.at_work)), place


def made(world: AwsWorld) -> list[str]:
    with world.at_work:
        return queues_there()


def queues_there() -> list[str]:
    return list(sqs_backends[A][REGION].queues)


@pytest.fixture
def plain() -> Iterator[None]:
    """What somebody has in the emulator without any world."""
    sqs_backends[A][REGION].create_queue("plain", {})
    yield
    assert queues_there() == ["plain"]
    sqs_backends.clear()
    universe._used.remove(sqs_backends)


@pytest.fixture
def world(plain: None) -> Iterator[AwsWorld]:
    yield from filled("mine")


@pytest.fixture
def other(plain: None) -> Iterator[AwsWorld]:
    yield from filled("other")


def filled(name: str) -> Iterator[AwsWorld]:
    world = AwsWorld(account=A)
    world.client("sqs").create_queue(QueueName=name)
    yield world
    world.close()


def test_a_world_interrupted_while_it_is_entered_or_left(world: AwsWorld) -> None:
    for place in interruptions(lambda: enter(world.at_work)):
        assert queues_there() == ["plain"], place
        assert_open(world, place)
        assert made(world) == ["mine"], place


def test_worlds_interrupted_within_one_another(world: AwsWorld, other: AwsWorld) -> None:
    def work() -> None:
        with world.at_work:
            enter(other.at_work)
            enter(world.at_work)
            assert queues_there() == ["mine"]

    for place in interruptions(work):
        assert queues_there() == ["plain"], place
        assert_open(world, place)
        assert (made(world), made(other)) == (["mine"], ["other"]), place


def test_who_catches_the_interruption_works_on_in_the_outer_world(world: AwsWorld, other: AwsWorld) -> None:
    with world.at_work:
        for place in interruptions(lambda: enter(other.at_work)):
            assert (GATE.depth, instruments.at_work) == (1, world), place
            assert queues_there() == ["mine"], place
    assert_open(world, "at the end")


def test_a_world_may_be_entered_by_a_stack_of_contexts(world: AwsWorld) -> None:
    with ExitStack() as stack:
        stack.enter_context(world.at_work)
        assert queues_there() == ["mine"]
    assert queues_there() == ["plain"]
    assert_open(world, "at the end")


def test_a_switch_that_is_interrupted_twice_loses_nothing(world: AwsWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: universe.Universe) -> None:
        universe._used.clear()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(universe.Universe, "_put", failing)
        with pytest.raises(KeyboardInterrupt):
            world._universe.appear()
    assert universe._present is universe._nobody
    assert made(world) == ["mine"]
    assert queues_there() == ["plain"]


def test_a_universe_interrupted_while_it_appears_leaves_the_former_one(plain: None) -> None:
    one = universe.Universe()
    for place in interruptions(one.appear):
        assert universe._present is None, place
        assert queues_there() == ["plain"], place
    assert universe._present is one
    one.vanish()


def test_the_end_of_a_universe_interrupted_leaves_the_former_one(world: AwsWorld) -> None:
    with world.at_work:
        for place in interruptions(lambda: universe.Universe().end()):
            assert queues_there() == ["mine"], place


def test_the_gate_interrupted_opens() -> None:
    """But where the first step of ``__exit__`` is interrupted, which nothing in it can catch: it is held then. Worlds
    open it even so."""
    one = Gate()
    for place in interruptions(lambda: enter(one)):
        if place.startswith("Gate.__exit__,") and place.endswith("RESUME"):
            assert one.depth == 1
            one.unwind(0)
        assert (one.depth, one._owner, list(one._waiting)) == (0, None, []), place
        assert in_another_thread(lambda: enter(one)), place


def test_who_is_interrupted_while_he_lets_others_in_is_inside() -> None:
    one = Gate()

    def work() -> None:
        with one:
            try:
                depth = one.leave()
            except KeyboardInterrupt:
                assert one.depth == 1
                raise
            try:
                one.come_back(depth)
            finally:
                one.come_back(depth)
                assert one.depth == 1

    for place in interruptions(work):
        one.unwind(0)
        assert (one.depth, list(one._waiting)) == (0, []), place
        assert in_another_thread(lambda: enter(one)), place


@contextmanager
def held(one: Gate, seconds: float = 10) -> Iterator[None]:
    """Another thread has it during the block, at most so long."""
    taken, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with one:
            taken.set()
            enough.wait(seconds)

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(5)
    try:
        yield
    finally:
        enough.set()
        thread.join(5)


def interrupted_after(seconds: float, work: Callable[[], None]) -> None:
    """Do it again and again until Ctrl-C comes."""
    main = threading.get_ident()
    begun: list[bool] = []

    def interrupt() -> None:
        while not begun:
            time.sleep(0.0001)
        time.sleep(seconds)
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # commands that ran in this process have their own
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - from the first step on
            begun.append(True)
            while True:
                work()
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)


def test_who_is_interrupted_while_he_waits_is_in_nobodys_way() -> None:
    one = Gate()
    with held(one):
        began = time.monotonic()
        interrupted_after(0.05, lambda: enter(one))
        assert time.monotonic() - began < 5
        assert not one._waiting
    assert in_another_thread(lambda: enter(one))


def test_a_handler_of_signals_that_uses_the_gate_does_not_keep_out_who_waits() -> None:
    one = Gate()
    handled: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        one.unwind(0)
        handled.append(number)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with held(one, 0.2):
            timer = threading.Timer(0.05, signal.pthread_kill, (threading.get_ident(), signal.SIGUSR1))
            timer.start()
            enter(one)
            timer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert handled
    assert in_another_thread(lambda: enter(one))


def test_real_signals(world: AwsWorld) -> None:
    for number in range(40):
        interrupted_after(0.0005 + number * 0.00005, lambda: enter(world.at_work))
        assert_open(world, f"signal {number}")
    assert made(world) == ["mine"]
