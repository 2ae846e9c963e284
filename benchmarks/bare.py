"""The bare loop: the least program that writes the same rows as durably. Frozen: it is the yardstick.

An asyncio loop on which flows await the commit of each step's row, and one writer thread that commits whatever
waits as one group. No replay, no leases, no types, no errors.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

COLUMNS = "flow, run_id, runtime, task, status, attempt, digest, result, error, epoch, created_at, updated_at"
STEP_ROW = f"INSERT INTO steps ({COLUMNS}) VALUES ({', '.join('?' * 12)})"
FLOW_ROW = "INSERT INTO bare_flows (num, args, status) VALUES (?, ?, 'running')"
FLOW_END = "UPDATE bare_flows SET status = 'finished', result = ? WHERE num = ?"
Statement = tuple[str, tuple[Any, ...]]
Commit = Callable[[Sequence[Statement]], None]


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


def _answer(futures: Sequence[asyncio.Future[None]]) -> None:
    for future in futures:
        future.set_result(None)


async def bare_flow(loop: BareLoop, num: int, steps: int, latencies: list[float]) -> None:
    """One flow: its row, its steps' rows, its end."""
    await loop.write((FLOW_ROW, (num, json.dumps({"n": num}))))
    result = ""
    for index in range(steps):
        began = time.perf_counter()
        result = "x" * 190 + f"{num}-{index}"
        now = time.time_ns() // 1000
        row = (
            num,
            f"work#{index + 1}@1",
            "managed",
            "work",
            "succeeded",
            1,
            index,
            json.dumps(result),
            None,
            1,
            now,
            now,
        )
        await loop.write((STEP_ROW, row))
        latencies.append(time.perf_counter() - began)
    await loop.write((FLOW_END, (json.dumps(result), num)))


def sqlite_commit(path: Path) -> Commit:
    """Commits on a SQLite file as our store does: WAL, ``synchronous=FULL``."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS bare_flows (num integer PRIMARY KEY, args text, status text, result text)"
    )

    def commit(group: Sequence[Statement]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        steps = [values for sql, values in group if sql is STEP_ROW]
        connection.executemany(STEP_ROW, steps)
        for sql, values in group:
            if sql is not STEP_ROW:
                connection.execute(sql, values)
        connection.execute("COMMIT")

    return commit


async def run_bare(commit: Commit, flows: int, steps: int, at_once: int) -> tuple[float, list[float]]:
    """Steps per second, and the latency of each step in seconds."""
    loop = BareLoop(commit)
    latencies: list[float] = []
    numbers = iter(range(1, flows + 1))

    async def lane() -> None:
        for num in numbers:
            await bare_flow(loop, num, steps, latencies)

    began = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(at_once)))
    elapsed = time.perf_counter() - began
    loop.close()
    return flows * steps / elapsed, latencies
