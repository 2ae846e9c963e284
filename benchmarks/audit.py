"""How fast a long audit chain is verified.

``python -m benchmarks.audit [--json] [--quick]``. ``ours`` reads the chain from the database and verifies it; ``bare``
is a loop of SHA-256 and ``rfc8785.dumps`` over the same rows, already in memory. ``append_rows_per_second`` beside the
figures: units that change a record and append its audit row, as a verb does, committed in groups.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

import rfc8785

from benchmarks.command import Bench, run_cases
from benchmarks.measure import interleaved, note
from benchmarks.report import Figures
from holdfast.audit import GENESIS, SqlAuditLog, verify_store
from holdfast.store import Store, Transaction, open_store

ROWS, CHUNK = 100_000, 2_000
APPENDS, AT_ONCE = 20_000, 512
TARGET = 0.5
Record = dict[str, Any]


@dataclass(frozen=True)
class Verifying:
    """Rows verified a second, in one database."""

    backend: str

    @property
    def name(self) -> str:
        return f"audit-verify-{self.backend}"

    def run(self, bench: Bench) -> Figures:
        length = bench.size(ROWS)
        with bench.workspace.store(self.backend) as database, open_store(database.url) as store:
            fill(store, length)
            records = in_memory(store)
            ours, bare = interleaved(
                bench.repetitions, lambda: length / ours_seconds(store, length), lambda: length / bare_seconds(records)
            )
            appended = asyncio.run(append_rate(store, bench.size(APPENDS)))
            durability = "SQLite WAL synchronous=FULL" if database.path else bench.workspace.postgres_durability
        return Figures(
            case=self.name,
            unit="rows/s",
            ours=ours,
            bare=bare,
            peers={},
            lower_is_better=False,
            target={"bare": TARGET},
            durability=durability,
            notes={"bare": "SHA-256 and rfc8785.dumps over the same rows in memory"},
            extra={"rows": length, "append_rows_per_second": round(appended)},
        )


def fill(store: Store, length: int) -> None:
    """Append ``length`` rows such as applied plans leave."""
    note(f"    {length:,} rows")
    for start in range(0, length, CHUNK):
        store.run(partial(_append_some, range(start, min(start + CHUNK, length))), actor="ann@example.org")


def _append_some(numbers: range, tx: Transaction) -> None:
    log = SqlAuditLog(tx)
    for number in numbers:
        log.append("plan.applied", f"0193a5f0-7c3a-7e11-8a53-{number:012d}", detail(number))


def detail(number: int) -> Record:
    """What an applied plan's row holds."""
    return {
        "digest": sha256(b"%d" % number).hexdigest(),
        "revision": {"from": number, "to": number + 1},
        "routes": ["gpt-small", "gpt-large"],
        "reverted": False,
        "note": None,
    }


def in_memory(store: Store) -> list[tuple[Record, str]]:
    """What is hashed of each row, as Python values, and the hash."""
    pages = store.read(lambda tx: list(SqlAuditLog(tx).pages()))
    names = ("seq", "at", "actor", "act", "subject")
    return [
        (dict(zip(names, row[:5], strict=True)) | {"detail": json.loads(row[5] or "")}, row[7] or "")
        for page in pages
        for row in page
    ]


def ours_seconds(store: Store, length: int) -> float:
    """How long a verification takes."""
    began = time.perf_counter()
    found = verify_store(store)
    taken = time.perf_counter() - began
    assert found.sound
    assert found.rows == length
    return taken


def bare_seconds(records: list[tuple[Record, str]]) -> float:
    """How long the bare loop takes."""
    began = time.perf_counter()
    prev_hash = bytes.fromhex(GENESIS)
    for record, wanted in records:
        digest = sha256(prev_hash + rfc8785.dumps(record))
        assert digest.hexdigest() == wanted
        prev_hash = digest.digest()
    return time.perf_counter() - began


async def append_rate(store: Store, count: int) -> float:
    """Rows appended a second, each by a unit of its own that changes a record too."""
    await store.arun(lambda tx: tx.execute("CREATE TABLE records (id bigint PRIMARY KEY, revision bigint)"))
    await store.arun(lambda tx: tx.execute("INSERT INTO records VALUES (1, 0)"))
    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            await store.arun(partial(_apply, number), actor="ann@example.org")

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    return count / (time.perf_counter() - began)


def _apply(number: int, tx: Transaction) -> None:
    tx.execute("UPDATE records SET revision = revision + 1 WHERE id = 1")
    SqlAuditLog(tx).append("record.applied", "1", detail(number))


CASES = [Verifying("sqlite"), Verifying("postgres")]


if __name__ == "__main__":
    run_cases("How fast an audit chain is verified.", CASES, sys.argv[1:])
