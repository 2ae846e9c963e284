"""The engine's workloads on DBOS Transact: what becomes of enqueuing, and of going back.

What follows its documentation: ``DBOSClient.enqueue`` enqueues from a process that serves nothing, ``Queue.enqueue``
from one that does, here one that listens to no queue; there is no call for many at once. ``DBOS.fork_workflow`` makes
another workflow that goes on from a step.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from _shared import CONNECTIONS, sqlite_path, step_result
from dbos import DBOS, DBOSClient

THREADS = 8
QUEUE = "bench"


def open_dbos(url: str) -> str:
    """Launch DBOS, which listens to no queue but its own; returns the URL as it takes it."""
    path = sqlite_path(url)
    url = f"sqlite:///{path}" if path else url
    DBOS(
        config={
            "name": "peer",
            "system_database_url": url,
            "sys_db_pool_size": CONNECTIONS,
            "log_level": "WARNING",
        }
    )
    DBOS.listen_queues([])
    return url


def enqueue(url: str, flows: int) -> dict[str, float]:
    """Flows a second, by how they were enqueued."""

    @DBOS.workflow()
    def idle(number: int) -> int:
        return number

    url = open_dbos(url)
    DBOS.launch()
    queue = DBOS.register_queue(QUEUE)
    client = DBOSClient(system_database_url=url)

    def by_client(number: int) -> object:
        return client.enqueue({"workflow_name": "idle", "queue_name": QUEUE}, number)

    def by_queue(number: int) -> object:
        return queue.enqueue(idle, number)

    found = {}
    for name, way in (("client", by_client), ("queue", by_queue)):
        found[name] = rate(lambda way=way: [way(number) for number in range(flows)], flows)
        with ThreadPoolExecutor(THREADS) as threads:
            found[f"{name}, {THREADS} threads"] = rate(
                lambda way=way, threads=threads: list(threads.map(way, range(flows))), flows
            )
    DBOS.destroy()
    return found


def rate(act: Callable[[], object], flows: int) -> float:
    """How many a second ``act`` does of ``flows``."""
    began = time.perf_counter()
    act()
    return flows / (time.perf_counter() - began)


def fork(url: str, steps: int) -> dict[str, float]:
    """Milliseconds of forking a workflow of ``steps`` steps after half of them, and how many steps ran again that were
    to be kept."""
    runs: Counter[int] = Counter()

    @DBOS.step()
    async def work(number: int) -> str:
        runs[number] += 1
        return step_result(number)

    @DBOS.workflow()
    async def long(count: int) -> int:
        for number in range(count):
            await work(number)
        return count

    async def run() -> dict[str, float]:
        handle = await DBOS.start_workflow_async(long, steps)
        await handle.get_result()
        began = time.perf_counter()
        forked = await DBOS.fork_workflow_async(handle.workflow_id, steps // 2 + 1)
        taken = (time.perf_counter() - began) * 1000
        await forked.get_result()
        return {
            "fork_ms": taken,
            "kept_ran_again": sum(runs[number] - 1 for number in range(steps // 2)),
            "undone_ran_again": sum(runs[number] - 1 for number in range(steps // 2, steps)),
        }

    open_dbos(url)
    DBOS.launch()
    figures = asyncio.run(run())
    DBOS.destroy()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="The engine's workloads on DBOS.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("enqueue", help="flows into a queue, one by one").add_argument("--flows", type=int)
    commands.add_parser("fork", help="a long workflow goes back to its middle").add_argument("--steps", type=int)
    for command in commands.choices.values():
        command.add_argument("--url", required=True)
    asked = parser.parse_args()
    found = enqueue(asked.url, asked.flows) if asked.command == "enqueue" else fork(asked.url, asked.steps)
    print(json.dumps({name: round(value, 4) for name, value in found.items()}), flush=True)


if __name__ == "__main__":
    main()
