"""Long histories: going back to the middle of one, with its world or without, and replaying one."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import shutil
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from benchmarks.command import Bench
from benchmarks.engine_common import DURABILITY, in_fresh_process, memory_megabytes, peer_figures, until_none
from benchmarks.peers._shared import step_result
from benchmarks.report import Figures
from benchmarks.rivals import peer_database
from benchmarks.worlds import BODY_BYTES, FOLDERS, SHARE_CHANGED
from holdfast import Holdfast, step, workflow
from holdfast.flows.waiting import wait_for_signal
from holdfast.rewind import WorldHandle, directory, open_world

KILOBYTE = 1000
RAN: Counter[int] = Counter()
LIMIT_MILLISECONDS = 100.0


@step
async def work(number: int) -> str:
    RAN[number] += 1
    return step_result(number)


@step
async def large(number: int) -> str:
    return f"{number:0{KILOBYTE}d}"


@workflow(name="bench.long")
async def long(count: int) -> int:
    for number in range(count):
        await work(number)
    return count


@workflow(name="bench.longest")
async def longest(count: int) -> int:
    total = 0
    for number in range(count):
        total += len(await large(number))
    await wait_for_signal("go")
    return total


@dataclass(frozen=True)
class Rewind:
    """Milliseconds of a rewind to the middle of a long history; what was kept does not run again."""

    name: str = "rewind"
    steps: int = 10_000

    def run(self, bench: Bench) -> Figures:
        steps = bench.size(self.steps)
        RAN.clear()
        with bench.workspace.sqlite() as database, Holdfast(database.url, workflows=[long]) as hf:
            handle = hf.start(long, steps)
            handle.result()
            taken = []
            for _ in range(bench.repetitions):
                taken.append(milliseconds(lambda: hf.rewind(handle.id, steps // 2)))
                handle.result()
        kept, undone = ({RAN[number] for number in half} for half in halves(steps))
        if (kept, undone) != ({1}, {1 + bench.repetitions}):
            raise AssertionError(f"steps that are kept ran {kept} times, the others {undone}")
        with peer_database(bench.workspace, "sqlite") as peers:
            dbos = peer_figures("dbos", "fork", "--steps", steps, "--url", peers.url)
        return Figures(
            case=self.name,
            unit="ms",
            ours=statistics.median(taken),
            bare=None,
            peers={"dbos": dbos["fork_ms"] if dbos else None},
            lower_is_better=True,
            target={},
            durability=DURABILITY,
            limit=LIMIT_MILLISECONDS,
            notes={"dbos": "DBOS.fork_workflow after the same step of as many: another workflow, with copied records"},
            extra={"steps": steps, "kept": steps // 2, "kept_ran_again": 0},
        )


def halves(steps: int) -> tuple[range, range]:
    """Steps that a rewind keeps, and those that it undoes."""
    return range(steps // 2), range(steps // 2, steps)


@dataclass(frozen=True)
class Replay:
    """Megabytes that a worker grows by as it replays a long history; ``bare``: the size of the results in it."""

    name: str = "replay-memory"
    steps: int = 50_000

    def run(self, bench: Bench) -> Figures:
        steps = bench.size(self.steps)
        with bench.workspace.sqlite() as database:
            with Holdfast(database.url, workflows=[longest], park_after=0.0) as hf:
                flow = hf.start(longest, steps).id
                until_none(hf, longest, "created", "running")
            replayed = in_fresh_process("benchmarks.engine_history", database.url, flow)
        return Figures(
            case=self.name,
            unit="MB",
            ours=replayed["grown"],
            bare=steps * KILOBYTE / 1e6,
            peers={},
            lower_is_better=True,
            target={},
            limit=150.0,
            durability=DURABILITY,
            notes={"bare": "all results as JSON, one kilobyte each", "ours": "SQLite's page cache of 64 MiB among it"},
            extra={
                "steps": steps,
                "seconds": round(replayed["seconds"], 2),
                "steps_per_second": round(steps / replayed["seconds"]),
            },
        )


def replay(url: str, flow: str) -> dict[str, float]:
    """Wake a flow whose history is long; how much memory that took at its peak, and how long."""
    with Holdfast(url, workflows=[longest]) as hf:
        before, began = memory_megabytes("VmRSS"), time.perf_counter()
        hf.signal(flow, "go")
        total = hf.handle(flow).result()
        seconds = time.perf_counter() - began
        steps = hf.store.read(lambda tx: tx.fetch("SELECT count(*) FROM steps WHERE task = 'large'"))[0][0]
        assert total == steps * KILOBYTE
        return {"grown": memory_megabytes("VmHWM") - before, "seconds": seconds}


@dataclass
class Site:
    """What happens to a world's files behind its checkpoint, and when its flow got there."""

    files: int
    change: Callable[[Path], None]
    arrived: queue.Queue[float]


SITES: dict[str, Site] = {}


@step
async def build(world: WorldHandle, files: int) -> None:
    await asyncio.to_thread(_build, world.path, files)


@step
async def spoil(world: WorldHandle, root: str) -> None:
    """The first thing that happens after the checkpoint."""
    site = SITES[root]
    site.arrived.put(time.perf_counter())
    found = sum(1 for path in world.path.rglob("*.bin") if path.read_bytes() == _body(path))
    if found != site.files:
        raise AssertionError(f"{found:,} of {site.files:,} files are as they were")
    site.change(world.path)


@workflow(name="bench.tended")
async def tended(root: str, files: int) -> None:
    world = await open_world("site", directory(root))
    await build(world, files)
    await world.checkpoint("built")
    await spoil(world, root)


def _body(path: Path) -> bytes:
    return path.name.encode().ljust(BODY_BYTES, b".")


def _build(root: Path, files: int) -> None:
    for number in range(files):
        path = root / f"{number % FOLDERS}" / f"{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_body(path))


def _change_few(root: Path) -> None:
    for path in sorted(root.rglob("*.bin"))[::SHARE_CHANGED]:
        path.write_bytes(os.urandom(BODY_BYTES))


def _remove_all(root: Path) -> None:
    for path in root.iterdir():
        shutil.rmtree(path)


@dataclass(frozen=True)
class RewindWorld:
    """Milliseconds from a rewind to the flow's next step, its files being back, where one in a hundred had changed;
    ``bare``: where none was left."""

    name: str = "rewind-world"
    files: int = 10_000

    def run(self, bench: Bench) -> Figures:
        files = bench.size(self.files)
        taken = [self._take(bench, files) for _ in range(bench.repetitions)]
        few, full = zip(*taken, strict=True)
        return Figures(
            case=self.name,
            unit="ms",
            ours=statistics.median(few),
            bare=statistics.median(full),
            peers={},
            lower_is_better=True,
            target={"bare": 0.1},
            durability=f"{DURABILITY}; files and folders fsynced",
            notes={"bare": "the same rewind where all files are gone"},
            extra={"files": files, "changed": -(-files // SHARE_CHANGED)},
        )

    def _take(self, bench: Bench, files: int) -> tuple[float, float]:
        """A fresh world, gone back to its checkpoint after few files were changed and after all were removed."""
        with (
            bench.workspace.folder() as folder,
            Holdfast(f"sqlite:///{folder / 'bench.db'}", workflows=[tended]) as hf,
        ):
            root = str(folder / "root")
            site = SITES[root] = Site(files, _change_few, queue.Queue())
            handle = hf.start(tended, root, files)
            handle.result()
            site.arrived.get()
            site.change = _remove_all
            return _back(hf, handle.id, site), _back(hf, handle.id, site)


def _back(hf: Holdfast, flow_id: UUID, site: Site) -> float:
    """Rewind an ended flow, whose world has changed, to its checkpoint, and let it end again."""
    os.sync()
    began = time.perf_counter()
    hf.rewind(flow_id, "built")
    hf.handle(flow_id).result()
    return (site.arrived.get() - began) * 1000


def milliseconds(act: Callable[[], object]) -> float:
    """How long ``act`` takes."""
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def main(url: str, flow: str) -> None:
    print(json.dumps(replay(url, flow)))


if __name__ == "__main__":
    main(*sys.argv[1:])
