"""The benchmark's workloads on DBOS Transact.

What follows its documentation:

* coroutine workflows run in the caller's event loop and ``DBOS.start_workflow_async`` starts them in the background;
  ``--sync`` runs plain functions on its threads through ``DBOS.start_workflow``;
* recovery is its guide's for a single server: the next ``DBOS.launch`` recovers every workflow that was pending for the
  same executor id and application version, which are left at their defaults.

What it leaves open:

* ``sys_db_pool_size``: fewer connections than its default of 20 run faster when one process drives them;
* SQLite: its connections keep the driver's ``synchronous=FULL`` and the file's default journal mode, about which its
  docs say nothing. (A file made WAL beforehand gives it about a third more.)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor

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
    run_bounded,
    run_command,
    sqlite_path,
    step_result,
)
from dbos import DBOS, SetWorkflowID, WorkflowHandleAsync

_POLL_SECONDS = 0.1

ServedFlow = Callable[[str], Coroutine[None, None, None]]


def small_flow(times: StepTimes) -> Callable[[], Coroutine[None, None, None]]:
    """Register the throughput workload as coroutines."""

    @DBOS.step()
    async def small_step(step: int) -> str:
        return step_result(step)

    @DBOS.workflow()
    async def small() -> None:
        for step in range(STEPS):
            with times.step():
                await small_step(step)

    return small


def small_flow_sync(times: StepTimes) -> Callable[[], None]:
    """Register the throughput workload as plain functions."""

    @DBOS.step()
    def small_step(step: int) -> str:
        return step_result(step)

    @DBOS.workflow()
    def small() -> None:
        for step in range(STEPS):
            with times.step():
                small_step(step)

    return small


def served_flow(ledger: Ledger) -> ServedFlow:
    """Register the recovery workload; the same source gives the same application version after the crash."""

    @DBOS.step()
    async def served_step(flow: str, step: int) -> str:
        return await effect(ledger, flow, step)

    @DBOS.workflow()
    async def served(flow: str) -> None:
        for step in range(STEPS):
            await served_step(flow, step)

    return served


async def start(served: ServedFlow, flow: str) -> WorkflowHandleAsync[None]:
    """Start one served workflow in the background, under its own id."""
    with SetWorkflowID(flow):
        return await DBOS.start_workflow_async(served, flow)


async def known_flows(ids: list[str], status: list[str] | None = None) -> set[str]:
    """Which of the workflows DBOS has on record, in one of the statuses if any is given."""
    found = await DBOS.list_workflows_async(workflow_ids=ids, status=status, load_input=False, load_output=False)
    return {workflow.workflow_id for workflow in found}


class DbosPeer:
    """DBOS in one process, its system database being the only store."""

    def __init__(self, url: str, *, sync: bool) -> None:
        self._url = url
        self._sync = sync

    def throughput(self, flows: int, concurrency: int) -> Throughput:
        times = StepTimes()
        if self._sync:
            self._run_sync(times, flows, concurrency)
        else:
            asyncio.run(self._run_async(times, flows, concurrency))
        DBOS.destroy()
        return times.throughput(flows)

    def serve(self, ledger: Ledger, flows: int) -> None:
        asyncio.run(self._serve(ledger, flows))
        DBOS.destroy()

    def recover(self, ledger: Ledger, flows: int) -> Recovery:
        recovery = asyncio.run(self._recover(ledger, flows))
        DBOS.destroy()
        return recovery

    async def _run_async(self, times: StepTimes, flows: int, concurrency: int) -> None:
        small = small_flow(times)
        self._launch()

        async def run(_: str) -> None:
            await small()

        await run_bounded(run, flow_ids(WARM_UP_FLOWS), concurrency)
        with times.run():
            await run_bounded(run, flow_ids(flows), concurrency)

    def _run_sync(self, times: StepTimes, flows: int, concurrency: int) -> None:
        small = small_flow_sync(times)
        self._launch()

        def run(_: str) -> None:
            DBOS.start_workflow(small).get_result()

        with ThreadPoolExecutor(concurrency) as threads:
            list(threads.map(run, flow_ids(WARM_UP_FLOWS)))
            with times.run():
                list(threads.map(run, flow_ids(flows)))

    async def _serve(self, ledger: Ledger, flows: int) -> None:
        served = served_flow(ledger)
        self._launch()
        handles = await asyncio.gather(*(start(served, flow) for flow in flow_ids(flows)))
        await asyncio.gather(*(handle.get_result() for handle in handles))

    async def _recover(self, ledger: Ledger, flows: int) -> Recovery:
        """Launch, start the workflows whose start the crash forestalled, and wait for the last one."""
        served, ids = served_flow(ledger), flow_ids(flows)
        began = time.perf_counter()
        self._launch()
        known = await known_flows(ids)
        await asyncio.gather(*(start(served, flow) for flow in ids if flow not in known))
        while await known_flows(ids, ["PENDING", "ENQUEUED"]):  # noqa: ASYNC110 - a poll, as its users would write
            await asyncio.sleep(_POLL_SECONDS)
        elapsed = time.perf_counter() - began
        return Recovery(elapsed, len(await known_flows(ids, ["SUCCESS"])))

    def _launch(self) -> None:
        """Create the schema if need be and start DBOS, which also begins recovery."""
        path, url = sqlite_path(self._url), self._url
        if path is not None:
            url = f"sqlite:///{path}"
        DBOS(
            config={
                "name": "peer",
                "system_database_url": url,
                "sys_db_pool_size": CONNECTIONS,
                "log_level": "WARNING",
            }
        )
        DBOS.launch()


def main() -> None:
    root, commands = parser("DBOS")
    commands["throughput"].add_argument("--sync", action="store_true", help="plain functions, not coroutines")
    arguments = root.parse_args()
    run_command(DbosPeer(arguments.url, sync=getattr(arguments, "sync", False)), arguments)


if __name__ == "__main__":
    main()
