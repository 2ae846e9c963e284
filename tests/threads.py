"""Threads of a test's own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

R = TypeVar("R")


def aside(act: Callable[[], R]) -> R:
    """``act`` done in another thread meanwhile: a unit of work that must see what others do has it done there."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(act).result()
