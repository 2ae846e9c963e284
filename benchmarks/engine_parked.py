"""A million parked flows: what they cost a worker that has nothing to do, and how soon one of them wakes.

Half of them sleep for a month, half wait for an event. Every one was started, run and parked by a real worker; what is
measured is a worker in a process of its own that has never seen them.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from benchmarks.command import Bench
from benchmarks.engine_common import DURABILITY, in_fresh_process, memory_megabytes, park, percentile_99
from benchmarks.measure import note
from benchmarks.report import Figures
from holdfast import Holdfast, sleep, workflow
from holdfast.flows.engine.sql_port import SqlEnginePort
from holdfast.flows.waiting import wait_for_event

MANY, FEW = 1_000_000, 10_000
TICKS = 5_000
WAKES = 300
TOPIC = "bench"

LAST_WAIT = "SELECT max(num) FROM waits"
SOME_WAIT = """SELECT f.id, w.correlation FROM waits w JOIN flows f ON f.num = w.flow
WHERE w.num >= :num AND w.answered_at IS NULL ORDER BY w.num LIMIT 1"""


@workflow(name="bench.sleeper")
async def sleeper(number: int) -> int:
    await sleep(timedelta(days=30))
    return number


@workflow(name="bench.listener")
async def listener(number: int) -> int:
    return await wait_for_event(TOPIC, str(number), type=int)


@dataclass(frozen=True)
class Worker:
    """What a worker over parked flows measured.

    Attributes:
        memory: resident megabytes, in the end.
        tick: milliseconds of a look at a store in which nothing is due, at the 99th percentile.
        tick_p50: the median.
        wake: milliseconds from an event's emission to its flow's result, the median.
        wake_p99: at the 99th percentile.
    """

    memory: float
    tick: float
    tick_p50: float
    wake: float
    wake_p99: float


class Survey:
    """The measurements of both stores, taken once, by workers that take turns."""

    def __init__(self) -> None:
        self._taken: tuple[Worker, Worker] | None = None
        self.parked_per_second = 0.0

    def taken(self, bench: Bench) -> tuple[Worker, Worker]:
        """What the workers over many and over few flows measured."""
        if self._taken is None:
            self._taken = self._take(bench)
        return self._taken

    def _take(self, bench: Bench) -> tuple[Worker, Worker]:
        found: tuple[list[Worker], list[Worker]] = ([], [])
        with bench.workspace.sqlite() as large, bench.workspace.sqlite() as small:
            self.parked_per_second = _fill(large.url, bench.size(MANY))
            _fill(small.url, bench.size(FEW))
            sizes = bench.size(TICKS), max(2, min(bench.size(WAKES), bench.size(FEW) // 20))
            for _ in range(bench.repetitions):
                for database, taken in zip((large, small), found, strict=True):
                    taken.append(Worker(**in_fresh_process("benchmarks.engine_parked", database.url, *sizes)))
        many, few = (_median(taken) for taken in found)
        return many, few


@dataclass(frozen=True)
class Parked:
    """One of the survey's figures at a million flows; ``bare``: at ten thousand.

    Attributes:
        figure: which one.
        limit: what it must not exceed.
        target: see :class:`~benchmarks.report.Figures`.
        more: of which other figures the case tells.
    """

    name: str
    unit: str
    figure: Callable[[Worker], float]
    limit: float
    target: Mapping[str, float]
    survey: Survey
    more: Mapping[str, Callable[[Worker], float]] = field(default_factory=dict)

    def run(self, bench: Bench) -> Figures:
        many, few = self.survey.taken(bench)
        return Figures(
            case=self.name,
            unit=self.unit,
            ours=self.figure(many),
            bare=self.figure(few),
            peers={},
            lower_is_better=True,
            target=self.target,
            durability=DURABILITY,
            limit=self.limit,
            notes={"bare": f"the same where {bench.size(FEW):,} flows are parked instead of {bench.size(MANY):,}"},
            extra={
                "parked_per_second": round(self.survey.parked_per_second),
                **{
                    name: {"ours": round(told(many), 3), "bare": round(told(few), 3)}
                    for name, told in self.more.items()
                },
            },
        )


def _fill(url: str, count: int) -> float:
    """Park flows, half of each kind; how many a second."""
    note(f"    parking {count:,} flows")
    rates = [park(url, workflow, count // 2) for workflow in (sleeper, listener)]
    return statistics.harmonic_mean(rates)


def _median(taken: list[Worker]) -> Worker:
    return Worker(**{name: statistics.median(getattr(one, name) for one in taken) for name in vars(taken[0])})


def measure(url: str, ticks: int, wakes: int) -> Worker:
    """Open a worker and measure, with nothing but what anybody may call."""
    with Holdfast(url, workflows=[sleeper, listener]) as hf:
        looks = asyncio.run(_ticks(hf, ticks))
        woken = [_wake(hf, flow_id, correlation) for flow_id, correlation in _some(hf, wakes)]
        memory = memory_megabytes("VmRSS")
    return Worker(
        memory, percentile_99(looks), statistics.median(looks), statistics.median(woken), percentile_99(woken)
    )


async def _ticks(hf: Holdfast, count: int) -> list[float]:
    """Milliseconds of what the worker asks whenever it looks for work."""
    port, names, found = SqlEnginePort(hf.store), hf.serving, []
    for _ in range(count):
        began = time.perf_counter()
        outlook = await port.outlook(0, names)
        found.append((time.perf_counter() - began) * 1000)
    assert not outlook.touched
    assert outlook.due is None or outlook.due > hf.store.clock.micros()
    return found


def _some(hf: Holdfast, count: int) -> list[tuple[str, str]]:
    """Ids and correlation ids of flows that wait for events, from all over the store."""
    ((last,),) = hf.store.read(lambda tx: tx.fetch(LAST_WAIT))
    found: dict[str, str] = {}
    while len(found) < count:
        num = random.randint(1, last)
        found.update(hf.store.read(lambda tx, num=num: tx.fetch(SOME_WAIT, {"num": num})))  # type: ignore[misc]
    return list(found.items())


def _wake(hf: Holdfast, flow_id: str, correlation: str) -> float:
    began = time.perf_counter()
    hf.emit(TOPIC, correlation, int(correlation))
    told = hf.handle(flow_id).result(timeout=30)
    taken = (time.perf_counter() - began) * 1000
    assert told == int(correlation)
    return taken


def cases() -> list[Parked]:
    """The cases, which share one survey."""
    survey = Survey()
    return [
        Parked("parked-memory", "MB", lambda worker: worker.memory, 300.0, {}, survey),
        Parked(
            "parked-tick",
            "ms (p99)",
            lambda worker: worker.tick,
            1.0,
            {"bare": 2},
            survey,
            {"p50_ms": lambda worker: worker.tick_p50},
        ),
        Parked(
            "parked-wake",
            "ms (p50)",
            lambda worker: worker.wake,
            10.0,
            {"bare": 2},
            survey,
            {"p99_ms": lambda worker: worker.wake_p99},
        ),
    ]


def main(url: str, ticks: str, wakes: str) -> None:
    print(json.dumps(vars(measure(url, int(ticks), int(wakes)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
