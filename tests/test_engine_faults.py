"""FL-10, FL-13, FL-19: what the engine does when something of a flow, or of the store, is not as it should be."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import pytest

from holdfast import (
    Holdfast,
    Queue,
    continue_as_new,
    current_step,
    run_child,
    start_child,
    state,
    step,
    update_state,
    workflow,
)
from holdfast.clock import SystemClock
from holdfast.errors import StoreUnreachable
from holdfast.flows import FlowStatus
from holdfast.flows.engine import claims, sql_port
from holdfast.flows.engine.appends import BLOB_CHARS
from holdfast.flows.engine.outbox import Outbox
from holdfast.flows.engine.port import Ending
from holdfast.flows.engine.sql_port import SqlEnginePort
from holdfast.flows.inbox import sql as inbox
from holdfast.flows.inbox.manager import emit, pending_events
from holdfast.flows.requests import StartOptions, make_start
from holdfast.flows.starts import insert_flows
from holdfast.flows.waiting import wait_for_event, wait_for_signal
from holdfast.store import Store, Transaction, load_queries, open_store
from holdfast.testing import VirtualClock
from tests.waiting_kit import until

_q = load_queries("holdfast.flows.engine")
DEADLOCK_SECONDS = 0.9
"""After a second the server ends one of two that wait for each other."""


@step
async def large() -> str:
    return "x" * (BLOB_CHARS + 1)


@step
async def small(number: int) -> int:
    return number


@step
async def unhurried() -> str:
    await asyncio.sleep(0.002)
    return "in time"


@step
async def tells() -> None:
    current_step().heartbeat(1, 2)
    await asyncio.sleep(0.01)


@step
def tells_in_a_transaction(tx: Transaction) -> None:
    current_step().heartbeat(1, 2)
    threading.Event().wait(0.01)


@workflow
async def keeps_large() -> int:
    found = await large()
    await wait_for_signal("go")
    return len(found)


@workflow
async def remembers_rounds(number: int) -> dict[str, Any]:
    update_state({f"round {number}": await small(number)})
    if number < 3:
        continue_as_new(remembers_rounds, number + 1)
    return state()


@workflow
async def anew_in_a_group(number: int) -> int:
    async def branch() -> None:
        if number < 3:
            continue_as_new(anew_in_a_group, number + 1)

    async with asyncio.TaskGroup() as group:
        group.create_task(branch())
    return number


@workflow
async def awaits_one(name: str) -> int:
    return int(await wait_for_event("topic", name))


@workflow
async def shares_child(name: str) -> int:
    return await run_child(awaits_one, name, key=name)


@workflow
async def bears_one() -> str:
    return str((await start_child(remembers_rounds, 3)).id)


@workflow
async def in_time() -> list[str]:
    async with asyncio.timeout(3600):
        return await asyncio.gather(*(unhurried() for _ in range(20)))


@workflow
async def reports_twice() -> None:
    await tells()
    await tells_in_a_transaction()


@workflow
async def fans_in(count: int) -> int:
    return sum(await asyncio.gather(*(wait_for_event("fan", str(number), type=int) for number in range(count))))


# -- what is damaged --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("harm", ["DELETE FROM blobs", "UPDATE blobs SET body = x'00'"])
def test_a_damaged_history_holds_up_no_other_flow(sqlite_url: str, harm: str) -> None:
    with Holdfast(sqlite_url, park_after=0.0) as hf:
        damaged = [hf.start(keeps_large) for _ in range(3)]
        until(lambda: all(handle.flow().status is FlowStatus.WAITING for handle in damaged))
    with open_store(sqlite_url) as store:
        store.run(lambda tx: tx.execute(harm))
    with Holdfast(sqlite_url, park_after=0.0, worker=False) as hf:
        for handle in damaged:
            hf.signal(handle.id, "go")
    with Holdfast(sqlite_url, park_after=0.0) as hf:
        assert hf.start(remembers_rounds, 3).result(timeout=10) == {"round 3": 3}
        for found in damaged:
            until(lambda found=found: hf.handle(found.id).flow().paused)
            assert (hf.handle(found.id).flow().error or {})["kind"].endswith("HistoryDamaged")


def test_a_closed_outbox_tries_nothing_again(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.flows.engine.outbox.RETRY_SECONDS", 0.01)
    tried: list[int] = []

    async def main() -> None:
        def write(group: list[int]) -> asyncio.Future[None]:
            tried.extend(group)
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            future.set_exception(StoreUnreachable("It is gone."))
            return future

        box: Outbox[int, None] = Outbox(write, lambda group, answer: None, lambda error: None)
        box.put(1)
        box.flush()
        await asyncio.sleep(0.05)
        box.close()
        seen = len(tried)
        assert seen > 1
        await asyncio.sleep(0.05)
        assert len(tried) == seen

    with caplog.at_level(logging.CRITICAL):
        asyncio.run(main())


def test_an_error_beside_the_work_is_no_silence(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(port: SqlEnginePort, *args: Any) -> None:
        raise ZeroDivisionError("the engine's own")

    monkeypatch.setattr(SqlEnginePort, "halt", fails)

    @workflow
    async def stuck() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(ZeroDivisionError), Holdfast(sqlite_url, workflows=[stuck]) as hf:
        hf.start(stuck).result(timeout=10)


def test_a_worker_that_is_woken_as_it_ends_takes_up_nothing(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    outlook, looked, workers = SqlEnginePort.outlook, [], []

    async def look(port: SqlEnginePort, *args: Any) -> Any:
        looked.append(any(worker._draining for worker in workers))
        return await outlook(port, *args)

    class Ending:
        """The worker is woken one turn of its event loop before it is told to end."""

        def __init__(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
            self.loop, self.task = loop, task

        def cancel(self) -> None:
            workers[0].wake()
            self.loop.call_soon(self.task.cancel)

    monkeypatch.setattr(SqlEnginePort, "outlook", look)
    with Holdfast(sqlite_url) as hf:
        assert hf._loop is not None
        assert hf._task is not None
        workers.append(hf._worker)
        until(lambda: looked)
        threading.Event().wait(0.1)
        hf._task = Ending(hf._loop, hf._task)  # type: ignore[assignment]
    assert not any(looked)


# -- beginning anew -----------------------------------------------------------------------------------------------


def test_what_was_published_is_still_there_after_beginning_anew(store_url: str) -> None:
    with Holdfast(store_url) as hf:
        handle = hf.start(remembers_rounds, 1)
        published = {"round 1": 1, "round 2": 2, "round 3": 3}
        assert handle.result(timeout=10) == published
        assert handle.state() == published


def test_a_branch_may_begin_its_flow_anew(sqlite_url: str) -> None:
    with Holdfast(sqlite_url) as hf:
        assert hf.start(anew_in_a_group, 1).result(timeout=10) == 3


def test_beginning_anew_once_more_changes_nothing(store_url: str) -> None:
    """Its answer was lost, and the flow is leased again meanwhile, to the very same worker."""
    with open_store(store_url) as store:
        store.run(lambda tx: _born(tx, "anew"))
        epoch = store.run(_epoch)
        (flow,) = store.run(lambda tx: claims.claim(tx, epoch, ["anew"], 10, suspect=False))
        ending = Ending(flow.num, "running", None, None, 1, True, "{}", flow.attempt)
        assert store.run(lambda tx: sql_port._finish(tx, epoch, [ending])) == {}
        (again,) = store.run(lambda tx: claims.claim(tx, epoch, ["anew"], 10, suspect=False))
        assert again.attempt == 2
        wait = sql_port.Wait(flow.num, "signal:go#1@2", "signal", "go", flow.id)
        store.run(lambda tx: inbox.register(tx, [wait]))
        assert store.run(lambda tx: sql_port._finish(tx, epoch, [ending])) == {}
        row = "SELECT attempt, epoch, (SELECT count(*) FROM waits) FROM flows"
        assert store.read(lambda tx: tx.fetch(row)) == [(2, epoch, 1)]


# -- who depends on whom ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("park_after", [0.0, 5.0], ids=["parked", "resident"])
def test_a_flow_that_was_nobodys_child_is_awaited(store_url: str, park_after: float) -> None:
    with Holdfast(store_url, park_after=park_after) as hf:
        independent = hf.start(awaits_one, "shared", key="shared")
        until(lambda: hf.store.read(lambda tx: tx.fetch("SELECT 1 FROM waits WHERE kind = 'event'")))
        parents = [hf.start(shares_child, "shared") for _ in range(2)]
        until(lambda: len(hf.store.read(lambda tx: tx.fetch("SELECT 1 FROM waits WHERE kind = 'child'"))) == 2)
        hf.emit("topic", "shared", 5)
        assert independent.result(timeout=10) == 5
        assert [parent.result(timeout=10) for parent in parents] == [5, 5]


def test_a_child_is_its_parents_owners(store_url: str) -> None:
    with Holdfast(store_url, queues=[Queue("few", concurrency=1)]) as hf:
        for queue in (None, "few"):
            parent = hf.start(bears_one, owner="ann", queue=queue)
            child = hf.handle(parent.result(timeout=10)).flow()
            assert child.owner_session_key == "ann"
        assert hf.store.read(lambda tx: tx.fetch("SELECT depth FROM flows ORDER BY num")) == [(0,), (1,), (0,), (1,)]


# -- who comes first ----------------------------------------------------------------------------------------------


def test_a_type_with_many_flows_does_not_starve_another(store_url: str) -> None:
    with open_store(store_url, clock=VirtualClock()) as store:
        clock = store.clock
        assert isinstance(clock, VirtualClock)
        store.run(lambda tx: _born(tx, *["many"] * 5))
        clock.advance(1)
        store.run(lambda tx: _born(tx, "one"))
        clock.advance(1)
        epoch, claimed = store.run(_epoch), []
        for _ in range(3):
            store.run(lambda tx: _born(tx, *["many"] * 5))
            claimed += store.run(lambda tx: claims.claim(tx, epoch, ["many", "one"], 5, suspect=False))
        assert "one" in {flow.workflow_type for flow in claimed}


def test_the_clock_waits_for_steps_that_are_about_to_run() -> None:
    for _ in range(10):
        with Holdfast("sqlite://", clock=VirtualClock(auto=True)) as hf:
            handles = [hf.start(in_time) for _ in range(3)]
            assert [set(handle.result(timeout=10)) for handle in handles] == [{"in time"}] * 3


def test_no_progress_is_left_of_a_step_that_has_ended(store_url: str) -> None:
    with Holdfast(store_url) as hf:
        hf.start(reports_twice).result(timeout=10)
        threading.Event().wait(0.7)
        assert hf.store.read(lambda tx: tx.fetch("SELECT run_id FROM step_progress")) == []


def test_a_flow_with_thousands_of_waits(sqlite_url: str) -> None:
    count = 3000
    with Holdfast(sqlite_url) as hf:
        handle = hf.start(fans_in, count)
        until(lambda: hf.store.read(lambda tx: tx.fetch("SELECT count(*) FROM waits")) == [(count,)])
        for number in range(count):
            hf.emit("fan", str(number), number)
        assert handle.result(timeout=60) == sum(range(count))


# -- on a server --------------------------------------------------------------------------------------------------


def test_leaving_while_somebody_answers(postgres_url: str) -> None:
    """The statement that parks a flow waits for whoever touches it, and then sees what that one wrote."""
    with open_store(postgres_url) as store:
        store.run(lambda tx: _born(tx, "leaves"))
        epoch = store.run(_epoch)
        (flow,) = store.run(lambda tx: claims.claim(tx, epoch, ["leaves"], 1, suspect=False))
        wait = sql_port.Wait(flow.num, "event:topic#1@1", "event", "topic", "A")
        store.run(lambda tx: inbox.register(tx, [wait]))
        parked = threading.Thread(target=lambda: asyncio.run(_park(store, epoch, flow.num)))

        def answer_and_attend(tx: Transaction) -> None:
            ((num,),) = tx.fetch("SELECT num FROM waits")
            inbox.touch(tx, [flow.num])
            parked.start()
            until(lambda: _blocked(tx))
            inbox.answer(tx, num, "7")
            tx.execute("UPDATE flows SET touched = FALSE")

        store.run(answer_and_attend)
        parked.join()
        assert store.read(lambda tx: tx.fetch("SELECT 1 FROM flows WHERE due_at IS NOT NULL")) == [(1,)]


def _blocked(tx: Transaction) -> bool:
    return bool(tx.fetch("SELECT 1 FROM pg_locks WHERE NOT granted"))


async def _park(store: Store, epoch: int, flow: int) -> None:
    await SqlEnginePort(store).park(epoch, [(flow, None)])


def test_ending_and_sending_do_not_block_each_other(postgres_url: str) -> None:
    with open_store(postgres_url) as store:
        store.run(lambda tx: _born(tx, "leaves"))
        epoch = store.run(_epoch)
        (flow,) = store.run(lambda tx: claims.claim(tx, epoch, ["leaves"], 1, suspect=False))
        wait = sql_port.Wait(flow.num, "event:topic#1@1", "event", "topic", "A")
        store.run(lambda tx: inbox.register(tx, [wait]))
        ending = Ending(flow.num, "finished", "1", None, 1, tied=True)
        ends = threading.Thread(target=lambda: store.run(lambda tx: sql_port._finish(tx, epoch, [ending])))
        attempts: list[int] = []

        def send(tx: Transaction) -> None:
            attempts.append(1)
            inbox.lock(tx, {inbox.Address("event", "topic", "A")})
            if len(attempts) == 1:
                ends.start()
                until(lambda: _blocked(tx))
            emit(tx, "topic", "A", 7)

        began = time.monotonic()
        store.run(send)
        ends.join()
        assert time.monotonic() - began < DEADLOCK_SECONDS
        assert [event.payload for event in store.read(lambda tx: pending_events(tx, limit=None)).items] == [7]


def _born(tx: Transaction, *types: str) -> None:
    insert_flows(tx, [make_start(name, "{}", 0, StartOptions()) for name in types])


def _epoch(tx: Transaction) -> int:
    values = {"host": "h", "pid": 1, "workflow_types": "[]", "lease_seconds": 10.0, "now": SystemClock().micros()}
    ((epoch,),) = tx.fetch(_q["register"], values)
    return int(epoch)
