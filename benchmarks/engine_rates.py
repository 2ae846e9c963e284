"""Many at once: flows enqueued, timers due in one second, events for flows that wait."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from benchmarks.command import Bench
from benchmarks.engine_common import DURABILITY, park, peer_figures, until_none
from benchmarks.measure import interleaved
from benchmarks.report import Figures
from benchmarks.rivals import peer_database
from holdfast import Holdfast, Workflow, sleep, workflow
from holdfast.flows.queues import Queue
from holdfast.flows.waiting import wait_for_event
from holdfast.testing import VirtualClock

QUEUE = "bench"
TOPIC = "bench"
EMITTERS = 8
NAP = timedelta(minutes=1)
WOKEN: Counter[int] = Counter()


@workflow(name="bench.idle")
async def idle(number: int) -> int:
    return number


@workflow(name="bench.napper")
async def napper(number: int) -> None:
    """Notes that it woke: once, for nothing durable follows."""
    await sleep(NAP)
    WOKEN[number] += 1


@workflow(name="bench.hearer")
async def hearer(number: int) -> None:
    await wait_for_event(TOPIC, str(number))
    WOKEN[number] += 1


@dataclass(frozen=True)
class Enqueue:
    """Flows a second that become durable in a queue; the peer one by one, for it knows no other way."""

    name: str = "enqueue"
    flows: int = 100_000
    peer_flows: int = 2_000

    def run(self, bench: Bench) -> Figures:
        flows = bench.size(self.flows)
        (ours,) = interleaved(bench.repetitions, lambda: self._ours(bench, flows))
        (alone,) = interleaved(bench.repetitions, lambda: self._singly(bench, bench.size(self.peer_flows)))
        with peer_database(bench.workspace, "sqlite") as database:
            dbos = peer_figures("dbos", "enqueue", "--flows", bench.size(self.peer_flows), "--url", database.url)
        return Figures(
            case=self.name,
            unit="flows/s",
            ours=ours,
            bare=None,
            peers={"dbos": max(dbos.values()) if dbos else None},
            lower_is_better=False,
            target={"dbos": 100},
            durability=DURABILITY,
            notes={"dbos": "; ".join(f"{how}: {rate:,.0f} flows/s" for how, rate in (dbos or {}).items())},
            extra={"flows": flows, "singly_per_second": round(alone)},
        )

    def _ours(self, bench: Bench, flows: int) -> float:
        with bench.workspace.sqlite() as database, Holdfast(database.url, workflows=[idle], worker=False) as hf:
            hf.queue(Queue(QUEUE, concurrency=10))
            began = time.perf_counter()
            hf.start_many(idle, range(flows), queue=QUEUE)
            return flows / (time.perf_counter() - began)

    def _singly(self, bench: Bench, flows: int) -> float:
        with bench.workspace.sqlite() as database, Holdfast(database.url, workflows=[idle], worker=False) as hf:
            hf.queue(Queue(QUEUE, concurrency=10))
            began = time.perf_counter()
            for number in range(flows):
                hf.start(idle, number, queue=QUEUE)
            return flows / (time.perf_counter() - began)


@dataclass(frozen=True)
class Wakes:
    """Parked flows that wake at once, a second, each to its end.

    Attributes:
        limit: how many there must be at least.
        workflow: what they are.
        wake: what wakes them all.
        note: how.
    """

    name: str
    workflow: Workflow[[int], None]
    flows: int
    limit: float | None
    wake: Callable[[Holdfast, VirtualClock, int], None]
    note: str

    def run(self, bench: Bench) -> Figures:
        flows = bench.size(self.flows)
        rates = [self._rate(bench, flows) for _ in range(min(3, bench.repetitions))]
        return Figures(
            case=self.name,
            unit="wakes/s",
            ours=statistics.median(rates),
            bare=None,
            peers={},
            lower_is_better=False,
            target={},
            durability=DURABILITY,
            limit=self.limit,
            notes={"ours": self.note},
            extra={"flows": flows},
        )

    def _rate(self, bench: Bench, flows: int) -> float:
        WOKEN.clear()
        clock = VirtualClock()
        with bench.workspace.sqlite() as database:
            park(database.url, self.workflow, flows, clock=clock)
            with Holdfast(database.url, workflows=[self.workflow], clock=clock) as hf:
                began = time.perf_counter()
                self.wake(hf, clock, flows)
                until_none(hf, self.workflow, "waiting", "running")
                taken = time.perf_counter() - began
                ended = hf.store.read(lambda tx: tx.fetch("SELECT status, count(*) FROM flows GROUP BY status"))
        if ended != [("finished", flows)] or dict.fromkeys(range(flows), 1) != WOKEN:
            raise AssertionError(f"{flows:,} flows were to wake once each: {ended}, {WOKEN.most_common(3)}")
        return flows / taken


def ring(hf: Holdfast, clock: VirtualClock, flows: int) -> None:
    """All timers fall due at one moment."""
    clock.advance(NAP)


def emit(hf: Holdfast, clock: VirtualClock, flows: int) -> None:
    """An event for each flow, which finds it waiting."""

    def send(number: int) -> bool:
        return hf.emit(TOPIC, str(number)).delivered

    with ThreadPoolExecutor(EMITTERS) as threads:
        delivered = sum(threads.map(send, range(flows)))
    if delivered != flows:
        raise AssertionError(f"{delivered:,} of {flows:,} events found their wait")


TIMERS = Wakes("timers", napper, 100_000, 5_000.0, ring, "due at the same moment; each wakes once, and ends")
EVENTS = Wakes("events", hearer, 10_000, None, emit, f"sent by {EMITTERS} threads, each with a call of its own")
