"""The workloads on Holdfast, written as the peers' are; also a script like theirs: ``python -m benchmarks.ours``."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass

from benchmarks.bare import payload
from benchmarks.peers._shared import (
    STEPS,
    WARM_UP_FLOWS,
    Ledger,
    Recovery,
    Throughput,
    effect,
    flow_ids,
    parser,
    run_command,
)
from holdfast import Holdfast, Workflow, step, workflow


@step
async def work(num: int, index: int) -> str:
    return payload(num, index)


def small_flow(latencies: list[float]) -> Workflow[[int], str]:
    """The throughput workload, which notes how long each step took as its workflow sees it, in seconds."""

    @workflow
    async def small(num: int) -> str:
        result = ""
        for index in range(STEPS):
            began = time.perf_counter()
            result = await work(num, index)
            latencies.append(time.perf_counter() - began)
        return result

    return small


def served_flow(ledger: Ledger) -> Workflow[[str], None]:
    """The recovery workload."""

    @step
    async def served_step(flow: str, index: int) -> str:
        return await effect(ledger, flow, index)

    @workflow
    async def served(flow: str) -> None:
        for index in range(STEPS):
            await served_step(flow, index)

    return served


@dataclass(frozen=True)
class HoldfastPeer:
    """Holdfast in one event loop, all at its defaults."""

    url: str

    def throughput(self, flows: int, concurrency: int) -> Throughput:
        return asyncio.run(self._throughput(flows, concurrency))

    def serve(self, ledger: Ledger, flows: int) -> None:
        asyncio.run(self._run_served(ledger, flows))

    def recover(self, ledger: Ledger, flows: int) -> Recovery:
        """Do what serving does: starting a flow again under its key gives the flow that exists."""
        return asyncio.run(self._run_served(ledger, flows))

    async def _throughput(self, flows: int, concurrency: int) -> Throughput:
        latencies: list[float] = []
        small = small_flow(latencies)
        async with Holdfast(self.url) as hf:

            async def run(nums: range) -> None:
                waiting = iter(nums)

                async def lane() -> None:
                    for num in waiting:
                        await (await hf.astart(small, num))

                await asyncio.gather(*(lane() for _ in range(concurrency)))

            await run(range(WARM_UP_FLOWS))
            latencies.clear()
            began = time.perf_counter()
            await run(range(flows))
            elapsed = time.perf_counter() - began
        return Throughput(flows * STEPS / elapsed, statistics.median(latencies) * 1000)

    async def _run_served(self, ledger: Ledger, flows: int) -> Recovery:
        served = served_flow(ledger)
        began = time.perf_counter()
        async with Holdfast(self.url, workflows=[served]) as hf:
            handles = await asyncio.gather(*(hf.astart(served, flow, key=flow) for flow in flow_ids(flows)))
            for handle in handles:
                await handle
            return Recovery(time.perf_counter() - began, len(handles))


def main() -> None:
    root, _ = parser("Holdfast")
    arguments = root.parse_args()
    run_command(HoldfastPeer(arguments.url), arguments)


if __name__ == "__main__":
    main()
