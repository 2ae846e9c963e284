"""What the engine's cases share."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import note
from benchmarks.rivals import RunFailed, peer_command, run_script
from holdfast import Holdfast, Workflow

DURABILITY = "SQLite WAL synchronous=FULL"
BATCH = 20_000
"""So many flows are handed to the engine at once."""
_POLL_SECONDS = 0.005
_UNSETTLED = "SELECT 1 FROM flows WHERE status = :status AND workflow_type = :name LIMIT 1"


def park(url: str, workflow: Workflow[[int], Any], count: int, **options: Any) -> float:
    """Start ``count`` flows, numbered from 0, and let a worker run each until it leaves memory; flows per second.

    Args:
        options: of the :class:`~holdfast.Holdfast`.
    """
    began = time.perf_counter()
    with Holdfast(url, workflows=[workflow], park_after=0.0, **options) as hf:
        for first in range(0, count, BATCH):
            hf.start_many(workflow, range(first, min(count, first + BATCH)))
        until_none(hf, workflow, "created", "running")
    return count / (time.perf_counter() - began)


def until_none(hf: Holdfast, workflow: Workflow[..., Any], *statuses: str) -> None:
    """Wait until no flow of ``workflow`` has one of these statuses."""
    while any(_found(hf, workflow.name, status) for status in statuses):
        time.sleep(_POLL_SECONDS)


def _found(hf: Holdfast, name: str, status: str) -> bool:
    asked = {"status": status, "name": name}
    return bool(hf.store.read(lambda tx: tx.fetch(_UNSETTLED, asked)))


def percentile_99(figures: Sequence[float]) -> float:
    """Of at least two."""
    return statistics.quantiles(figures, n=100, method="inclusive")[98]


def memory_megabytes(field: str) -> float:
    """This process's ``VmRSS`` (now) or ``VmHWM`` (at its peak)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) / 1024
    raise LookupError(f"the kernel does not tell {field}")


def in_fresh_process(module: str, *arguments: object) -> dict[str, float]:
    """The figures that ``python -m module arguments`` prints, which has seen nothing before.

    Raises:
        RunFailed: it ended badly.
    """
    return run_script([sys.executable, "-m", module, *map(str, arguments)])


def peer_figures(peer: str, *arguments: object) -> dict[str, float] | None:
    """The figures that a peer's script of the engine's cases prints; ``None``, with a note, where it cannot be run."""
    command = peer_command(peer, f"{peer}_engine")
    if command is None:
        return None
    try:
        return run_script([*command, *map(str, arguments)])
    except RunFailed as error:
        note(f"{peer} is left out: {error}")
        return None
