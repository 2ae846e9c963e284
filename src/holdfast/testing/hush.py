"""Silence where what Holdfast's log tells was brought about on purpose."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hushed() -> Iterator[None]:
    """During the block Holdfast logs nothing: wrong backends complain, and workers that are killed do so critically.
    The level that was set is back afterwards."""
    log = logging.getLogger("holdfast")
    level = log.level
    log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        log.setLevel(level)
