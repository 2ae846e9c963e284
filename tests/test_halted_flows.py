"""FL-19: changed code and foreign awaits halt that flow alone, with the remedy; once mended, it goes on."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from holdfast import FlowHalted, Holdfast, Workflow, step, workflow
from holdfast.flows import FlowStatus
from holdfast.flows.engine import loop as flow_loop
from holdfast.testing.crash.flows import Scenario, explore
from tests.crash_workflows import double
from tests.fleet import rows
from tests.half_way import SECONDS, Gate, add, echo, sound


def original(gate: Gate) -> Workflow[[], list[Any]]:
    @workflow(name="changing")
    async def changing() -> list[Any]:
        return [await add(1, 2), await echo("x"), await gate.step()]

    return changing


def other_step(gate: Gate) -> Workflow[[], list[Any]]:
    @workflow(name="changing")
    async def changing() -> list[Any]:
        return [await add(1, 2), await echo_too("x"), await gate.step()]

    @step
    async def echo_too(value: str) -> str:
        return value

    return changing


def other_arguments(gate: Gate) -> Workflow[[], list[Any]]:
    @workflow(name="changing")
    async def changing() -> list[Any]:
        return [await add(1, 3), await echo("x"), await gate.step()]

    return changing


def missing_step(gate: Gate) -> Workflow[[], list[Any]]:
    @workflow(name="changing")
    async def changing() -> list[Any]:
        return [await add(1, 2), await gate.step()]

    return changing


def other_order(gate: Gate) -> Workflow[[], list[Any]]:
    @workflow(name="changing")
    async def changing() -> list[Any]:
        return [await echo("x"), await add(1, 2), await gate.step()]

    return changing


def shorter(gate: Gate) -> Workflow[[], list[Any]]:
    @workflow(name="changing")
    async def changing() -> list[Any]:
        return [await add(1, 2)]

    return changing


def more_parameters(gate: Gate) -> Workflow[..., list[Any]]:
    @workflow(name="changing")
    async def changing(number: int) -> list[Any]:
        return [await add(1, 2), await echo("x"), await gate.step(), number]

    return changing


def stop_half_way(url: str, gate: Gate) -> UUID:
    """Start the original, and end its worker while it waits at the gate."""
    with Holdfast(url, workflows=[], drain=0) as hf:
        handle = hf.start(original(gate))
        assert gate.reached.wait(SECONDS)
    return handle.id


@pytest.mark.parametrize(
    ("changed", "expected", "found"),
    [
        (other_step, "a call echo#1", "waits for echo_too#1"),
        (other_arguments, "add#1 with other arguments", "called add#1 with these"),
        (missing_step, "a call echo#1", "waits for gate#1"),
        (other_order, "a call add#1", "waits for echo#1"),
        (shorter, "a call echo#1", "waits for nothing"),
    ],
)
def test_a_changed_workflow_halts_that_flow_alone(
    changed: Callable[[Gate], Workflow[[], list[Any]]], expected: str, found: str, sqlite_url: str
) -> None:
    """FL-19."""
    gate = Gate()
    flow_id = stop_half_way(sqlite_url, gate)
    with Holdfast(sqlite_url, workflows=[changed(gate), sound]) as hf:
        with pytest.raises(FlowHalted) as halted:
            hf.handle(flow_id).result(timeout=SECONDS)
        assert hf.start(sound, 5).result(timeout=SECONDS) == 7
        assert halted.value.kind == "holdfast.flows.errors.NonDeterminism"
        assert expected in halted.value.detail
        assert found in halted.value.detail
        assert "Bring back the code" in halted.value.remedy
        flow = hf.handle(flow_id).flow()
        assert (flow.status, flow.paused, flow.epoch) == (FlowStatus.RUNNING, True, None)
    gate.opened = True
    with Holdfast(sqlite_url, workflows=[original(gate)]) as hf:
        hf.resume(flow_id)
        assert hf.handle(flow_id).result(timeout=SECONDS) == [3, "x", "open"]
        assert [row[0] for row in rows(hf, "SELECT run_id FROM steps WHERE flow = 1 ORDER BY num")] == [
            "add#1@1",
            "echo#1@1",
            "gate#1@1",
        ]


def test_changed_parameters_halt_the_flow(sqlite_url: str) -> None:
    gate = Gate()
    flow_id = stop_half_way(sqlite_url, gate)
    with (
        Holdfast(sqlite_url, workflows=[more_parameters(gate)]) as hf,
        pytest.raises(FlowHalted, match="number"),
    ):
        hf.handle(flow_id).result(timeout=SECONDS)


@workflow(name="bad_input.leaves_a_task")
async def leaves_a_task(ledger: str) -> int:
    """Returns when its first step is recorded; that of the task it leaves behind is recorded in the same group."""
    own = asyncio.ensure_future(double(ledger, 1))
    left = asyncio.ensure_future(twice(ledger))
    assert not left.done()
    return await own


async def twice(ledger: str) -> None:
    await double(ledger, 2)
    await double(ledger, 3)


def test_what_is_recorded_after_the_workflow_returned_is_no_change(tmp_path: Path) -> None:
    """Killed between that group and the flow's end, it finds one record more than the function waited for."""
    numbers = count()
    visits = list(explore(Scenario(leaves_a_task), lambda: f"sqlite:///{tmp_path}/{next(numbers)}.db", tmp_path))
    assert [visit.faults for visit in visits] == [()] * len(visits)
    assert max(visit.recorded for visit in visits) == 2


# -- foreign awaits -------------------------------------------------------------------------------------------


async def in_a_thread() -> Any:
    return await asyncio.to_thread(math.sqrt, 4)


async def in_an_executor() -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, math.sqrt, 4)


async def over_the_network() -> Any:
    return await asyncio.open_connection("localhost", 1)


async def in_a_subprocess() -> Any:
    return await asyncio.create_subprocess_exec("true")


async def never_set() -> Any:
    await asyncio.Event().wait()


async def of_another_loop() -> Any:
    other = asyncio.new_event_loop()
    try:
        await other.create_future()
    finally:
        other.close()


async def of_another_loop_in_a_group() -> Any:
    async with asyncio.TaskGroup() as group:
        group.create_task(of_another_loop())


async def a_queue_of_nobody() -> Any:
    return await asyncio.Queue[int]().get()


FOREIGN = (
    in_a_thread,
    in_an_executor,
    over_the_network,
    in_a_subprocess,
    never_set,
    of_another_loop,
    of_another_loop_in_a_group,
    a_queue_of_nobody,
)


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda foreign: foreign.__name__)
def test_a_foreign_await_halts_that_flow_alone(foreign: Callable[[], Awaitable[Any]], sqlite_url: str) -> None:
    mended = threading.Event()

    @workflow(name="foreign")
    async def strays() -> int:
        first = await add(1, 2)
        if not mended.is_set():
            await foreign()
        return await add(first, 1)

    with Holdfast(sqlite_url, workflows=[strays, sound]) as hf:
        handle = hf.start(strays)
        with pytest.raises(FlowHalted) as halted:
            handle.result(timeout=SECONDS)
        assert halted.value.kind == "holdfast.flows.errors.ForeignAwait"
        assert "Move it into a step" in halted.value.remedy
        assert hf.start(sound, 5).result(timeout=SECONDS) == 7
        mended.set()
        hf.resume(handle.id)
        assert handle.result(timeout=SECONDS) == 4


def test_an_endless_loop_halts_that_flow_alone(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_loop, "MAX_TURNS", 1000)

    @workflow(name="restless")
    async def restless() -> None:
        await add(1, 2)
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    with Holdfast(sqlite_url, workflows=[restless, sound]) as hf:
        with pytest.raises(FlowHalted, match="without a pause") as halted:
            hf.start(restless).result(timeout=SECONDS)
        assert halted.value.kind == "holdfast.flows.errors.Restless"
        assert hf.start(sound, 5).result(timeout=SECONDS) == 7
