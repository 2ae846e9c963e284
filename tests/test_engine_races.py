"""FL-10, FL-12, FL-13: what happens to flows while the engine's own writes are on their way. The store's answers are
held back here, so that what is a matter of microseconds happens every time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from holdfast import FlowCancelled, Holdfast, WaitTimedOut, sleep, step, workflow
from holdfast.flows import FlowStatus
from holdfast.flows.engine import claims
from holdfast.flows.engine.port import Claimed
from holdfast.flows.engine.sql_port import SqlEnginePort
from holdfast.flows.engine.worker import Worker
from holdfast.flows.inbox.manager import pending_events
from holdfast.flows.waiting import approval, wait_for_event
from holdfast.ids import new_id
from tests.waiting_kit import flow_num, until, waits

GO = threading.Event()
RAN: list[str] = []


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    GO.clear()
    RAN.clear()
    yield
    GO.set()


class Hold:
    """Holds back a method of the engine's port: the call itself, or the answer to what was done.

    Args:
        skip: calls that pass.
        before: it is not even done.
    """

    def __init__(self, patch: pytest.MonkeyPatch, name: str, *, skip: int = 0, before: bool = False) -> None:
        self.reached = threading.Event()
        self.release = threading.Event()
        original = getattr(SqlEnginePort, name)
        calls = iter(range(1 << 30))

        async def late(port: SqlEnginePort, *args: Any) -> Any:
            if before:
                await self._pass()
            answer = await original(port, *args)
            if not before:
                await self._pass()
            return answer

        def held(port: SqlEnginePort, *args: Any) -> Any:
            if next(calls) != skip:
                return original(port, *args)
            made = late(port, *args)
            return made if asyncio.iscoroutinefunction(original) else asyncio.ensure_future(made)

        patch.setattr(SqlEnginePort, name, held)

    async def _pass(self) -> None:
        self.reached.set()
        await asyncio.to_thread(self.release.wait, 20)


def touched(hf: Holdfast, num: int) -> bool:
    ((found,),) = hf.store.read(lambda tx: tx.fetch("SELECT touched FROM flows WHERE num = :num", {"num": num}))
    return bool(found)


@step
def blocked() -> str:
    RAN.append("blocked")
    GO.wait(20)
    return "went"


@step
async def quick() -> str:
    RAN.append("quick")
    return "quick"


@workflow
async def two_in_a_row() -> str:
    return await blocked() + await quick()


@workflow
async def awaits_briefly(name: str) -> int:
    """The time-out keeps it in memory: it is not found by leaving and coming back."""
    return int(await wait_for_event("topic", name, timeout=8))


@workflow
async def replays_and_awaits(name: str) -> int:
    await quick()
    await quick()
    return int(await wait_for_event("topic", name, timeout=60))


@workflow
async def sleeps_long() -> None:
    await sleep(60)
    await quick()


@workflow
async def asks_for_leave() -> str:
    return (await approval("refund", timeout=1.5)).by


@workflow
async def comes_late(name: str) -> str:
    async def waits() -> str:
        try:
            return str(await wait_for_event("topic", name, timeout=0.2))
        except WaitTimedOut:
            return "late"

    return (await asyncio.gather(waits(), blocked()))[0]


def test_resumed_before_it_was_given_up(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Holdfast(store_url) as hf:
        handle = hf.start(two_in_a_row)
        num = flow_num(hf, handle.id)
        until(lambda: RAN)
        hf.pause(handle.id)
        assert hf._worker is not None
        until(lambda: hf._worker.floor.resident[num].pausing)
        hold = Hold(monkeypatch, "attend")
        hf.resume(handle.id)
        hold.reached.wait(10)
        GO.set()
        until(lambda: handle.flow().epoch is None or len(RAN) > 1)
        hold.release.set()
        assert handle.result(timeout=10) == "wentquick"
        assert RAN == ["blocked", "quick"]


def test_answered_before_its_registration_is_known(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hold = Hold(monkeypatch, "wait")
    with Holdfast(store_url, park_after=3600) as hf:
        handle = hf.start(awaits_briefly, "A")
        num = flow_num(hf, handle.id)
        hold.reached.wait(10)
        assert hf.emit("topic", "A", 7).delivered
        until(lambda: not touched(hf, num))
        hold.release.set()
        assert handle.result(timeout=10) == 7
        assert hf.store.read(lambda tx: pending_events(tx, limit=None)).items == []


def test_answered_while_it_replays(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "AT_ONCE", 1)
    with Holdfast(store_url, park_after=3600) as hf:
        handle = hf.start(replays_and_awaits, "A")
        num = flow_num(hf, handle.id)
        until(lambda: waits(hf, handle.id))
        hf.pause(handle.id)
        until(lambda: handle.flow().epoch is None)
        hold = Hold(monkeypatch, "standing")
        hf.resume(handle.id)
        hold.reached.wait(10)
        assert hf.emit("topic", "A", 7).delivered
        until(lambda: not touched(hf, num))
        hold.release.set()
        assert handle.result(timeout=10) == 7


def test_cancelled_before_it_was_adopted(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    release, adopted = threading.Event(), Worker.adopt

    def late(worker: Worker, epoch: int, claimed: list[Claimed]) -> None:
        async def adopt() -> None:
            await asyncio.to_thread(release.wait, 20)
            adopted(worker, epoch, claimed)

        worker.floor.spawn(adopt())

    monkeypatch.setattr(Worker, "adopt", late)
    with Holdfast(store_url, park_after=3600) as hf:
        handle = hf.start(sleeps_long, id=new_id())
        num = flow_num(hf, handle.id)
        hf.cancel(handle.id)
        until(lambda: not touched(hf, num))
        release.set()
        with pytest.raises(FlowCancelled):
            handle.result(timeout=10)


def test_leave_that_was_given_in_time(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Holdfast(store_url, park_after=3600) as hf:
        handle = hf.start(asks_for_leave)
        until(lambda: hf.approvals(handle.id))
        blind = Hold(monkeypatch, "outlook", before=True)
        blind.reached.wait(10)
        hf.approve(hf.approvals(handle.id)[0].id, actor="ann")
        assert handle.result(timeout=10) == "ann"
        blind.release.set()


def test_an_event_that_came_too_late_is_back_before_its_flow_ends(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Holdfast(store_url, park_after=3600) as hf:
        handle = hf.start(comes_late, "A")
        until(lambda: handle.flow().status is FlowStatus.RUNNING and RAN)
        records = Hold(monkeypatch, "append")
        back = Hold(monkeypatch, "give_back", before=True)
        GO.set()
        records.reached.wait(10)
        until(lambda: hf._worker.floor._post._records.waiting)  # type: ignore[union-attr]
        assert hf.emit("topic", "A", 7).delivered
        until(lambda: len(hf._worker.floor._post._records._items) == 2)  # type: ignore[union-attr]
        records.release.set()
        back.reached.wait(10)
        threading.Event().wait(0.3)
        assert handle.flow().status is FlowStatus.RUNNING, "killed now, nobody would give the event back"
        back.release.set()
        assert handle.result(timeout=10) == "late"
        assert [event.payload for event in hf.store.read(lambda tx: pending_events(tx, limit=None)).items] == [7]
