"""The engine on every backend: what a user sees of FL-10, FL-13, FL-17 and FL-18."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from holdfast import (
    FlowCancelled,
    FlowFailed,
    Holdfast,
    StepFailed,
    current_step,
    now,
    random,
    sleep,
    step,
    uuid,
    workflow,
)
from holdfast.flows import FlowStatus, SqlFlowStore, manager
from holdfast.testing import VirtualClock

durable = pytest.mark.parametrize("new_store_url", ["sqlite", "postgres"], indirect=True)
leaked: ContextVar[str] = ContextVar("leaked", default="clean")


class Invoice(BaseModel):
    number: int
    at: datetime


@dataclass
class Order:
    id: str
    tags: set[str]


@step
async def invoice(order: Order) -> Invoice:
    order.tags.add("changed by the step")
    return Invoice(number=len(order.id), at=datetime(2030, 1, 1, tzinfo=UTC))


@step
def in_thread(number: int) -> str:
    return f"{number}:{threading.current_thread().name.rpartition('_')[0]}"


@step
async def context(value: str) -> str:
    found = leaked.get()
    leaked.set(value)
    await asyncio.sleep(0)
    return found


@step
async def key() -> str:
    return current_step().idempotency_key


@workflow
async def typed(order: Order) -> tuple[Invoice, set[str], str]:
    made = await invoice(order)
    assert isinstance(made, Invoice)
    return made, order.tags, await in_thread(3)


@workflow
async def isolated() -> list[str]:
    return [await context("one"), await context("two"), await key(), await key()]


@workflow
async def ambient() -> list[Any]:
    first = [now(), random(), uuid()]
    await sleep(0.01)
    return [*first, now() > first[0], random() != first[1]]


def test_types_pass_through_and_steps_get_copies(store_url: str) -> None:
    with Holdfast(store_url) as hf:
        made, tags, where = hf.start(typed, Order("A-17", {"a"})).result(timeout=20)
    assert made == Invoice(number=4, at=datetime(2030, 1, 1, tzinfo=UTC))
    assert tags == {"a"}
    assert where == "3:holdfast-step"


def test_contexts_do_not_leak_and_keys_differ_by_call(store_url: str) -> None:
    with Holdfast(store_url) as hf:
        handle = hf.start(isolated)
        first, second, one, two = handle.result(timeout=20)
    assert (first, second) == ("clean", "clean")
    assert one == f"{handle.id}/key#1@1"
    assert two == f"{handle.id}/key#2@1"


def test_in_the_callers_own_loop(store_url: str) -> None:
    async def main() -> list[str]:
        async with Holdfast(store_url) as hf:
            handles = [await hf.astart(typed, Order(str(number), set())) for number in range(5)]
            return [(await handle)[2] for handle in handles]

    assert asyncio.run(main()) == ["3:holdfast-step"] * 5


@durable
def test_time_and_chance_replay_alike(store_url: str) -> None:
    seen: list[list[Any]] = []

    @workflow
    async def watched() -> None:
        seen.append([now(), random(), uuid()])
        await sleep(0.2)
        seen.append([now(), random(), uuid()])
        await sleep(0.2)

    for _ in range(2):
        with Holdfast(store_url, workflows=[watched], drain=0) as hf:
            handle = hf.start(watched, key="once")
            with contextlib.suppress(Exception):
                handle.result(timeout=0.3)
    with Holdfast(store_url, workflows=[watched]) as hf:
        hf.start(watched, key="once").result(timeout=20)
    starts, ends = {str(seen[0])}, set()
    for position, values in enumerate(seen):
        (starts if str(values) in starts or position == 0 else ends).add(str(values))
    assert len(starts) == 1
    assert len(ends) == 1


def test_ambient_outside_a_workflow() -> None:
    found = asyncio.run(ambient())
    assert found[3:] == [True, True]


def test_months_pass_in_virtual_time_and_parked_flows_leave_memory(store_url: str) -> None:
    clock = VirtualClock(datetime(2030, 1, 1, tzinfo=UTC))

    @workflow
    async def patient(days: int) -> int:
        began = now()
        for _ in range(days):
            await sleep(timedelta(days=1))
        return (now() - began).days

    with Holdfast(store_url, clock=clock, workflows=[patient]) as hf:
        handles = [hf.start(patient, days) for days in (1, 3, 30)]
        parked = False
        while {handle.flow().status for handle in handles} != {FlowStatus.FINISHED}:
            flows = [handle.flow() for handle in handles]
            if all(flow.status.terminal or (flow.due_at and flow.due_at > clock.now()) for flow in flows):
                assert hf._worker is not None
                parked = parked or not hf._worker.floor.resident
                clock.advance(timedelta(days=1))
        assert parked
        assert [handle.result(timeout=20) for handle in handles] == [1, 3, 30]


def test_a_virtual_clock_that_jumps_by_itself(store_url: str) -> None:
    @workflow
    async def patient() -> int:
        began = now()
        await asyncio.gather(sleep(timedelta(days=80)), sleep(timedelta(days=90)), in_thread(1))
        return (now() - began).days

    clock = VirtualClock(datetime(2030, 1, 1, tzinfo=UTC), auto=True)
    with Holdfast(store_url, clock=clock, workflows=[patient]) as hf:
        assert hf.start(patient).result(timeout=20) == 90


def test_cancel_reaches_a_running_flow_and_lets_it_clean_up(store_url: str) -> None:
    cleaned = []

    @workflow
    async def careful() -> None:
        try:
            await sleep(3600)
        except asyncio.CancelledError:
            cleaned.append(await in_thread(1))
            raise

    with Holdfast(store_url, workflows=[careful], park_after=7200) as hf:
        handle = hf.start(careful)
        assert handle.cancel().cancel_requested
        with pytest.raises(FlowCancelled):
            handle.result(timeout=20)
        assert handle.flow().status is FlowStatus.CANCELLED
        kinds = [event.kind for event in hf.store.read(lambda tx: manager.history(tx, handle.id))]
    assert cleaned == ["1:holdfast-step"]
    assert "cancel_requested" in kinds


def test_cancel_reaches_a_parked_flow(store_url: str) -> None:
    @workflow
    async def sleeper() -> None:
        await sleep(3600)

    with Holdfast(store_url, workflows=[sleeper], park_after=0) as hf:
        handle = hf.start(sleeper)
        while handle.flow().status is not FlowStatus.WAITING:
            pass
        handle.cancel()
        with pytest.raises(FlowCancelled):
            handle.result(timeout=20)


def test_cancel_of_one_that_never_started(store_url: str) -> None:
    @workflow
    async def never() -> None:
        raise AssertionError("must not run")

    with Holdfast(store_url, workflows=[never], worker=False) as hf:
        handle = hf.start(never)
        assert handle.cancel().status is FlowStatus.CANCELLED
        with pytest.raises(FlowCancelled):
            handle.result(timeout=20)


def test_a_failed_flow_tells_why(store_url: str) -> None:
    @step
    async def breaks() -> None:
        raise KeyError("lost")

    @workflow
    async def doomed() -> None:
        await breaks()

    with Holdfast(store_url, workflows=[doomed]) as hf:
        handle = hf.start(doomed)
        with pytest.raises(FlowFailed) as failure:
            handle.result(timeout=20)
        steps = hf.store.read(lambda tx: SqlFlowStore(tx).list_steps(handle.id)).items
    assert failure.value.kind == f"{StepFailed.__module__}.StepFailed"
    assert "KeyError" in failure.value.detail
    assert [step.run_id for step in steps] == ["breaks#1@1"]
    assert steps[0].error is not None
    assert steps[0].error["kind"] == "builtins.KeyError"
    assert "raise KeyError" in steps[0].error["trace"]


def test_retries_are_counted_and_time_outs_end_an_attempt(store_url: str) -> None:
    @step(retries=2, backoff=0.001, timeout=0.05)
    async def hasty() -> int:
        if current_step().attempt < 3:
            await asyncio.sleep(30)
        return current_step().attempt

    @workflow
    async def patient() -> int:
        return await hasty()

    with Holdfast(store_url, workflows=[patient]) as hf:
        handle = hf.start(patient)
        assert handle.result(timeout=20) == 3
        (recorded,) = hf.store.read(lambda tx: SqlFlowStore(tx).list_steps(handle.id)).items
    assert recorded.attempt == 3


def test_many_flows_at_once_and_a_wide_fan_out(store_url: str) -> None:
    @workflow
    async def wide(width: int) -> int:
        return len(await asyncio.gather(*(key() for _ in range(width))))

    async def main() -> list[int]:
        async with Holdfast(store_url, workflows=[wide]) as hf:
            handles = await asyncio.gather(*(hf.astart(wide, width) for width in (1, 10, 1500)))
            return [await handle for handle in handles]

    assert asyncio.run(main()) == [1, 10, 1500]


def test_more_flows_than_fit_in_memory(store_url: str) -> None:
    async def main() -> int:
        async with Holdfast(store_url, workflows=[isolated], concurrency=7) as hf:
            handles = await asyncio.gather(*(hf.astart(isolated) for _ in range(100)))
            return len({(await handle)[2] for handle in handles})

    assert asyncio.run(main()) == 100


@durable
def test_two_workers_share_the_work(store_url: str) -> None:
    async def main() -> list[int]:
        one = Holdfast(store_url, workflows=[isolated], concurrency=5)
        two = Holdfast(store_url, workflows=[isolated], concurrency=5)
        client = Holdfast(store_url, workflows=[isolated], worker=False)
        async with one, two, client:
            handles = await asyncio.gather(*(client.astart(isolated) for _ in range(60)))
            for handle in handles:
                await handle
            flows = [handle.id for handle in handles]
            steps = await client.store.aread(
                lambda tx: [step for flow in flows for step in SqlFlowStore(tx).list_steps(flow).items]
            )
            return sorted({step.epoch or 0 for step in steps})

    assert asyncio.run(main()) == [1, 2]
