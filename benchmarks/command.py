"""The command line that all benchmarks share: ``--json``, ``--quick``, ``--case NAME ...``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Protocol

from rich.console import Console

from benchmarks.environments import Workspace
from benchmarks.measure import note
from benchmarks.report import Figures, print_table
from benchmarks.rivals import Rivals

REPETITIONS = 5
QUICK_SHARE = 20
QUICK_LEAST = 20


class Bench:
    """What a case runs with.

    Attributes:
        repetitions: of ours and the bare loop's, in turns.
        workspace: where databases are made.
        rivals: the peers' throughput.
    """

    def __init__(self, workspace: Workspace, *, quick: bool) -> None:
        self.repetitions = 2 if quick else REPETITIONS
        self.workspace = workspace
        self.rivals = Rivals(workspace, self._rival_flows)
        self._quick = quick

    def size(self, full: int) -> int:
        """How much to do where a full run does ``full``."""
        return max(QUICK_LEAST, full // QUICK_SHARE) if self._quick else full

    def _rival_flows(self, at_once: int) -> int:
        """Enough for some seconds of a peer, and a multiple of ``at_once``, so that no slot idles for long."""
        return self.size(40) if at_once == 1 else at_once * (1 if self._quick else 4)


class Case(Protocol):
    """One comparison."""

    @property
    def name(self) -> str: ...

    def run(self, bench: Bench) -> Figures: ...


def run_cases(description: str, cases: Sequence[Case], arguments: Sequence[str] | None = None) -> None:
    """Run the cases that the command line asks for; figures on stdout, a line a case of progress on stderr."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="a JSON object a line, one for each case")
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it works, not how fast")
    parser.add_argument(
        "--case", action="append", choices=[case.name for case in cases], help="only this one; may recur"
    )
    chosen = parser.parse_args(arguments)
    wanted = [case for case in cases if not chosen.case or case.name in chosen.case]
    done = []
    with Workspace() as workspace:
        bench = Bench(workspace, quick=chosen.quick)
        for position, case in enumerate(wanted, 1):
            note(f"[{position}/{len(wanted)}] {case.name} ...")
            began = time.monotonic()
            figures = case.run(bench)
            note(f"[{position}/{len(wanted)}] {case.name}: {figures.ours:,.0f} {figures.unit}, {_since(began)}")
            done.append(figures)
            if chosen.json:
                print(figures.line(), flush=True)
    if not chosen.json:
        print_table(description, done, Console())


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.0f} s"
