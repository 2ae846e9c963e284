"""How long flows are kept once they have ended, and the prune that deletes what is older (FL-9).

What is to go is found by reading, a page at a time, so that no writer waits for the search. It is deleted in slices,
each a transaction of a few milliseconds, however many steps a flow has; between two slices the prune rests for as long
as the last one took, so that others write at least half of the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from holdfast.clock import MICROS_PER_SECOND
from holdfast.errors import InvalidInput
from holdfast.flows.model import FlowStatus
from holdfast.flows.remains import BATCH, ROUND, Check, bury, clear, clearers, drop_superseded
from holdfast.pages import EVERYTHING
from holdfast.store import Row, Store, Transaction, as_store, load_queries

_q = load_queries("holdfast.flows")
SLICE_SECONDS = 0.001
"""So long a slice goes on deleting; what it had begun by then and the commit come on top. 20 ms are promised (FL-9)."""
PAGE = 2048
DAY_SECONDS = 86_400.0
_ENDED = tuple(status for status in FlowStatus if status.terminal)


class InvalidRetention(InvalidInput):
    """A span for which nothing can be kept."""

    code = "invalid_retention"
    remedy = "Use a non-negative number of days or seconds, or None to keep what ended for good."


class Threshold(NamedTuple):
    """Flows of ``workflow_type`` that ended before ``before`` (micros) may go."""

    workflow_type: str
    before: int

    def places(self) -> list[dict[str, Any]]:
        """Where they are, as parameters of the queries."""
        return [{"workflow_type": self.workflow_type, "before": self.before, "status": status} for status in _ENDED]


class Pruned(NamedTuple):
    """What was deleted: flows, and records of others that a rewind had undone."""

    flows: int
    steps: int


def declare(tx: Transaction, spans: Mapping[str, int | None]) -> None:
    """Note for how long workflows want their ended flows to be kept, as their workers' code says.

    Args:
        spans: by workflow type, micros; ``None``: for as long as whoever prunes says.
    """
    tx.execute(_q["declare_retention"], {"now": tx.clock.micros()}, rows=sorted(spans.items()))


def declared(tx: Transaction) -> dict[str, float]:
    """Seconds for which ended flows are kept, of the workflows that say so."""
    return {name: micros / MICROS_PER_SECOND for name, micros in tx.fetch(_q["retention"])}


def count(tx: Transaction, default: float | None) -> int:
    """How many flows a :func:`prune` would delete now.

    Raises:
        InvalidRetention: a negative ``default``.
    """
    places = [place for threshold in _thresholds(tx, default) for place in threshold.places()]
    return sum(int(row[0]) for place in places for row in tx.fetch(_q["count_expired"], place))


def prune(
    store: Store,
    default: float | None,
    progress: Callable[[int], object] = lambda flows: None,
    check: Check = lambda tx: None,
) -> Pruned:
    """Delete flows that ended longer ago than their workflow says, with all that belongs to them, and older records
    that a rewind undid, also of flows that live.

    Killed midway, it has deleted some flows and left the others whole; the next prune clears what remains.

    Args:
        store: open.
        default: seconds, for workflows that do not say; ``None``: those are kept for good.
        progress: told the number of flows so far.
        check: called in the transaction of each slice; what it raises ends the prune.

    Raises:
        InvalidRetention: a negative ``default``.
        WrongHandle: ``store`` is no store.
    """
    as_store(store)
    thresholds = store.read(lambda tx: _thresholds(tx, default))
    total = 0
    for place in (place for threshold in thresholds for place in threshold.places()):
        for page in _pages(store, "expired", place):
            for buried in _bury_page(store, [row[1:] for row in page], place["before"], check):
                total += buried
                progress(total)
    for _ in _bury_page(store, [], 0, check):
        pass
    for clear_more in clearers:
        clear_more(store, check)
    return Pruned(total, _prune_superseded(store, thresholds, check))


def _thresholds(tx: Transaction, default: float | None) -> list[Threshold]:
    if default is not None and not default >= 0:
        raise InvalidRetention(f"{default!r} seconds are no span of time.")
    spans = declared(tx)
    now = tx.clock.micros()
    wanted = ((name, spans.get(name, default)) for (name,) in tx.fetch(_q["workflow_types"]))
    return [
        Threshold(name, max(now - round(span * MICROS_PER_SECOND), -EVERYTHING))
        for name, span in wanted
        if span is not None
    ]


def _pages(store: Store, query: str, place: Mapping[str, Any]) -> Iterator[list[Row]]:
    """All that a query finds, whose rows begin with their place in its order: a moment and a number."""
    at, num = -EVERYTHING, -EVERYTHING
    while True:
        params = {**place, "at": at, "num": num, "limit": PAGE}
        page = store.read(partial(_page, query, params))
        if not page:
            return
        yield page
        at, num = page[-1][:2]


def _page(query: str, params: Mapping[str, Any], tx: Transaction) -> list[Row]:
    return tx.fetch(_q[query], params)


def _bury_page(store: Store, nums: Sequence[Row], before: int, check: Check) -> Iterator[int]:
    """Bury those of the flows that ended before that moment and clear all remains; yields how many each slice did."""
    done, more = 0, True
    while more or done < len(nums):

        def work(tx: Transaction, start: int = done) -> tuple[int, int, bool]:
            check(tx)
            return _slice(tx, nums, start, before)

        began = time.monotonic()
        buried, done, more = store.run(work, idempotent=True)
        yield buried
        if more or done < len(nums):
            time.sleep(time.monotonic() - began)


def _slice(tx: Transaction, nums: Sequence[Row], done: int, before: int) -> tuple[int, int, bool]:
    """A few milliseconds' work; how many flows were buried, up to which one all were looked at, whether remains are
    left."""
    end = tx.clock.monotonic() + SLICE_SECONDS
    buried = 0
    more = clear(tx, SLICE_SECONDS)
    while not more and done < len(nums):
        expired = tx.fetch(_q["lock_expired"], {"before": before}, rows=nums[done : done + BATCH])
        bury(tx, expired)
        buried += len(expired)
        done += BATCH
        left = end - tx.clock.monotonic()
        more = clear(tx, left)
        if left < 0:
            break
    return buried, done, more


def _prune_superseded(store: Store, thresholds: Sequence[Threshold], check: Check) -> int:
    before = dict(thresholds)
    if not before:
        return 0
    total = 0
    for page in _pages(store, "superseded", {"before": max(before.values())}):
        old = [(num,) for at, num, workflow_type in page if at < before.get(workflow_type, -EVERYTHING)]
        for start in range(0, len(old), ROUND):

            def work(tx: Transaction, rows: Sequence[Row] = old[start : start + ROUND]) -> int:
                check(tx)
                return drop_superseded(tx, rows)

            began = time.monotonic()
            total += store.run(work, idempotent=True)
            time.sleep(time.monotonic() - began)
    return total
