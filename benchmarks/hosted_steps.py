"""The throughput workload as a module of its own, for packages: ten steps with results of 200 bytes."""

from __future__ import annotations

from holdfast import step, workflow

STEPS = 10


@step
async def work(num: int, index: int) -> str:
    return "x" * 190 + f"{num:08d}-{index}"


@workflow(name="bench.hosted")
async def hosted(num: int) -> str:
    result = ""
    for index in range(STEPS):
        result = await work(num, index)
    return result
