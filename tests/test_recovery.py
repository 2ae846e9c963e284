"""FL-10, FL-19: after ``kill -9`` a new worker finishes everything; what kills workers is stopped; SIGTERM drains."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from holdfast import FlowFailed, Handle, Holdfast
from holdfast.flows import SqlFlowStore
from holdfast.flows.health import owner_records
from tests import fleet
from tests.fleet import Effects, WorkerProcess, report, rows, until

LONG = [pytest.mark.prove, pytest.mark.timeout(3600)]
LINKS = 4
MANY = 100_000
durable = pytest.mark.parametrize("new_store_url", ["sqlite", "postgres"], indirect=True)
CRASHES = 5


async def start_all(url: str, ledger: Path, flows: int, seconds: float) -> dict[str, Handle[list[str]]]:
    """Start ``flows`` flows that nobody serves yet."""
    async with Holdfast(url, workflows=[fleet.rest], worker=False) as hf:
        labels = [str(number) for number in range(flows)]
        starts = [hf.astart(fleet.rest, str(ledger), label, LINKS, 20, seconds) for label in labels]
        return dict(zip(labels, await asyncio.gather(*starts), strict=True))


def recorded(client: Holdfast) -> set[str]:
    """The keys of all steps that are recorded."""
    return {key for key in client.store.read(lambda tx: owner_records(tx, "")) if "/link#" in key}


def new_effects(before: Counter[str], after: Counter[str], keys: set[str]) -> list[str]:
    """Those of ``keys`` whose effect happened in between."""
    return [key for key in keys if after[key] > before[key]]


@durable
@pytest.mark.parametrize(("flows", "seconds"), [(300, 2.0), pytest.param(10_000, 20.0, marks=LONG)])
def test_running_flows_survive_the_kill_of_their_worker(
    flows: int, seconds: float, store_url: str, tmp_path: Path
) -> None:
    """All flows are on board when the process dies: some in a step, some between two, some in a durable sleep."""
    ledger = tmp_path / "ledger"
    handles = asyncio.run(start_all(store_url, ledger, flows, seconds))
    effects = Effects(ledger)
    running = "SELECT count(*) FROM flows WHERE status = 'running'"
    with Holdfast(store_url, worker=False) as client:
        with WorkerProcess(store_url, tmp_path / "first.log", lease=3.0, concurrency=MANY) as worker:
            until(lambda: rows(client, running) == [(flows,)], "all flows run")
            until(lambda: effects.counts().total() >= flows * (LINKS - 1) * 0.9, "most of them did most of their steps")
            worker.kill()
        on_board = rows(client, running)[0][0]
        kept, before = recorded(client), Counter(effects.counts())
        in_flight = len(before.keys() - kept)
        killed = time.monotonic()
        with WorkerProcess(store_url, tmp_path / "second.log", lease=3.0, concurrency=MANY):
            until(lambda: not fleet.unfinished(client), "all flows end")
            took = time.monotonic() - killed
        found = fleet.audit(client, handles, LINKS, effects.counts())
        again = new_effects(before, effects.counts(), kept)
    report(
        case=f"kill -9 with {flows} flows on board, {store_url.partition(':')[0]}",
        on_board=on_board,
        steps_recorded_before=len(kept),
        steps_in_flight=in_flight,
        effects_repeated=found.repeated,
        recorded_steps_that_ran_again=len(again),
        durable_sleep_seconds=seconds,
        seconds_to_finish=round(took, 1),
    )
    assert on_board == flows
    assert found.faults == []
    assert again == []
    assert found.repeated <= in_flight


@durable
def test_what_kills_its_workers_is_failed_as_poison_and_nothing_else_is(store_url: str, tmp_path: Path) -> None:
    ledger, log = tmp_path / "ledger", tmp_path / "workers.log"
    workflows = [fleet.chain, fleet.poison]
    with Holdfast(store_url, workflows=workflows, worker=False) as client:
        deadly = client.start(fleet.poison)
        others = {label: client.start(fleet.chain, str(ledger), label, 3, 200) for label in "abcdef"}
        for _ in range(CRASHES):
            with WorkerProcess(store_url, log) as worker:
                until(lambda worker=worker: not worker.alive, "the flow kills its worker")
                assert worker.wait() == -9
            assert not deadly.flow().status.terminal
        with WorkerProcess(store_url, log) as worker:
            with pytest.raises(FlowFailed, match=f"{CRASHES} workers in a row") as failed:
                deadly.result(timeout=60)
            until(lambda: not fleet.unfinished(client), "the others end")
            assert worker.alive
        assert failed.value.kind == "holdfast.flows.engine.lease.Poisoned"
        assert [handle.result(timeout=1) for handle in others.values()] == [
            [f"{label}/{number}" for number in range(3)] for label in others
        ]
        assert [event.kind for event in events(client, deadly)] == ["resumed"] * CRASHES + ["poisoned"]


def events(client: Holdfast, handle: Handle[Any]) -> list[Any]:
    """A flow's events, oldest first."""
    return client.store.read(lambda tx: SqlFlowStore(tx).list_events(handle.id)).items[::-1]


@durable
def test_sigterm_drains(store_url: str, tmp_path: Path) -> None:
    """The running step ends and is recorded; no other begins; the flow is free at once, under no lease."""
    ledger, started, release = tmp_path / "ledger", tmp_path / "started", tmp_path / "release"
    with Holdfast(store_url, workflows=[fleet.lingering], worker=False) as client:
        handle = client.start(fleet.lingering, str(ledger), str(started), str(release))
        with WorkerProcess(store_url, tmp_path / "first.log", lease=30.0) as worker:
            until(started.exists, "the step runs")
            worker.ask_to_stop()
            time.sleep(0.3)
            assert worker.alive
            release.touch()
            assert worker.wait() == 0
        assert rows(client, "SELECT run_id, status, result FROM steps") == [("linger#1@1", "succeeded", '"lingered"')]
        assert not ledger.exists()
        flow = handle.flow()
        assert (flow.status, flow.epoch, flow.crashes) == ("running", None, 0)
        assert flow.due_at is not None
        with WorkerProcess(store_url, tmp_path / "second.log", lease=30.0):
            assert handle.result(timeout=60) == ["lingered", "after/0"]
        assert Effects(ledger).counts() == {f"{handle.id}/link#1@1": 1}
