"""The bare loop: the least program that writes the same rows as durably. Frozen: it is the yardstick.

An asyncio loop on which flows await the commit of each row, and one writer thread that commits whatever waits as one
group: on SQLite through ``executemany``, on PostgreSQL as one pipelined transaction of one ``unnest`` a table. No
replay, no leases, no types, no errors.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from uuid_utils.compat import uuid7

STEP_COLUMNS = {
    "flow": "bigint",
    "run_id": "text",
    "runtime": "text",
    "task": "text",
    "status": "text",
    "attempt": "int",
    "digest": "bigint",
    "result": "text",
    "error": "text",
    "epoch": "bigint",
    "created_at": "bigint",
    "updated_at": "bigint",
}
FLOW_COLUMNS = {
    "num": "bigint",
    "id": "uuid",
    "workflow_type": "text",
    "owner_session_key": "text",
    "goal": "text",
    "state": "text",
    "status": "text",
    "attempt": "int",
    "revision": "bigint",
    "created_at": "bigint",
    "updated_at": "bigint",
    "seed": "bigint",
    "args": "text",
    "args_digest": "bigint",
    "epoch": "bigint",
    "started_at": "bigint",
}
END_COLUMNS = {"result": "text", "finished_at": "bigint", "updated_at": "bigint", "num": "bigint"}
Statement = tuple[str, tuple[Any, ...]]
Commit = Callable[[Sequence[Statement]], None]


def _insert(table: str, columns: Mapping[str, str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


STEP_ROW = _insert("steps", STEP_COLUMNS)
FLOW_ROW = _insert("flows", FLOW_COLUMNS)
FLOW_END = """UPDATE flows SET status = 'finished', result = ?, finished_at = ?, updated_at = ?,
    revision = revision + 1, epoch = NULL WHERE num = ?"""


def _unnest(columns: Mapping[str, str]) -> str:
    return f"unnest({', '.join(f'%s::{kind}[]' for kind in columns.values())})"


_POSTGRES = {
    STEP_ROW: f"INSERT INTO steps ({', '.join(STEP_COLUMNS)}) SELECT * FROM {_unnest(STEP_COLUMNS)}",
    FLOW_ROW: f"""INSERT INTO flows ({", ".join(FLOW_COLUMNS)}) OVERRIDING SYSTEM VALUE
        SELECT * FROM {_unnest(FLOW_COLUMNS)}""",
    FLOW_END: f"""UPDATE flows SET status = 'finished', result = r.result, finished_at = r.finished_at,
        updated_at = r.updated_at, revision = revision + 1, epoch = NULL
        FROM {_unnest(END_COLUMNS)} AS r({", ".join(END_COLUMNS)}) WHERE flows.num = r.num""",
}


class BareLoop:
    """Group commits on behalf of coroutines.

    Args:
        commit: makes a group of statements durable.
    """

    def __init__(self, commit: Commit) -> None:
        self._commit = commit
        self._queue: queue.SimpleQueue[tuple[Statement, asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    async def write(self, statement: Statement) -> None:
        future = self._loop.create_future()
        self._queue.put((statement, future))
        await future

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _write(self) -> None:
        while (first := self._queue.get()) is not None:
            group = [first]
            while not self._queue.empty() and len(group) < 512:
                item = self._queue.get()
                if item is None:
                    self._queue.put(None)
                    break
                group.append(item)
            self._commit([statement for statement, _ in group])
            self._loop.call_soon_threadsafe(_answer, [future for _, future in group])


def payload(num: int, index: int) -> str:
    """A step's result: 200 bytes, unlike any other step's."""
    return "x" * 190 + f"{num:08d}-{index}"


def step_row(num: int, index: int, result: str) -> tuple[Any, ...]:
    """The row of one completed step, in the order of ``STEP_COLUMNS``."""
    now = time.time_ns() // 1000
    run_id, encoded = f"work#{index + 1}@1", json.dumps(result)
    return (num, run_id, "managed", "work", "succeeded", 1, index, encoded, None, 1, now, now)


def flow_row(num: int) -> tuple[Any, ...]:
    """The row of a flow that just began, in the order of ``FLOW_COLUMNS``."""
    now = time.time_ns() // 1000
    args = json.dumps({"num": num})
    return (num, str(uuid7()), "ten", "", "", "{}", "running", 1, 1, now, now, num, args, num, 1, now)


def _answer(futures: Sequence[asyncio.Future[None]]) -> None:
    for future in futures:
        future.set_result(None)


async def bare_flow(loop: BareLoop, num: int, steps: int, latencies: list[float]) -> None:
    """One flow: its row, its steps' rows, its end."""
    await loop.write((FLOW_ROW, flow_row(num)))
    result = ""
    for index in range(steps):
        began = time.perf_counter()
        result = payload(num, index)
        await loop.write((STEP_ROW, step_row(num, index, result)))
        latencies.append(time.perf_counter() - began)
    now = time.time_ns() // 1000
    await loop.write((FLOW_END, (json.dumps(result), now, now, num)))


@contextmanager
def sqlite_commit(path: Path) -> Iterator[Commit]:
    """Commits on a SQLite file as our store does: WAL, ``synchronous=FULL``."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("PRAGMA synchronous = FULL")

        def commit(group: Sequence[Statement]) -> None:
            connection.execute("BEGIN IMMEDIATE")
            steps = [values for text, values in group if text is STEP_ROW]
            connection.executemany(STEP_ROW, steps)
            for text, values in group:
                if text is not STEP_ROW:
                    connection.execute(text, values)
            connection.execute("COMMIT")

        yield commit


@contextmanager
def postgres_commit(url: str, schema: str) -> Iterator[Commit]:
    """Commits on one PostgreSQL connection: a group is one pipelined transaction, a set-based statement a table."""
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.prepare_threshold = 0
        connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(schema)))

        def commit(group: Sequence[Statement]) -> None:
            rows: dict[str, list[tuple[Any, ...]]] = {text: [] for text in _POSTGRES}
            for text, values in group:
                rows[text].append(values)
            work = [
                (_POSTGRES[text], [list(column) for column in zip(*some, strict=True)])
                for text, some in rows.items()
                if some
            ]
            if len(work) == 1:  # a statement alone is its own transaction
                connection.execute(*work[0])
                return
            with connection.pipeline():
                connection.execute("BEGIN")
                for text, params in work:
                    connection.execute(text, params)
                connection.execute("COMMIT")

        yield commit


async def run_bare(commit: Commit, flows: int, steps: int, at_once: int) -> tuple[float, list[float]]:
    """Steps per second, and the latency of each step in seconds."""
    loop = BareLoop(commit)
    latencies: list[float] = []
    await bare_flow(loop, 1, steps, [])  # a first one unmeasured, as everywhere else
    numbers = iter(range(2, flows + 2))

    async def lane() -> None:
        for num in numbers:
            await bare_flow(loop, num, steps, latencies)

    began = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(at_once)))
    elapsed = time.perf_counter() - began
    loop.close()
    return flows * steps / elapsed, latencies


def run_executemany(path: Path, rows: int, group: int) -> float:
    """Rows per second that ``executemany`` writes from one thread, ``group`` rows a commit: the file's own limit."""
    values = [step_row(num, index, payload(num, index)) for num in range(rows // 10) for index in range(10)]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        began = time.perf_counter()
        for start in range(0, len(values), group):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(STEP_ROW, values[start : start + group])
            connection.execute("COMMIT")
        return len(values) / (time.perf_counter() - began)


def commit_latencies(commit: Commit, rows: int) -> list[float]:
    """Seconds that each of ``rows`` commits of one step's row takes, one after another."""
    latencies = []
    for num in range(rows):
        row = step_row(num, 0, payload(num, 0))
        began = time.perf_counter()
        commit([(STEP_ROW, row)])
        latencies.append(time.perf_counter() - began)
    return latencies
