"""FL-12, FL-17: what a workflow may wait for besides steps and time, on every database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from holdfast import Holdfast, sleep, step, workflow
from holdfast.errors import InvalidInput
from holdfast.flows import FlowStatus
from holdfast.flows.combining import First, all_of, any_of, map_steps
from holdfast.flows.errors import FlowFailed, InvalidTimeout, WaitTimedOut
from holdfast.flows.inbox.model import Decision
from holdfast.flows.waiting import approval, wait_for_event, wait_for_signal
from holdfast.testing import VirtualClock
from tests.waiting_kit import until, waits


@dataclass
class Parcel:
    number: int
    carrier: str


@workflow(name="waiting.await_parcel")
async def await_parcel(order: str, within: float | None = None) -> Parcel:
    return await wait_for_event("shipped", order, timeout=within, type=Parcel)


@workflow(name="waiting.await_two")
async def await_two(order: str) -> list[int]:
    first = await wait_for_event("shipped", order, type=Parcel)
    second = await wait_for_event("shipped", order, type=Parcel)
    return [first.number, second.number]


@workflow(name="waiting.await_signal")
async def await_signal() -> str:
    return str(await wait_for_signal("go", type=str))


@workflow(name="waiting.await_leave")
async def await_leave(amount: int, within: float | None = None) -> Decision:
    return await approval("refund", {"amount": amount}, approvers=["ann"], timeout=within)


@workflow(name="waiting.patient")
async def patient(order: str) -> str:
    try:
        await wait_for_event("shipped", order, timeout=timedelta(days=14))
    except WaitTimedOut:
        return "never came"
    return "came"


@workflow(name="waiting.race")
async def race(order: str) -> list[object]:
    first = await any_of(wait_for_event("left", order), wait_for_event("right", order), sleep(3600))
    return list(first)


@workflow(name="waiting.both")
async def both(order: str) -> list[object]:
    return await all_of(wait_for_event("left", order), wait_for_event("right", order))


RUNNING: list[int] = []


@step
async def counted(number: int) -> int:
    RUNNING.append(1)
    at_once = len(RUNNING)
    await asyncio.sleep(0.001)
    RUNNING.pop()
    return at_once


@workflow(name="waiting.mapped")
async def mapped(count: int, limit: int | None) -> int:
    return max(await map_steps(counted, range(count), limit=limit))


@pytest.fixture(params=[0.0, 5.0], ids=["parked", "resident"])
def park_after(request: pytest.FixtureRequest) -> float:
    """Flows that wait leave memory at once, or stay."""
    found: float = request.param
    return found


def test_an_event_before_and_after_its_wait(store_url: str, park_after: float) -> None:
    with Holdfast(store_url, park_after=park_after) as hf:
        assert not hf.emit("shipped", "A-1", Parcel(1, "dhl")).delivered
        early = hf.start(await_parcel, "A-1")
        assert early.result(timeout=20) == Parcel(1, "dhl")
        late = hf.start(await_parcel, "A-2")
        until(lambda: waits(hf, late.id))
        assert hf.emit("shipped", "A-2", Parcel(2, "ups")).delivered
        assert late.result(timeout=20) == Parcel(2, "ups")
        assert waits(hf, late.id) == []


def test_events_of_one_key_count_once_and_each_goes_to_one_wait(store_url: str, park_after: float) -> None:
    with Holdfast(store_url, park_after=park_after) as hf:
        handle = hf.start(await_two, "A-1")
        hf.emit("shipped", "A-1", Parcel(1, "dhl"), key="one")
        assert hf.emit("shipped", "A-1", Parcel(1, "dhl"), key="one").duplicate
        hf.emit("shipped", "A-1", Parcel(2, "dhl"), key="two")
        assert handle.result(timeout=20) == [1, 2]
        assert hf.emit("shipped", "A-1", Parcel(2, "dhl"), key="two").duplicate


def test_a_signal_reaches_one_flow(store_url: str, park_after: float) -> None:
    with Holdfast(store_url, park_after=park_after) as hf:
        one, other = hf.start(await_signal), hf.start(await_signal)
        hf.signal(one.id, "go", "now")
        assert one.result(timeout=20) == "now"
        assert other.flow().status not in (FlowStatus.FINISHED, FlowStatus.FAILED)
        hf.signal(other.id, "go", "then")
        assert other.result(timeout=20) == "then"


def test_an_approval_is_durable_and_named(store_url: str, park_after: float) -> None:
    with Holdfast(store_url, park_after=park_after) as hf:
        handle = hf.start(await_leave, 42)
        until(lambda: hf.approvals(handle.id))
        (asked,) = hf.approvals(handle.id)
        assert asked.what == {"amount": 42}
        hf.approve(asked.id, actor="ann", note="fine", digest=asked.digest)
        decision = handle.result(timeout=20)
        assert (decision.approved, decision.by, decision.note, decision.digest) == (True, "ann", "fine", asked.digest)


def test_a_wait_times_out_and_is_withdrawn(store_url: str, park_after: float) -> None:
    clock = VirtualClock(auto=True)
    with Holdfast(store_url, park_after=park_after, clock=clock) as hf:
        handle = hf.start(patient, "A-1")
        assert handle.result(timeout=20) == "never came"
        assert waits(hf, handle.id) == []
        assert not hf.emit("shipped", "A-1", Parcel(1, "dhl")).delivered


def test_a_timeout_of_nothing_still_looks_into_the_inbox(store_url: str) -> None:
    with Holdfast(store_url) as hf:
        with pytest.raises(FlowFailed, match="WaitTimedOut"):
            hf.start(await_parcel, "A-1", 0.0).result(timeout=20)
        hf.emit("shipped", "A-1", Parcel(1, "dhl"))
        assert hf.start(await_parcel, "A-1", 0.0).result(timeout=20) == Parcel(1, "dhl")


def test_any_of_takes_the_first_and_withdraws_the_others(store_url: str, park_after: float) -> None:
    with Holdfast(store_url, park_after=park_after) as hf:
        handle = hf.start(race, "A-1")
        until(lambda: len(waits(hf, handle.id)) == 2)
        hf.emit("right", "A-1", "R")
        assert handle.result(timeout=20) == list(First(1, "R"))
        hf.emit("left", "A-1", "L")
        assert hf.start(race, "A-1").result(timeout=20) == list(First(0, "L"))


def test_all_of_waits_for_all(store_url: str, park_after: float) -> None:
    with Holdfast(store_url, park_after=park_after) as hf:
        handle = hf.start(both, "A-1")
        hf.emit("right", "A-1", "R")
        hf.emit("left", "A-1", "L")
        assert handle.result(timeout=20) == ["L", "R"]


@pytest.mark.parametrize(("limit", "most"), [(3, 3), (1, 1), (None, 20)])
def test_map_steps_keeps_its_limit(sqlite_url: str, limit: int | None, most: int) -> None:
    with Holdfast(sqlite_url) as hf:
        assert hf.start(mapped, 20, limit).result(timeout=20) <= most


def test_a_parked_flow_costs_rows(sqlite_url: str) -> None:
    with Holdfast(sqlite_url, park_after=0.0) as hf:
        handles = [hf.start(await_parcel, f"A-{number}") for number in range(50)]
        until(lambda: all(handle.flow().status is FlowStatus.WAITING for handle in handles))
        assert hf._worker is not None
        assert not hf._worker.floor.resident
        for number, handle in enumerate(handles):
            hf.emit("shipped", f"A-{number}", Parcel(number, "dhl"))
            assert handle.result(timeout=20).number == number


@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf"), 4e9, timedelta(days=-1)])
def test_absurd_timeouts_are_refused(sqlite_url: str, bad: float) -> None:
    @workflow
    async def waits_absurdly() -> None:
        with pytest.raises(InvalidTimeout):
            await wait_for_event("shipped", "A-1", timeout=bad)
        with pytest.raises(InvalidTimeout):
            await wait_for_signal("go", timeout=bad)
        with pytest.raises(InvalidTimeout):
            await approval("refund", timeout=bad)
        with pytest.raises(InvalidTimeout):
            await sleep(bad)

    with Holdfast(sqlite_url, workflows=[waits_absurdly]) as hf:
        hf.start(waits_absurdly).result(timeout=20)


def test_a_text_is_no_list_of_approvers(sqlite_url: str) -> None:
    @workflow
    async def asks_wrongly() -> None:
        with pytest.raises(InvalidInput, match="one text"):
            await approval("refund", approvers="ann")

    with Holdfast(sqlite_url, workflows=[asks_wrongly]) as hf:
        hf.start(asks_wrongly).result(timeout=20)


def test_waiting_belongs_into_a_workflow() -> None:
    with pytest.raises(InvalidInput, match="workflow"):
        asyncio.run(wait_for_event("shipped", "A-1"))


def test_a_payload_that_does_not_fit_is_told_to_the_workflow(sqlite_url: str) -> None:
    with Holdfast(sqlite_url) as hf:
        handle = hf.start(await_parcel, "A-1")
        hf.emit("shipped", "A-1", {"wrong": True})
        until(lambda: handle.flow().paused)
        error = handle.flow().error
        assert error is not None
        assert "The payload of shipped" in error["detail"]


@pytest.mark.parametrize("new_store_url", ["sqlite", "postgres"], indirect=True)
def test_a_restart_between_wait_and_event(new_store_url: Callable[[], str]) -> None:
    url = new_store_url()
    with Holdfast(url) as hf:
        handle = hf.start(await_parcel, "A-1")
        until(lambda: waits(hf, handle.id))
    with Holdfast(url, worker=False) as hf:
        assert hf.emit("shipped", "A-1", Parcel(7, "dhl")).delivered
    with Holdfast(url) as hf:
        assert hf.handle(handle.id).result(timeout=20) == {"number": 7, "carrier": "dhl"}
