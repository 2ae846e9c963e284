"""Flows that live long: what they publish, begin anew, large results, long histories, progress."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from holdfast import FlowCancelled, Holdfast, current_step, sleep, step, uuid, workflow
from holdfast.errors import InvalidInput
from holdfast.flows import FlowStatus, SqlFlowStore
from holdfast.flows.engine import claims
from holdfast.flows.engine.appends import BLOB_CHARS
from holdfast.flows.errors import InvalidPatch
from holdfast.flows.waiting import continue_as_new, state, update_state, wait_for_signal
from tests.waiting_kit import flow_num, until

SEEN: list[Any] = []


@step
async def double(number: int) -> int:
    return 2 * number


@step
async def large(size: int) -> str:
    return "x" * size


@step
async def key() -> str:
    return current_step().idempotency_key


@workflow(name="long_flows.publishing")
async def publishing() -> dict[str, Any]:
    update_state({"wave": 1, "notes": {"a": 1, "b": 2}})
    with pytest.raises(InvalidPatch):
        update_state([1])  # type: ignore[arg-type]
    await double(1)
    update_state({"notes": {"a": None}})
    await wait_for_signal("go")
    state()["wave"] = 99  # a copy
    return state()


@workflow(name="long_flows.rounds")
async def rounds(number: int, keys: list[str]) -> list[str]:
    keys = [*keys, await key()]
    update_state({"round": number})
    await wait_for_signal("next")
    if number < 3:
        continue_as_new(rounds, number + 1, keys)
    return keys


@workflow(name="long_flows.anew_wrongly")
async def anew_wrongly() -> None:
    continue_as_new(rounds, 1, [])


@workflow(name="long_flows.voluminous")
async def voluminous(sizes: list[int]) -> list[int]:
    found = [len(await large(size)) for size in sizes]
    await wait_for_signal("go")
    return found


@workflow(name="long_flows.longish")
async def longish(count: int) -> int:
    total = 0
    for number in range(count):
        total += await double(number)
    await wait_for_signal("go")
    return total


@pytest.mark.parametrize("park_after", [0.0, 5.0], ids=["parked", "resident"])
def test_what_a_flow_publishes(store_url: str, park_after: float) -> None:
    with Holdfast(store_url, park_after=park_after) as hf:
        handle = hf.start(publishing)
        until(lambda: handle.flow().state == {"wave": 1, "notes": {"b": 2}})
        hf.signal(handle.id, "go")
        assert handle.result(timeout=20) == {"wave": 1, "notes": {"b": 2}}
        assert handle.flow().state == {"wave": 1, "notes": {"b": 2}}


@pytest.mark.parametrize("park_after", [0.0, 5.0], ids=["parked", "resident"])
def test_beginning_anew_keeps_the_flow_and_drops_its_past(store_url: str, park_after: float) -> None:
    with Holdfast(store_url, park_after=park_after) as hf:
        handle = hf.start(rounds, 1, [], key="rounds")
        for number in range(1, 4):
            until(lambda number=number: handle.flow().state == {"round": number})
            hf.signal(handle.id, "next", key=str(number))
        keys = handle.result(timeout=20)
        assert len(set(keys)) == 3
        flow = handle.flow()
        assert flow.attempt == 3
        assert hf.start(rounds, 1, [], key="rounds").id == handle.id
        steps = hf.store.read(lambda tx: SqlFlowStore(tx).list_steps(handle.id)).items
        assert {step.run_id.rpartition("@")[2] for step in steps} == {"3"}


def test_a_flow_stays_of_its_type(sqlite_url: str) -> None:
    with Holdfast(sqlite_url) as hf:
        handle = hf.start(anew_wrongly)
        until(lambda: handle.flow().paused)
        assert "cannot go on as" in (handle.flow().error or {})["detail"]


def test_large_results_go_to_the_blobs(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "PAGE_BYTES", 3 * BLOB_CHARS)
    sizes = [10, BLOB_CHARS + 1, 2 * BLOB_CHARS, 5 * BLOB_CHARS, 7]
    with Holdfast(store_url, park_after=0.0) as hf:
        handle = hf.start(voluminous, sizes)
        until(lambda: handle.flow().status is FlowStatus.WAITING)
        num = flow_num(hf, handle.id)
        held = "SELECT count(*) FROM steps WHERE flow = :flow AND blob IS NOT NULL AND result IS NULL"
        assert hf.store.read(lambda tx: tx.fetch(held, {"flow": num})) == [(3,)]
        hf.signal(handle.id, "go")
        assert handle.result(timeout=20) == sizes
        results = [step.result for step in hf.store.read(lambda tx: SqlFlowStore(tx).list_steps(handle.id)).items]
        assert [len(result or "") - 2 for result in results[:-1]] == sizes


@pytest.mark.parametrize("count", [0, 1, 19, 20, 21, 95])
def test_long_histories_are_read_in_pages(sqlite_url: str, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(claims, "AT_ONCE", 20)
    monkeypatch.setattr(claims, "PAGE", 7)
    with Holdfast(sqlite_url, park_after=0.0) as hf:
        handles = [hf.start(longish, count) for _ in range(3)]
        until(lambda: all(handle.flow().status is FlowStatus.WAITING for handle in handles))
        for handle in handles:
            hf.signal(handle.id, "go")
        assert [handle.result(timeout=20) for handle in handles] == [count * (count - 1)] * 3


def test_cancelling_while_a_long_history_is_read(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "AT_ONCE", 5)
    monkeypatch.setattr(claims, "PAGE", 3)
    with Holdfast(sqlite_url, park_after=0.0) as hf:
        handle = hf.start(longish, 60)
        until(lambda: handle.flow().status is FlowStatus.WAITING)
        hf.cancel(handle.id)
        with pytest.raises(FlowCancelled):
            handle.result(timeout=20)


BEATS = threading.Event()


@step
def reports(ledger: list[int]) -> str:
    about = current_step()
    before = about.progress
    about.heartbeat(3, 10, "a third")
    BEATS.wait(10)
    return f"{before.note if before else None}"


@step
async def stops() -> None:
    while True:
        await asyncio.sleep(0.005)
        current_step().heartbeat()


@step
def stops_in_thread() -> str:
    about = current_step()
    SEEN.append("began")
    while not about.cancelled:
        BEATS.wait(0.005)
    SEEN.append("stopped")
    return "nobody hears it"


@workflow(name="long_flows.reporting")
async def reporting() -> str:
    return await reports([])


@workflow(name="long_flows.stopping")
async def stopping() -> None:
    await stops_in_thread()


def test_progress_is_written_and_goes_with_the_record(store_url: str) -> None:
    BEATS.clear()
    told = "SELECT done, total, note FROM step_progress"
    with Holdfast(store_url) as hf:
        handle = hf.start(reporting)
        until(lambda: hf.store.read(lambda tx: tx.fetch(told)))
        assert hf.store.read(lambda tx: tx.fetch(told)) == [(3.0, 10.0, "a third")]
        BEATS.set()
        assert handle.result(timeout=20) == "None"
        assert hf.store.read(lambda tx: tx.fetch(told)) == []


@pytest.mark.parametrize(("done", "total"), [(-1, None), (float("nan"), 1), (1, float("inf")), (1, -1)])
def test_progress_that_makes_no_sense(done: float, total: float | None) -> None:
    @step
    async def absurd() -> None:
        with pytest.raises(InvalidInput):
            current_step().heartbeat(done, total)

    @workflow
    async def reports_absurdly() -> None:
        await absurd()

    with Holdfast("sqlite://", workflows=[reports_absurdly]) as hf:
        hf.start(reports_absurdly).result(timeout=20)


def test_a_cancelled_thread_can_know(sqlite_url: str) -> None:
    SEEN.clear()
    with Holdfast(sqlite_url) as hf:
        handle = hf.start(stopping)
        until(lambda: SEEN)
        hf.cancel(handle.id)
        with pytest.raises(FlowCancelled):
            handle.result(timeout=20)
        until(lambda: SEEN == ["began", "stopped"])


def test_chance_after_beginning_anew_is_another(sqlite_url: str) -> None:
    @workflow
    async def dice(last: str) -> bool:
        drawn = str(uuid())
        await sleep(0)
        if not last:
            continue_as_new(dice, drawn)
        return drawn != last

    with Holdfast(sqlite_url, workflows=[dice]) as hf:
        assert hf.start(dice, "").result(timeout=20)
