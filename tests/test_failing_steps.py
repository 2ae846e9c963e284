"""Whatever a step or a workflow raises becomes that call's outcome, alike on the first run and on replay (FL-10)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from holdfast import FlowFailed, Holdfast, StepFailed, Transaction, step, workflow
from tests.fleet import rows
from tests.half_way import SECONDS, Gate, add, sound


class Declined(Exception):
    """Comes back from its arguments."""

    def __init__(self, reason: str, amount: int) -> None:
        super().__init__(reason, amount)
        self.reason = reason
        self.amount = amount


class Peculiar(Exception):
    """Cannot be rebuilt from its arguments."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


@step(raises=(Declined, Peculiar))
async def charge(amount: int) -> None:
    raise Peculiar("a", "b") if amount < 0 else Declined("no funds", amount)


@pytest.fixture
def replayed(sqlite_url: str) -> Iterator[Callable[[Callable[[], Awaitable[Any]]], list[Any]]]:
    """Runs the body of a workflow, cuts its worker off behind it, and runs it again: what both runs saw."""

    def run(body: Callable[[], Awaitable[Any]]) -> list[Any]:
        gate = Gate()
        seen: list[Any] = []

        @workflow(name="replayed")
        async def again() -> None:
            seen.append(await body())
            await gate.step()

        with Holdfast(sqlite_url, workflows=[again], drain=0) as hf:
            handle = hf.start(again)
            assert gate.reached.wait(SECONDS)
        gate.opened = True
        with Holdfast(sqlite_url, workflows=[again]) as hf:
            hf.handle(handle.id).result(timeout=SECONDS)
        return seen

    return run


Replayed = Callable[[Callable[[], Awaitable[Any]]], list[Any]]


def test_declared_exceptions_arrive_as_themselves_live_and_replayed(replayed: Replayed) -> None:
    async def body() -> Any:
        try:
            await charge(17)
        except Declined as error:
            return type(error), error.reason, error.amount

    assert replayed(body) == [(Declined, "no funds", 17)] * 2


def test_what_cannot_be_rebuilt_arrives_as_step_failed_live_and_replayed(replayed: Replayed) -> None:
    async def body() -> Any:
        try:
            await charge(-1)
        except StepFailed as error:
            return error.kind, error.detail

    assert replayed(body) == [(f"{__name__}.Peculiar", "a")] * 2


class Mute(Exception):
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Numbered(Exception):
    """Has another kind of message."""

    message = 17


class Talkative(Exception):
    """Whatever is asked of it fails."""

    @property
    def message(self) -> str:
        raise KeyError("message")

    @property
    def remedy(self) -> str:
        raise KeyError("remedy")


RAISED = {
    "mute": Mute(),
    "numbered": Numbered("it has a text"),
    "talkative": Talkative("it has a text"),
    "long": ValueError("x" * 10_000_000),
    "surrogate": ValueError("\ud800 and \0"),
    "exit": SystemExit(3),
    "base": BaseException("neither an error nor an exit"),
    "cancelled": asyncio.CancelledError(),
    "stop": StopAsyncIteration(),
    "group": BaseExceptionGroup("several", [SystemExit(1), ValueError("one")]),
}


@step
async def fail(kind: str) -> None:
    raise RAISED[kind]


@step
def fail_in_a_thread(kind: str) -> None:
    raise SystemExit(3) if kind == "exit" else StopIteration


@step
def fail_in_a_transaction(tx: Transaction, kind: str) -> None:
    raise SystemExit(3) if kind == "exit" else StopIteration if kind == "stop" else asyncio.CancelledError


CASES = [
    *((fail, kind) for kind in RAISED),
    *((fail_in_a_thread, kind) for kind in ("exit", "stop")),
    *((fail_in_a_transaction, kind) for kind in ("exit", "stop", "cancelled")),
]


@pytest.mark.parametrize(("bad", "kind"), CASES, ids=lambda value: getattr(value, "name", value))
def test_whatever_a_step_raises_is_recorded_and_harms_nobody_else(bad: Any, kind: str, sqlite_url: str) -> None:
    @workflow(name="fails")
    async def fails() -> str:
        try:
            await bad(kind)
        except StepFailed as error:
            return error.kind
        return "no error"

    with Holdfast(sqlite_url, workflows=[fails, sound]) as hf:
        assert hf.start(fails).result(timeout=SECONDS) != "no error"
        ((status, error),) = rows(hf, "SELECT status, error FROM steps")
        assert status == "failed"
        assert json.loads(error)["kind"]
        assert len(error) < 1_000_000
        assert hf.start(sound, 5).result(timeout=SECONDS) == 7


@pytest.mark.parametrize("raised", RAISED.values(), ids=RAISED)
def test_whatever_a_workflow_raises_fails_that_flow_alone(raised: BaseException, sqlite_url: str) -> None:
    @workflow(name="raises")
    async def raises() -> None:
        await add(1, 2)
        raise raised

    with Holdfast(sqlite_url, workflows=[raises, sound]) as hf:
        with pytest.raises(FlowFailed) as failed:
            hf.start(raises).result(timeout=SECONDS)
        assert failed.value.kind.endswith(type(raised).__name__)
        assert hf.start(sound, 5).result(timeout=SECONDS) == 7


def test_a_unit_of_work_that_raises_stop_iteration_is_answered(store_url: str) -> None:
    async def main() -> None:
        async with Holdfast(store_url, worker=False) as hf:
            with pytest.raises(RuntimeError, match="StopIteration"):
                await hf.store.arun(lambda tx: next(iter(tx.fetch("SELECT 1 WHERE 1 = 0"))))

    asyncio.run(main())
