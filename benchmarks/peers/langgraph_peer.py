"""The benchmark's workloads on LangGraph.

What follows its documentation:

* ``durability="sync"``, the mode in which a step's changes are persisted before the next one starts;
* on PostgreSQL an ``AsyncConnectionPool`` whose connections are set as the saver's own ``from_conn_string`` sets its
  one, and on SQLite one connection in WAL mode, which the saver's ``setup`` also sees to, with ``synchronous=FULL``;
* recovery is invoking the graph with no input on the thread of each unfinished flow, which resumes from its last
  checkpoint. There is no scan for unfinished threads, so the caller looks at every thread it knows of.

The workflow is a ``StateGraph`` of ten nodes, for a checkpoint is written, and in this mode waited for, at the end of a
superstep. ``--functional`` runs tasks of an ``@entrypoint`` instead, which is faster but promises less: the whole
entrypoint is one superstep, so a task's result is saved in the background while the next task already runs.

A PostgreSQL saver holds a lock of its own through each statement, so that a pool serves one at a time. Several savers
on the one pool, each with its compiled workflow, avoid that.
"""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypedDict

import aiosqlite
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
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.pregel import Pregel
from langgraph.types import StateSnapshot
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

Flow = Pregel[Any, Any, Any, Any]
Saver = BaseCheckpointSaver[Any]
Step = Callable[[str, int], Awaitable[str]]


class FlowState(TypedDict, total=False):
    """A flow's id, and the result of its last step: the earlier ones stay in the earlier checkpoints."""

    flow: str
    result: str


class Node(Protocol):
    """A node as ``StateGraph`` would have it."""

    def __call__(self, state: FlowState) -> Awaitable[FlowState]: ...


def build_graph(saver: Saver, step: Step) -> Flow:
    """A chain of ten nodes, each of which runs one step."""
    graph = StateGraph(FlowState)
    before = START
    for number in range(STEPS):
        name = f"step-{number}"
        graph.add_node(name, node(step, number))
        graph.add_edge(before, name)
        before = name
    return graph.compile(checkpointer=saver)


def node(step: Step, number: int) -> Node:
    """The node of one step."""

    async def run(state: FlowState) -> FlowState:
        return {"result": await step(state["flow"], number)}

    return run


def build_functional(saver: Saver, times: StepTimes) -> Flow:
    """The throughput workload as tasks of one entrypoint."""

    @task
    async def small_step(number: int) -> str:
        return step_result(number)

    @entrypoint(checkpointer=saver)
    async def small(_: FlowState) -> None:
        for number in range(STEPS):
            with times.step():
                await small_step(number)

    return small


def timed_step(times: StepTimes) -> Step:
    """A small step that takes the time between two nodes' starts, which is when the first one's checkpoint is down."""
    started: dict[str, float] = {}

    async def run(flow: str, number: int) -> str:
        now = time.perf_counter()
        if number > 0:
            times.add(now - started[flow])
        started[flow] = now
        return step_result(number)

    return run


@asynccontextmanager
async def open_savers(url: str) -> AsyncIterator[list[Saver]]:
    """The checkpointers of one database, its schema in place."""
    path = sqlite_path(url)
    opened = open_postgres(url) if path is None else open_sqlite(path)
    async with opened as savers:
        yield savers


@asynccontextmanager
async def open_sqlite(path: Path) -> AsyncIterator[list[Saver]]:
    """One saver on one connection, SQLite having one writer."""
    async with aiosqlite.connect(path) as connection:
        await connection.execute("PRAGMA journal_mode=WAL")
        await connection.execute("PRAGMA synchronous=FULL")
        saver = AsyncSqliteSaver(connection)
        await saver.setup()
        yield [saver]


@asynccontextmanager
async def open_postgres(url: str) -> AsyncIterator[list[Saver]]:
    """A saver for each connection of one pool."""
    settings = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    pool: AsyncConnectionPool[AsyncConnection[DictRow]] = AsyncConnectionPool(
        url, min_size=CONNECTIONS, max_size=CONNECTIONS, kwargs=settings, open=False
    )
    async with pool:
        savers = [AsyncPostgresSaver(pool) for _ in range(CONNECTIONS)]
        await savers[0].setup()
        yield list(savers)


async def run_flow(graph: Flow, flow: str, state: FlowState | None) -> None:
    """Run a flow on its thread from its input, or from its last checkpoint when there is none."""
    await graph.ainvoke(state, {"configurable": {"thread_id": flow}}, durability="sync")


async def last_checkpoint(graph: Flow, flow: str) -> StateSnapshot:
    """The state of a flow's thread."""
    return await graph.aget_state({"configurable": {"thread_id": flow}})


async def resume_flow(graph: Flow, flow: str) -> None:
    """Finish a flow: resumed if it has a checkpoint, started if the crash forestalled its first one.

    A finished flow is resumed too, which runs nothing. To go by the snapshot's ``next`` would miss flows: it is empty
    as well when a node's writes are saved and the checkpoint after them is not.
    """
    snapshot = await last_checkpoint(graph, flow)
    await run_flow(graph, flow, {"flow": flow} if snapshot.created_at is None else None)


async def is_finished(graph: Flow, flow: str) -> bool:
    """Whether a flow's last checkpoint holds its last step's result."""
    snapshot = await last_checkpoint(graph, flow)
    return bool(snapshot.values.get("result") == step_result(STEPS - 1))


class LangGraphPeer:
    """LangGraph in one event loop, its checkpointer being the only store."""

    def __init__(self, url: str, *, functional: bool) -> None:
        self._url = url
        self._functional = functional

    def throughput(self, flows: int, concurrency: int) -> Throughput:
        return asyncio.run(self._throughput(flows, concurrency))

    def serve(self, ledger: Ledger, flows: int) -> None:
        asyncio.run(self._serve(ledger, flows))

    def recover(self, ledger: Ledger, flows: int) -> Recovery:
        return asyncio.run(self._recover(ledger, flows))

    async def _throughput(self, flows: int, concurrency: int) -> Throughput:
        times = StepTimes()
        async with open_savers(self._url) as savers:
            graphs = itertools.cycle([self._small_flow(saver, times) for saver in savers])

            async def run(_: str) -> None:
                flow = str(uuid.uuid4())
                await run_flow(next(graphs), flow, {"flow": flow})

            await run_bounded(run, flow_ids(WARM_UP_FLOWS), concurrency)
            with times.run():
                await run_bounded(run, flow_ids(flows), concurrency)
        return times.throughput(flows)

    def _small_flow(self, saver: Saver, times: StepTimes) -> Flow:
        return build_functional(saver, times) if self._functional else build_graph(saver, timed_step(times))

    async def _serve(self, ledger: Ledger, flows: int) -> None:
        async with self._served_flows(ledger) as graphs:
            ids = flow_ids(flows)
            await asyncio.gather(*(run_flow(next(graphs), flow, {"flow": flow}) for flow in ids))

    async def _recover(self, ledger: Ledger, flows: int) -> Recovery:
        began = time.perf_counter()
        async with self._served_flows(ledger) as graphs:
            ids = flow_ids(flows)
            await asyncio.gather(*(resume_flow(next(graphs), flow) for flow in ids))
            elapsed = time.perf_counter() - began
            finished = [await is_finished(next(graphs), flow) for flow in ids]
        return Recovery(elapsed, sum(finished))

    @asynccontextmanager
    async def _served_flows(self, ledger: Ledger) -> AsyncIterator[Iterator[Flow]]:
        """The recovery workload on each saver in turn."""

        async def step(flow: str, number: int) -> str:
            return await effect(ledger, flow, number)

        async with open_savers(self._url) as savers:
            yield itertools.cycle([build_graph(saver, step) for saver in savers])


def main() -> None:
    root, commands = parser("LangGraph")
    commands["throughput"].add_argument("--functional", action="store_true", help="tasks of an entrypoint, not nodes")
    arguments = root.parse_args()
    run_command(LangGraphPeer(arguments.url, functional=getattr(arguments, "functional", False)), arguments)


if __name__ == "__main__":
    main()
