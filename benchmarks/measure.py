"""Repetitions on a noisy machine: what is compared takes turns, and the median counts."""

from __future__ import annotations

import gc
import statistics
import sys
from collections.abc import Callable


def interleaved(repetitions: int, *measures: Callable[[], float]) -> list[float]:
    """The median of each measure, taken in turns so that the machine's drift meets all of them.

    Args:
        repetitions: turns.
        measures: each returns one figure, on a fresh database.
    """
    taken: list[list[float]] = [[] for _ in measures]
    for _ in range(repetitions):
        for measure, figures in zip(measures, taken, strict=True):
            gc.collect()  # what an earlier turn left is not paid for by this one
            figures.append(measure())
    return [statistics.median(figures) for figures in taken]


def note(text: str) -> None:
    """Say something beside the figures: on stderr."""
    print(text, file=sys.stderr, flush=True)
