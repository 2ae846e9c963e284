"""What the workers of a queue run that are killed: each step says on the ledger when it begins and ends."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from holdfast import Holdfast, current_step, step, workflow
from holdfast.testing.ledger import EffectLedger
from tests import fleet

BEGUN, ENDED, DEAD = "+", "-", "x"


@step
async def occupy(ledger: str, key: str, milliseconds: int) -> None:
    """Holds its flow's slot for a while, and says so."""
    told = f"{key} {current_step().flow_id} {os.getpid()}"
    with EffectLedger(ledger, sync=False) as effects:
        effects.append(f"{BEGUN} {told}")
        await asyncio.sleep(milliseconds / 1000)
        effects.append(f"{ENDED} {told}")


@workflow
async def occupied(ledger: str, key: str, steps: int, milliseconds: int) -> int:
    for _ in range(steps):
        await occupy(ledger, key, milliseconds)
    return steps


hf = Holdfast(
    workflows=[occupied],
    lease=float(os.environ.get(fleet.LEASE, "1")),
    concurrency=int(os.environ.get(fleet.CONCURRENCY, "8")),
    drain=3600,
)
"""What the workers serve."""


@dataclass(frozen=True)
class Peaks:
    """The most steps that ran at once: in all, of one process, of one key."""

    all: int
    worker: int
    key: int


def peaks(lines: Iterable[str]) -> Peaks:
    """Read a ledger. A process that is dead runs nothing from the line on that says so: it was stopped before that
    line was written and killed after it, so that nobody can have taken over before."""
    open_steps: set[tuple[str, str, str]] = set()
    most = Peaks(0, 0, 0)
    for line in lines:
        what, *told = line.split()
        if what == DEAD:
            open_steps = {one for one in open_steps if one[2] != told[0]}
            continue
        key, flow, pid = told
        (open_steps.add if what == BEGUN else open_steps.discard)((key, flow, pid))
        by_worker, by_key = Counter(one[2] for one in open_steps), Counter(one[0] for one in open_steps)
        most = Peaks(
            max(most.all, len(open_steps)),
            max(most.worker, *by_worker.values(), 0),
            max(most.key, *by_key.values(), 0),
        )
    return most
