"""Deploys while other processes start flows: how soon each of them starts flows on the new version.

Every deploy is of an archive of its own, so that a flow's pin says which of them its start has seen.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from benchmarks.command import Bench
from benchmarks.engine_common import DURABILITY, percentile_99
from benchmarks.environments import ROOT, Database
from benchmarks.report import Figures
from holdfast import Holdfast
from holdfast.packages import deploy_archive
from holdfast.packages.archive import Archive, make_manifest, open_archive, pack
from holdfast.packages.archive.manifest import this_python
from holdfast.store import open_store

TYPE = "bench.live"
STARTERS = 3
PAUSE_SECONDS = 0.05
"""Between two deploys: long enough for each process to start some flows."""
SOURCE = b"""from holdfast import workflow


@workflow(name="bench.live")
async def live(number: int) -> int:
    return number
"""
PINS = "SELECT id, package_hash FROM flows"


@dataclass(frozen=True)
class Started:
    """A start as its process saw it: when it was called and when it returned, in seconds of the machine's monotonic
    clock, and the flow's version by the number of its deploy."""

    began: float
    ended: float
    version: int


@dataclass(frozen=True)
class Live:
    """What was measured.

    Attributes:
        milliseconds: of each deploy and process, from just before the commit to the end of the first start that is
            pinned to the deploy's version or a later one.
        stale: starts that began after a deploy's commit and are pinned to an earlier version.
        starts: how many there were.
    """

    milliseconds: list[float]
    stale: int
    starts: int


def measure(url: str, folder: Path, deploys: int) -> Live:
    """Deploy while :data:`STARTERS` other processes start flows.

    Args:
        folder: for what the processes note.
    """
    archives = [archive(number) for number in range(deploys + 1)]
    commits: list[tuple[float, float]] = []
    before = 0.0

    def probe(point: str) -> None:
        nonlocal before
        if point == "before commit":
            before = time.monotonic()

    with open_store(url, probe=probe) as store:
        store.run(lambda tx: deploy_archive(tx, archives[0]))
        with _starters(url, folder) as notes:
            for each in archives[1:]:
                time.sleep(PAUSE_SECONDS)
                store.run(lambda tx, each=each: deploy_archive(tx, each))  # type: ignore[misc]
                commits.append((before, time.monotonic()))
            time.sleep(PAUSE_SECONDS)
        pins = dict(store.read(lambda tx: tx.fetch(PINS)))
    numbers = {each.content_hash: number for number, each in enumerate(archives)}
    pinned = {str(flow): numbers[content_hash] for flow, content_hash in pins.items()}
    started = [_read(note, pinned) for note in notes]
    return Live(
        [(moment - before) * 1000 for lane in started for moment, before in _firsts(lane, commits)],
        sum(_stale(lane, [after for _, after in commits]) for lane in started),
        sum(map(len, started)),
    )


def _firsts(lane: Sequence[Started], commits: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """For each deploy, when the process's first start on it returned, and when its commit began."""
    seen = list(accumulate((start.version for start in lane), max))
    for number, (before, _) in enumerate(commits, 1):
        place = bisect_left(seen, number)
        if place == len(lane):
            raise AssertionError(f"deploy {number} never came to be live")
        yield lane[place].ended, before


def _stale(lane: Sequence[Started], committed: Sequence[float]) -> int:
    """Starts that began when a later version than theirs was there."""
    return sum(start.version < bisect_left(committed, start.began) for start in lane)


def archive(number: int) -> Archive:
    """A version that differs from others by its label alone."""
    workflow = {"name": TYPE, "entry": "live:live", "arguments": {}, "result": {}}
    manifest = make_manifest(
        {"name": "live", "label": str(number), "python": this_python(), "modules": ["live"], "workflows": [workflow]}
    )
    return open_archive(pack(manifest, {"source/live.py": SOURCE}))


@contextmanager
def _starters(url: str, folder: Path) -> Iterator[list[Path]]:
    """Processes that start flows until the block ends; gives the files of their notes."""
    notes = [folder / f"starter-{number}.jsonl" for number in range(STARTERS)]
    with ExitStack() as ending:
        running = []
        for note in notes:
            command = [sys.executable, "-m", "benchmarks.packages_live", url, str(note)]
            process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            ending.callback(process.wait)
            ending.callback(process.kill)
            running.append(process)
        for process in running:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                raise AssertionError("a process that was to start flows has ended")
        yield notes
        for process in running:
            process.communicate()
            assert process.returncode == 0


def _read(note: Path, pinned: dict[str, int]) -> list[Started]:
    lines = [json.loads(line) for line in note.read_text().splitlines()]
    return [Started(began, ended, pinned[flow]) for began, ended, flow in lines]


@dataclass(frozen=True)
class DeployLive:
    """Milliseconds from a deploy's commit until a process has started a flow on it, at the 99th percentile."""

    name: str
    engine: str
    deploys: int = 60

    def run(self, bench: Bench) -> Figures:
        database: Database
        with bench.workspace.store(self.engine) as database, bench.workspace.folder() as folder:
            live = measure(database.url, folder, bench.size(self.deploys))
        if live.stale:
            raise AssertionError(f"{live.stale:,} flows were started on a version that was routed no more")
        return Figures(
            case=self.name,
            unit="ms (p99)",
            ours=percentile_99(live.milliseconds),
            bare=None,
            peers={},
            lower_is_better=True,
            target={},
            durability=DURABILITY if self.engine == "sqlite" else bench.workspace.postgres_durability,
            limit=250.0,
            notes={"ours": f"of {len(live.milliseconds):,}: {STARTERS} processes, each until its first start returned"},
            extra={
                "p50_ms": round(statistics.median(live.milliseconds), 2),
                "worst_ms": round(max(live.milliseconds), 2),
                "starts": live.starts,
            },
        )


def start_until_told(url: str, note: Path) -> None:
    """Start flows, one after the other, until standard input ends; note when, and which."""
    with Holdfast(url, worker=False) as hf, note.open("w") as out:
        told = _told()
        hf.start_named(TYPE, {"number": 0})
        print("ready", flush=True)
        number = 0
        while not told.is_set():
            number += 1
            began = time.monotonic()
            flow = hf.start_named(TYPE, {"number": number})
            out.write(json.dumps([began, time.monotonic(), str(flow.id)]) + "\n")


def _told() -> threading.Event:
    """Set when standard input ends."""
    told = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        told.set()

    threading.Thread(target=wait, daemon=True).start()
    return told


if __name__ == "__main__":
    start_until_told(sys.argv[1], Path(sys.argv[2]))
