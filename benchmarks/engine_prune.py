"""What writers feel of a prune of a million flows."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from benchmarks.command import Bench
from benchmarks.engine_common import DURABILITY, percentile_99
from benchmarks.measure import note
from benchmarks.report import Figures
from holdfast import Holdfast, workflow
from holdfast.flows.retention import DAY_SECONDS, prune
from holdfast.store import Store, Transaction

CHUNK = 20_000
ALONE_SECONDS = 20
KEPT_DAYS = 30

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)"
ID = "printf('%08x-%04x-7000-8000-%012x', i >> 16, i & 65535, i)"
FLOWS = f"""INSERT INTO flows (id, workflow_type, owner_session_key, goal, state, status, attempt, revision,
    created_at, updated_at, started_at, finished_at, seed, args, args_digest, result)
{NUMBERS} SELECT {ID}, 'done', '', '', '{{}}', 'finished', 1, 2,
    :at + i, :at + i, :at + i, :at + i, i, '{{"number": 1}}', 0, '1' FROM n"""
STEPS = f"""INSERT INTO steps (flow, run_id, runtime, task, status, attempt, digest, result, epoch,
    created_at, updated_at)
{NUMBERS} SELECT f.num, 'work#' || s.column1 || '@1', 'managed', 'work', 'succeeded', 1, 0, hex(zeroblob(100)), 1,
    :at, :at
FROM n JOIN flows f ON f.id = {ID} JOIN (VALUES (1), (2)) s"""


@workflow(name="bench.begun")
async def begun(number: int) -> int:
    return number


@dataclass(frozen=True)
class Prune:
    """Milliseconds of a start, one after the other, at the 99th percentile, while ended flows are pruned; ``bare``:
    while they are not."""

    name: str = "prune"
    flows: int = 1_000_000

    def run(self, bench: Bench) -> Figures:
        flows = bench.size(self.flows)
        with bench.workspace.sqlite() as database, Holdfast(database.url, workflows=[begun], worker=False) as hf:
            note(f"    {flows:,} flows that have ended")
            _fill(hf.store, flows)
            with writing(hf) as alone:
                time.sleep(bench.size(ALONE_SECONDS * 1000) / 1000)
            began = time.perf_counter()
            with writing(hf) as beside:
                pruned = prune(hf.store, KEPT_DAYS * DAY_SECONDS)
            seconds = time.perf_counter() - began
        if pruned.flows != flows:
            raise AssertionError(f"{pruned.flows:,} of {flows:,} flows were pruned")
        return Figures(
            case=self.name,
            unit="ms (p99)",
            ours=percentile_99(beside),
            bare=percentile_99(alone),
            peers={},
            lower_is_better=True,
            target={"bare": 5},
            durability=DURABILITY,
            notes={"bare": "the same starts on the same file before the prune"},
            extra={
                "flows": flows,
                "flows_per_second": round(flows / seconds),
                "p50_ms": {"ours": round(statistics.median(beside), 3), "bare": round(statistics.median(alone), 3)},
                "longest_ms": {"ours": round(max(beside), 1), "bare": round(max(alone), 1)},
                "starts_per_second": {
                    "ours": round(len(beside) / seconds),
                    "bare": round(len(alone) / bench.size(ALONE_SECONDS * 1000) * 1000),
                },
            },
        )


@contextmanager
def writing(hf: Holdfast) -> Iterator[list[float]]:
    """A thread that starts one flow after the other meanwhile; gives the milliseconds of each."""
    taken: list[float] = []
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            began = time.perf_counter()
            hf.start(begun, len(taken))
            taken.append((time.perf_counter() - began) * 1000)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield taken
    finally:
        ended.set()
        thread.join()


def _fill(store: Store, flows: int) -> None:
    """Flows of two steps each that ended longer ago than they are kept."""
    at = store.clock.micros() - round((KEPT_DAYS + 10) * DAY_SECONDS * 1_000_000)
    for first in range(1, flows + 1, CHUNK):
        store.run(partial(_insert, {"first": first, "last": min(flows, first + CHUNK - 1), "at": at}))


def _insert(params: dict[str, int], tx: Transaction) -> None:
    for statement in (FLOWS, STEPS):
        tx.execute(statement, params)
