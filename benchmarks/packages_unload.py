"""Unloading a version that a million flows are pinned to: how soon it is refused."""

from __future__ import annotations

import statistics
import time
from contextlib import closing
from dataclasses import dataclass

import psycopg
from psycopg import sql

from benchmarks.command import Bench
from benchmarks.engine_common import BATCH, DURABILITY, percentile_99
from benchmarks.environments import Database
from benchmarks.measure import note
from benchmarks.packages_live import TYPE, archive
from benchmarks.report import Figures
from holdfast import Holdfast, workflow
from holdfast.packages import deploy_archive, unload
from holdfast.packages.errors import VersionPinned
from holdfast.store import Store

MANY, FEW = 1_000_000, 10_000
ASKED = 200
LATER = "SELECT 1 FROM flows WHERE num > :after LIMIT 1"
END = """UPDATE flows SET status = 'finished', due_at = NULL, finished_at = :now
WHERE num > :after AND num <= :last"""


@workflow(name=TYPE)
async def live(number: int) -> int:
    return number


@dataclass(frozen=True)
class UnloadCheck:
    """Milliseconds until an unload is refused, at the 99th percentile, the worse of two: where all flows that are
    pinned to the version wait, and where all have ended."""

    name: str
    engine: str

    def run(self, bench: Bench) -> Figures:
        flows, few = bench.size(MANY), bench.size(FEW)
        many_waiting, many_ended = self._measured(bench, flows)
        few_waiting, few_ended = self._measured(bench, few)
        return Figures(
            case=self.name,
            unit="ms (p99)",
            ours=max(percentile_99(many_waiting), percentile_99(many_ended)),
            bare=max(percentile_99(few_waiting), percentile_99(few_ended)),
            peers={},
            lower_is_better=True,
            target={},
            durability=DURABILITY if self.engine == "sqlite" else bench.workspace.postgres_durability,
            limit=10.0,
            notes={"bare": f"the same where {few:,} flows are pinned instead of {flows:,}"},
            extra={
                "waiting_p50_ms": round(statistics.median(many_waiting), 3),
                "ended_p50_ms": round(statistics.median(many_ended), 3),
            },
        )

    def _measured(self, bench: Bench, flows: int) -> tuple[list[float], list[float]]:
        one, other = archive(1), archive(2)
        with bench.workspace.store(self.engine) as database, Holdfast(database.url, worker=False) as hf:
            hf.store.run(lambda tx: deploy_archive(tx, one))
            note(f"    pinning {flows:,} flows")
            for first in range(0, flows, BATCH):
                hf.start_many(live, range(first, min(flows, first + BATCH)))
            hf.store.run(lambda tx: deploy_archive(tx, other))
            waiting = _refusals(hf.store, one.content_hash)
            _end_all(hf.store)
            _clear_up(database)
            return waiting, _refusals(hf.store, one.content_hash)


def _end_all(store: Store) -> None:
    after = 0
    while store.read(lambda tx, after=after: tx.fetch(LATER, {"after": after})):  # type: ignore[misc]
        ended = {"after": after, "last": after + BATCH}
        store.run(lambda tx, ended=ended: tx.execute(END, ended | {"now": tx.clock.micros()}))  # type: ignore[misc]
        after += BATCH


def _clear_up(database: Database) -> None:
    """What PostgreSQL does by itself some time after so many changes."""
    if database.path is None:
        with closing(psycopg.connect(database.server, autocommit=True)) as connection:
            connection.execute(sql.SQL("VACUUM ANALYZE {}.flows").format(sql.Identifier(database.schema)))


def _refusals(store: Store, content_hash: str) -> list[float]:
    found = []
    for _ in range(ASKED):
        began = time.perf_counter()
        try:
            store.run(lambda tx: unload(tx, TYPE, content_hash))
        except VersionPinned:
            found.append((time.perf_counter() - began) * 1000)
        else:
            raise AssertionError("a version was unloaded that flows are pinned to")
    return found
