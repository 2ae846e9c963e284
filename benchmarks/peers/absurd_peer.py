"""The benchmark's workloads on Absurd.

What follows its documentation:

* the schema is ``absurdctl``'s own SQL, which its guide would have applied by one's migrations, and ``create_queue`` of
  the SDK makes the queue; both do what ``absurdctl init`` and ``absurdctl create-queue`` do, without needing ``psql``;
* work is done by workers that pull (``start_worker``), each on a connection of its own with its share of the flows as
  its ``concurrency``. Coroutine workers of one event loop are used: on as many connections they are faster than the
  SDK's threads;
* recovery is any worker's: a task is handed out again once its claim has expired, which is ``claim_timeout`` after its
  last checkpoint. That is 120 seconds by default, and ``--claim-timeout`` sets it for both commands of the crash.

Tasks are spawned before their workers start, for a coroutine worker runs the tasks of one claim to their end before it
claims again.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from _shared import (
    CONNECTIONS,
    STEPS,
    WARM_UP_FLOWS,
    Ledger,
    Recovery,
    StepTimes,
    Throughput,
    effect,
    flow_ids,
    parser,
    run_command,
    step_result,
)
from absurd_sdk import AsyncAbsurd, AsyncTaskContext
from absurdctl import BUNDLED_SCHEMA_SQL  # type: ignore[import-untyped]
from psycopg import AsyncConnection, sql

_CLAIM_TIMEOUT_SECONDS = 120
_POLL_SECONDS = 0.02
_TASK = "flow"

Handler = Callable[[dict[str, str], AsyncTaskContext], Awaitable[None]]


def small_flow(times: StepTimes) -> Handler:
    """The throughput workload."""

    async def handle(_: dict[str, str], context: AsyncTaskContext) -> None:
        for number in range(STEPS):

            async def step(number: int = number) -> str:
                return step_result(number)

            with times.step():
                await context.step(f"step-{number}", step)

    return handle


def served_flow(ledger: Ledger) -> Handler:
    """The recovery workload."""

    async def handle(params: dict[str, str], context: AsyncTaskContext) -> None:
        for number in range(STEPS):

            async def step(number: int = number) -> str:
                return await effect(ledger, params["flow"], number)

            await context.step(f"step-{number}", step)

    return handle


class Queue:
    """One queue of a database, with its own connection to spawn tasks and watch them finish."""

    def __init__(self, url: str, name: str, connection: AsyncConnection[Any]) -> None:
        self._url = url
        self._name = name
        self._connection = connection
        self._client = AsyncAbsurd(connection, queue_name=name)

    async def create(self) -> None:
        """Install the schema and make the queue, unless they are there."""
        cursor = await self._connection.execute("SELECT to_regnamespace('absurd') IS NULL")
        if await cursor.fetchone() == (True,):
            await self._connection.execute(BUNDLED_SCHEMA_SQL)
        await self._client.create_queue()

    async def spawn(self, ids: list[str]) -> None:
        """Spawn a task for each id, or none for one that was spawned before."""
        for flow in ids:
            await self._client.spawn(_TASK, {"flow": flow}, queue=self._name, idempotency_key=flow)

    async def completed(self) -> int:
        """How many of the queue's tasks have completed."""
        table = sql.Identifier("absurd", f"t_{self._name}")
        cursor = await self._connection.execute(
            sql.SQL("SELECT count(*) FROM {} WHERE state = 'completed'").format(table)
        )
        row = await cursor.fetchone()
        return 0 if row is None else int(row[0])

    async def wait(self, flows: int) -> int:
        """Wait until ``flows`` tasks have completed, and say how many have."""
        while (completed := await self.completed()) < flows:  # noqa: ASYNC110 - a poll, as its users would write
            await asyncio.sleep(_POLL_SECONDS)
        return completed

    @asynccontextmanager
    async def workers(self, handler: Handler, concurrency: int, claim_timeout: int) -> AsyncIterator[None]:
        """Workers on a connection each, which have ``concurrency`` tasks at once between them."""
        count = min(concurrency, CONNECTIONS)
        workers = [AsyncAbsurd(self._url, queue_name=self._name) for _ in range(count)]
        async with asyncio.TaskGroup() as group:
            for number, worker in enumerate(workers):
                worker.register_task(_TASK)(handler)
                share = concurrency // count + (number < concurrency % count)
                group.create_task(
                    worker.start_worker(f"worker-{number}", claim_timeout=claim_timeout, concurrency=share)
                )
            yield
            for worker in workers:
                worker.stop_worker()
        for worker in workers:
            await worker.close()


@asynccontextmanager
async def open_queue(url: str, name: str) -> AsyncIterator[Queue]:
    """The queue of that name, made if need be."""
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        queue = Queue(url, name, connection)
        await queue.create()
        yield queue


class AbsurdPeer:
    """Absurd in one event loop."""

    def __init__(self, url: str, *, claim_timeout: int) -> None:
        self._url = url
        self._claim_timeout = claim_timeout

    def throughput(self, flows: int, concurrency: int) -> Throughput:
        return asyncio.run(self._throughput(flows, concurrency))

    def serve(self, ledger: Ledger, flows: int) -> None:
        asyncio.run(self._run_served(ledger, flows))

    def recover(self, ledger: Ledger, flows: int) -> Recovery:
        """Do what serving does: a task that was spawned before the crash is not spawned again."""
        return asyncio.run(self._run_served(ledger, flows))

    async def _throughput(self, flows: int, concurrency: int) -> Throughput:
        times = StepTimes()
        handler = small_flow(times)
        await self._run_small(handler, WARM_UP_FLOWS, concurrency, times)
        await self._run_small(handler, flows, concurrency, times)
        return times.throughput(flows)

    async def _run_small(self, handler: Handler, flows: int, concurrency: int, times: StepTimes) -> None:
        """Run flows on a queue of their own, timed until the last has completed and not until the workers stop."""
        name = f"small_{uuid.uuid4().hex}"
        async with open_queue(self._url, name) as queue, AsyncExitStack() as working:
            with times.run():
                await queue.spawn(flow_ids(flows))
                await working.enter_async_context(queue.workers(handler, concurrency, self._claim_timeout))
                await queue.wait(flows)

    async def _run_served(self, ledger: Ledger, flows: int) -> Recovery:
        """Run all served flows at once, timed likewise."""
        began = time.perf_counter()
        async with open_queue(self._url, "served") as queue:
            await queue.spawn(flow_ids(flows))
            async with queue.workers(served_flow(ledger), flows, self._claim_timeout):
                finished = await queue.wait(flows)
                elapsed = time.perf_counter() - began
        return Recovery(elapsed, finished)


def main() -> None:
    root, commands = parser("Absurd")
    for command in ("serve", "recover"):
        commands[command].add_argument(
            "--claim-timeout", type=int, default=_CLAIM_TIMEOUT_SECONDS, help="seconds a silent worker keeps its tasks"
        )
    arguments = root.parse_args()
    claim_timeout = getattr(arguments, "claim_timeout", _CLAIM_TIMEOUT_SECONDS)
    run_command(AbsurdPeer(arguments.url, claim_timeout=claim_timeout), arguments)


if __name__ == "__main__":
    main()
