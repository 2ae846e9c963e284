"""Steps per second of a package, whose process reaches the store through its supervisor alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import hosted_steps
from benchmarks.command import Bench
from benchmarks.engine_common import DURABILITY, until_none
from benchmarks.environments import Database
from benchmarks.measure import interleaved
from benchmarks.report import Figures
from holdfast import Holdfast
from holdfast.flows.engine.options import WorkerOptions
from holdfast.hosting.serving import Hosting
from holdfast.hosting.supervisor import HostingOptions
from holdfast.packages import deploy_archive
from holdfast.packages.archive import Archive, make_manifest, open_archive, pack
from holdfast.packages.archive.manifest import this_python

AT_ONCE = 64
MODULE = "hosted_steps"
TAKEN = "SELECT count(*), max(finished_at) - min(started_at) FROM flows WHERE status = 'finished'"


@dataclass(frozen=True)
class StepsHosted:
    """Steps per second, 64 flows at once; ``bare``: of the engine in the process that has the store.

    On both sides all flows are there before they are run, and the time is from the first one's beginning to the last
    one's end, so that neither starting flows nor starting a process is part of it.
    """

    name: str
    engine: str
    flows: int

    def run(self, bench: Bench) -> Figures:
        flows = bench.size(self.flows)
        ours, within = interleaved(
            bench.repetitions,
            lambda: self._rate(bench, flows, self._hosted),
            lambda: self._rate(bench, flows, self._in_process),
        )
        return Figures(
            case=self.name,
            unit="steps/s",
            ours=ours,
            bare=within,
            peers={},
            lower_is_better=False,
            target={"bare": 0.5},
            durability=DURABILITY if self.engine == "sqlite" else bench.workspace.postgres_durability,
            notes={"bare": "the engine in the process that has the store, in this run"},
            extra={"flows": flows, "at_once": AT_ONCE},
        )

    def _rate(self, bench: Bench, flows: int, run: Callable[[Bench, Database, int], None]) -> float:
        with bench.workspace.store(self.engine) as database:
            run(bench, database, flows)
            with Holdfast(database.url, worker=False) as hf:
                ((ended, micros),) = hf.store.read(lambda tx: tx.fetch(TAKEN))
        if ended != flows:
            raise AssertionError(f"{ended:,} of {flows:,} flows have finished")
        return flows * hosted_steps.STEPS / (micros / 1_000_000)

    def _in_process(self, bench: Bench, database: Database, flows: int) -> None:
        with Holdfast(database.url, worker=False) as hf:
            hf.start_many(hosted_steps.hosted, range(flows))
        with Holdfast(database.url, workflows=[hosted_steps.hosted], concurrency=AT_ONCE) as hf:
            until_none(hf, hosted_steps.hosted, "created", "running")

    def _hosted(self, bench: Bench, database: Database, flows: int) -> None:
        with Holdfast(database.url, worker=False) as hf, bench.workspace.folder() as cache:
            hf.store.run(lambda tx: deploy_archive(tx, _archive()))
            hf.start_many(hosted_steps.hosted, range(flows))
            options = HostingOptions(WorkerOptions(concurrency=AT_ONCE), cache=cache)
            with Hosting(hf.store, options):
                until_none(hf, hosted_steps.hosted, "created", "running")


def _archive() -> Archive:
    workflow = {"name": hosted_steps.hosted.name, "entry": f"{MODULE}:hosted", "arguments": {}, "result": {}}
    manifest = make_manifest({"name": "bench", "python": this_python(), "modules": [MODULE], "workflows": [workflow]})
    return open_archive(pack(manifest, {f"source/{MODULE}.py": Path(hosted_steps.__file__).read_bytes()}))
