"""Flows: steps per second, the latency of a step, and recovery, beside a bare loop and the peers.

``python -m benchmarks.flows [--json] [--quick] [--case NAME ...]``. Workflows of ten steps with results of 200 bytes;
every figure comes from a fresh database, ours and the bare loop's in turns.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from benchmarks import bare
from benchmarks.command import Bench, run_cases
from benchmarks.environments import Database
from benchmarks.measure import interleaved, note
from benchmarks.ours import HoldfastPeer
from benchmarks.peers._shared import STEPS
from benchmarks.recovery import Recovered, crash_and_recover
from benchmarks.report import Figures
from benchmarks.rivals import RunFailed, peer_command, peer_database
from holdfast import Holdfast

SQLITE = "sqlite"
POSTGRES = "postgres"
PEERS = {SQLITE: ("dbos", "langgraph"), POSTGRES: ("dbos", "langgraph", "absurd")}
ABSURD_CLAIM_SECONDS = 10
"""As long as our own lease; Absurd's default of 120 s would be all there is to see."""
OUR_SCRIPT = [sys.executable, "-m", "benchmarks.ours"]


@dataclass(frozen=True)
class Rate:
    """Steps per second.

    Attributes:
        name: of the case.
        engine: ``sqlite`` or ``postgres``.
        at_once: workflows at once.
        flows: workflows in all.
        target: see :class:`~benchmarks.report.Figures`.
    """

    name: str
    engine: str
    at_once: int
    flows: int
    target: Mapping[str, float]

    def run(self, bench: Bench) -> Figures:
        flows = bench.size(self.flows)
        ours, least = interleaved(
            bench.repetitions,
            lambda: _our_rate(bench, self.engine, flows, self.at_once),
            lambda: _bare_rate(bench, self.engine, flows, self.at_once),
        )
        peers = {name: bench.rivals.throughput(name, self.engine, self.at_once) for name in PEERS[self.engine]}
        return Figures(
            case=self.name,
            unit="steps/s",
            ours=ours,
            bare=least,
            peers={name: found.steps_per_second if found else None for name, (found, _) in peers.items()},
            lower_is_better=False,
            target=self.target,
            durability=_durability(bench, self.engine),
            notes={name: how for name, (_, how) in peers.items() if how},
        )


@dataclass(frozen=True)
class StepLatency:
    """The median latency of a step as its workflow sees it, one at a time, beside that of a commit of its row."""

    name: str
    flows: int

    def run(self, bench: Bench) -> Figures:
        flows = bench.size(self.flows)
        ours, least = interleaved(
            bench.repetitions,
            lambda: _our_latency(bench, flows),
            lambda: _bare_latency(bench, flows * STEPS),
        )
        peers = {name: bench.rivals.throughput(name, SQLITE, 1) for name in PEERS[SQLITE]}
        return Figures(
            case=self.name,
            unit="microseconds",
            ours=ours,
            bare=least,
            peers={name: found.step_p50_ms * 1000 if found else None for name, (found, _) in peers.items()},
            lower_is_better=True,
            target={"bare": 2},
            durability=_durability(bench, SQLITE),
            notes={"bare": "a commit of one step's row, on the thread that asks for it"},
        )


@dataclass(frozen=True)
class BareLimit:
    """What the bare loop itself makes of the file: its rows per second beside ``executemany``'s."""

    name: str
    flows: int

    def run(self, bench: Bench) -> Figures:
        flows = bench.size(self.flows)
        loop, limit = interleaved(
            bench.repetitions,
            lambda: _bare_rate(bench, SQLITE, flows, 64),
            lambda: _executemany_rate(bench, flows * STEPS),
        )
        return Figures(
            case=self.name,
            unit="rows/s",
            ours=loop,
            bare=limit,
            peers={},
            lower_is_better=False,
            target={"bare": 0.2},
            durability=_durability(bench, SQLITE),
            notes={
                "ours": "the bare loop with 64 flows at once, counting steps' rows only",
                "bare": "executemany into the same table, 100 rows a commit",
            },
        )


@dataclass(frozen=True)
class CrashRecovery:
    """Effects that happen again after a SIGKILL midway; ours are at most the steps in flight (FL-10)."""

    name: str
    engine: str
    flows: int

    def run(self, bench: Bench) -> Figures:
        flows = bench.size(self.flows)
        ours = _recover_ours(bench, self.engine, flows)
        peers = {name: _recover_peer(bench, name, self.engine, flows) for name in PEERS[self.engine]}
        seconds = {"holdfast": ours.seconds} | {name: found.seconds for name, found in peers.items() if found}
        notes = {"holdfast": "in_flight: flows unfinished at the kill, each with one step in flight"}
        if "absurd" in peers:
            notes["absurd"] = f"claims of {ABSURD_CLAIM_SECONDS} s"
        return Figures(
            case=self.name,
            unit="effects repeated",
            ours=ours.repeated,
            bare=None,
            peers={name: found.repeated if found else None for name, found in peers.items()},
            lower_is_better=True,
            target={},
            durability=_durability(bench, self.engine),
            limit=ours.in_flight,
            notes=notes,
            extra={
                "flows": flows,
                "in_flight": ours.in_flight,
                "recovery_seconds": {name: round(value, 2) for name, value in seconds.items()},
            },
        )


def _fresh(bench: Bench, engine: str) -> AbstractContextManager[Database]:
    return bench.workspace.sqlite() if engine == SQLITE else bench.workspace.schema()


def _durability(bench: Bench, engine: str) -> str:
    return "SQLite WAL synchronous=FULL" if engine == SQLITE else bench.workspace.postgres_durability


def _our_rate(bench: Bench, engine: str, flows: int, at_once: int) -> float:
    with _fresh(bench, engine) as database:
        return HoldfastPeer(database.url).throughput(flows, at_once).steps_per_second


def _our_latency(bench: Bench, flows: int) -> float:
    with _fresh(bench, SQLITE) as database:
        return HoldfastPeer(database.url).throughput(flows, 1).step_p50_ms * 1000


def _bare_rate(bench: Bench, engine: str, flows: int, at_once: int) -> float:
    with _fresh(bench, engine) as database, _bare_commit(database) as commit:
        rate, _ = asyncio.run(bare.run_bare(commit, flows, STEPS, at_once))
        return rate


def _bare_latency(bench: Bench, rows: int) -> float:
    with _fresh(bench, SQLITE) as database, _bare_commit(database) as commit:
        return statistics.median(bare.commit_latencies(commit, rows)) * 1_000_000


def _executemany_rate(bench: Bench, rows: int) -> float:
    with _fresh(bench, SQLITE) as database:
        _create_tables(database)
        assert database.path is not None
        return bare.run_executemany(database.path, rows, 100)


def _bare_commit(database: Database) -> AbstractContextManager[bare.Commit]:
    _create_tables(database)
    if database.path is None:
        return bare.postgres_commit(database.server, database.schema)
    return bare.sqlite_commit(database.path)


def _create_tables(database: Database) -> None:
    """The very tables that our own side writes to."""
    with Holdfast(database.url, worker=False):
        pass


def _recover_ours(bench: Bench, engine: str, flows: int) -> Recovered:
    with _fresh(bench, engine) as database, bench.workspace.folder() as folder:
        return crash_and_recover(OUR_SCRIPT, database.url, folder, flows, inspect=lambda: _unfinished(database))


def _unfinished(database: Database) -> int:
    with Holdfast(database.url, worker=False) as hf:
        found = hf.store.read(lambda tx: tx.fetch_one("SELECT count(*) FROM flows WHERE finished_at IS NULL"))
    assert found is not None
    return int(found[0])


def _recover_peer(bench: Bench, peer: str, engine: str, flows: int) -> Recovered | None:
    command = peer_command(peer)
    if command is None:
        return None
    flags = ["--claim-timeout", str(ABSURD_CLAIM_SECONDS)] if peer == "absurd" else []
    with peer_database(bench.workspace, engine) as database, bench.workspace.folder() as folder:
        try:
            return crash_and_recover(command, database.url, folder, flows, flags)
        except RunFailed as error:
            note(f"{peer} is left out of the recovery on {engine}: {error}")
            return None


CASES = (
    Rate("sqlite-64", SQLITE, 64, 4000, {"bare": 0.5, "dbos": 100, "langgraph": 40}),
    Rate("sqlite-1", SQLITE, 1, 400, {"bare": 0.6, "dbos": 10}),
    StepLatency("sqlite-step-latency", 400),
    Rate("postgres-64", POSTGRES, 64, 3000, {"bare": 0.5, "dbos": 40, "absurd": 6}),
    Rate("postgres-1", POSTGRES, 1, 200, {}),
    BareLimit("bare-vs-executemany", 4000),
    CrashRecovery("recovery-sqlite", SQLITE, 200),
    CrashRecovery("recovery-postgres", POSTGRES, 200),
)


def main(arguments: Sequence[str] | None = None) -> None:
    run_cases("Flows: steps per second, latency and recovery.", CASES, arguments)


if __name__ == "__main__":
    main()
