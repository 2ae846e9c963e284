"""What worlds cost: of files, the second snapshot and going back by a few; of a mock AWS, :mod:`benchmarks.aws`.

``python -m benchmarks.worlds [--json] [--quick]``. A directory of 10,000 small files in a hundred folders. What it is
compared with is our own work on all of the files in the same run: the first snapshot, the restore into an empty place.
"""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import aws
from benchmarks.command import Bench, run_cases
from benchmarks.report import Figures
from holdfast.store import Store, open_store
from holdfast.worlds.directory import DirectoryWorld

FILES = 10_000
FOLDERS = 100
BODY_BYTES = 1_000
SHARE_CHANGED = 100
"""One file in so many is changed before it is gone back."""
HERE = ("acme", "north")
EMPTY = ("acme", "south")
DURABILITY = "SQLite WAL synchronous=FULL; files and folders fsynced"


@dataclass(frozen=True)
class SecondSnapshot:
    """Milliseconds of a snapshot after one file was changed; ``bare``: of the first one."""

    name: str = "directory-snapshot-after-1-change"

    def run(self, bench: Bench) -> Figures:
        first, second, stored = [], [], []
        for _ in range(bench.repetitions):
            with directory(bench) as (world, store, paths):
                first.append(milliseconds(lambda: world.snapshot(*HERE)))
                before = bodies(store)
                paths[0].write_bytes(os.urandom(BODY_BYTES))
                second.append(milliseconds(lambda: world.snapshot(*HERE)))
                stored.append(bodies(store) - before)
        return Figures(
            case=self.name,
            unit="ms",
            ours=statistics.median(second),
            bare=statistics.median(first),
            peers={},
            lower_is_better=True,
            target={"bare": 0.25},
            durability=DURABILITY,
            notes={"bare": "the first snapshot, which reads and stores every file"},
            extra={"files": len(paths), "new_bodies": max(stored)},
        )


@dataclass(frozen=True)
class RestoreOfFew:
    """Milliseconds of a restore where one file in a hundred differs; ``bare``: of one into an empty place."""

    name: str = "directory-restore-1-percent"

    def run(self, bench: Bench) -> Figures:
        full, few = [], []
        for _ in range(bench.repetitions):
            with directory(bench) as (world, _, paths):
                view = world.snapshot(*HERE)
                changed = paths[::SHARE_CHANGED]
                for path in changed:
                    path.write_bytes(os.urandom(BODY_BYTES))
                few.append(milliseconds(lambda view=view: world.restore(*HERE, view)))
                if world.snapshot(*HERE) != view:
                    raise AssertionError("the restore did not bring the state back")
                full.append(milliseconds(lambda view=view: world.restore(*EMPTY, view)))
        return Figures(
            case=self.name,
            unit="ms",
            ours=statistics.median(few),
            bare=statistics.median(full),
            peers={},
            lower_is_better=True,
            target={"bare": 0.1},
            durability=DURABILITY,
            notes={"bare": "the restore of the same view into an empty account and region"},
            extra={"files": len(paths), "changed": len(changed)},
        )


@contextmanager
def directory(bench: Bench) -> Iterator[tuple[DirectoryWorld, Store, list[Path]]]:
    """A world that has never seen its files, its store, and the files."""
    with bench.workspace.folder() as folder, open_store(f"sqlite:///{folder / 'bench.db'}") as store:
        world = DirectoryWorld(folder / "root", store)
        tree = world.root.joinpath(*HERE)
        paths = [tree / f"{number % FOLDERS}" / f"{number}.bin" for number in range(bench.size(FILES))]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(BODY_BYTES))
        yield world, store, paths


def milliseconds(act: Callable[[], object]) -> float:
    """How long ``act`` takes, once what others wrote has reached the disk."""
    os.sync()
    gc.collect()
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def bodies(store: Store) -> int:
    """How many bodies are stored."""
    ((count,),) = store.read(lambda tx: tx.fetch("SELECT count(*) FROM blobs"))
    return int(count)


def main(arguments: Sequence[str] | None = None) -> None:
    run_cases("What worlds cost.", [SecondSnapshot(), RestoreOfFew(), *aws.CASES], arguments)


if __name__ == "__main__":
    main()
