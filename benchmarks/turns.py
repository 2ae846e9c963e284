"""How long a process waits for its turn to write to a SQLite file that others write to back to back.

``python -m benchmarks.turns [--json] [--quick]``. Four processes; each commits one row after the other with no pause.
Ours passes the turnstile; ``bare`` is the same loop on SQLite's own busy time-out.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.command import Bench, run_cases
from benchmarks.report import Figures
from holdfast.store.turnstile import Turnstile

WRITERS = 4
SECONDS = 20
LIMIT_MILLISECONDS = 50.0
BUSY_SECONDS = 60.0
ROW = "INSERT INTO turns (writer, body) VALUES (?, ?)"


@dataclass(frozen=True)
class Turns:
    """Milliseconds from wanting to write to having the turn, at the 99th percentile, over all writers."""

    name: str = "turn-wait-4-writers"

    def run(self, bench: Bench) -> Figures:
        seconds = bench.size(SECONDS)
        with bench.workspace.folder() as folder:
            ours = compete(folder / "turnstile.db", seconds, fair=True)
            bare = compete(folder / "busy.db", seconds, fair=False)
        return Figures(
            case=self.name,
            unit="ms (p99)",
            ours=ours.percentile_99,
            bare=bare.percentile_99,
            peers={},
            lower_is_better=True,
            target={},
            limit=LIMIT_MILLISECONDS,
            durability="SQLite WAL synchronous=FULL",
            notes={"bare": "SQLite's busy time-out instead of the turnstile"},
            extra={
                "longest": {"ours": round(max(ours.waits), 1), "bare": round(max(bare.waits), 1)},
                "commits": {"ours": ours.commits, "bare": bare.commits},
            },
        )


@dataclass(frozen=True)
class Competition:
    """Waits in milliseconds, and how many commits each writer had."""

    waits: list[float]
    commits: list[int]

    @property
    def percentile_99(self) -> float:
        return statistics.quantiles(self.waits, n=100)[98]


def compete(path: Path, seconds: int, *, fair: bool) -> Competition:
    """Let the writers write for ``seconds``.

    Raises:
        subprocess.CalledProcessError: one of them failed ("database is locked", for one).
    """
    with closing(_connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE turns (writer integer, body text)")
    command = [sys.executable, "-m", "benchmarks.turns", "write", str(path), str(seconds), str(int(fair))]
    writers = [
        subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, text=True) for number in range(WRITERS)
    ]
    waits = [_answer(writer) for writer in writers]
    return Competition([wait for each in waits for wait in each], [len(each) for each in waits])


def _answer(writer: subprocess.Popen[str]) -> list[float]:
    answer, _ = writer.communicate()
    if writer.returncode:
        raise subprocess.CalledProcessError(writer.returncode, writer.args)
    found: list[float] = json.loads(answer)
    return found


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def write(path: Path, seconds: float, fair: bool, number: int) -> list[float]:
    """One writer's waits, in milliseconds."""
    turnstile = Turnstile(path)
    enter: Callable[[], None] = turnstile.enter if fair else lambda: None
    leave: Callable[[], None] = turnstile.leave if fair else lambda: None
    waits = []
    with closing(_connect(path)) as connection:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            began = time.perf_counter()
            enter()
            connection.execute("BEGIN IMMEDIATE")
            waits.append((time.perf_counter() - began) * 1000)
            connection.execute(ROW, (number, "x" * 200))
            connection.execute("COMMIT")
            leave()
    return waits


def main(arguments: Sequence[str]) -> None:
    if arguments[:1] == ["write"]:
        path, seconds, fair, number = arguments[1:]
        print(json.dumps(write(Path(path), float(seconds), fair == "1", int(number))))
    else:
        run_cases("How long a process waits for its turn to write to a SQLite file.", [Turns()], arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
