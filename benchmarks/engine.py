"""The engine between steps: a million parked flows, queues, timers, events, going back, pruning, long histories.

``python -m benchmarks.engine [--json] [--quick] [--case NAME ...]``. All on SQLite files, fully durable. What each
figure is compared with is in its notes: the same at a smaller size, our own work without what is measured, or a peer.
"""

from __future__ import annotations

import sys

from benchmarks import engine_parked
from benchmarks.command import Case, run_cases
from benchmarks.engine_history import Replay, Rewind, RewindWorld
from benchmarks.engine_prune import Prune
from benchmarks.engine_rates import EVENTS, TIMERS, Enqueue

CASES: list[Case] = [
    *engine_parked.cases(),
    Enqueue(),
    TIMERS,
    EVENTS,
    Rewind(),
    RewindWorld(),
    Prune(),
    Replay(),
]


if __name__ == "__main__":
    run_cases("The engine between steps.", CASES, sys.argv[1:])
