"""Chores: what one worker does for all, every so often.

A chore's row names the epoch of the worker that is at it. Whoever claims it compares and sets that row; a chore whose
worker died is taken over at once. Nothing of a chore needs its holder to be the only one: it is claimed so that work
is not done twice, and each part of it is fit to be done again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from holdfast import codec
from holdfast.clock import MICROS_PER_SECOND, to_datetime
from holdfast.errors import StoreClosed
from holdfast.flows.errors import LeaseLost
from holdfast.flows.inbox.sql import collect
from holdfast.flows.model import describe
from holdfast.flows.retention import DAY_SECONDS, prune
from holdfast.store import Store, Transaction, load_queries

_q = load_queries("holdfast.flows")
log = logging.getLogger("holdfast.flows")
DAILY = "daily"
EVERY = round(DAY_SECONDS * MICROS_PER_SECOND)
COLLECT_SLICE = 500


@dataclass(frozen=True, slots=True)
class Chore:
    """A chore, and how it went.

    Attributes:
        due_at: when it is to be done next.
        epoch: the worker that is at it now, or that died over it.
        ran_at: when it ended last; ``None``: never.
        outcome: of that time; with ``error`` if it failed.
    """

    name: str
    due_at: datetime
    epoch: int | None
    ran_at: datetime | None
    outcome: dict[str, Any] | None


def next_due(tx: Transaction, name: str = DAILY) -> int | None:
    """When the chore may be claimed, in micros; ``None`` while a living worker is at it, 0 if nobody ever looked."""
    row = tx.fetch_one(_q["next_chore"], {"name": name, "now": tx.clock.micros()})
    return row[0] if row else 0


def claim(tx: Transaction, name: str, epoch: int, every: int) -> bool:
    """Take a chore up, if it is due and no living worker is at it. The first time that anybody asks, it falls due
    ``every`` micros later."""
    now = tx.clock.micros()
    tx.execute(_q["note_chore"], {"name": name, "due_at": now + every})
    return bool(tx.execute(_q["claim_chore"], {"name": name, "epoch": epoch, "now": now, "next_at": now + every}))


def check_held(tx: Transaction, name: str, epoch: int) -> None:
    """Raises:
    LeaseLost: the worker died by all accounts, or another one took the chore over.
    """
    if tx.fetch_one(_q["holds_chore"], {"name": name, "epoch": epoch}) is None:
        raise LeaseLost(epoch)


def finish(tx: Transaction, name: str, epoch: int, outcome: Mapping[str, Any]) -> None:
    """Note how it went, unless somebody else took the chore over."""
    told = codec.encode(outcome, what="The chore's outcome")
    tx.execute(_q["finish_chore"], {"name": name, "epoch": epoch, "now": tx.clock.micros(), "outcome": told})


def chores(tx: Transaction) -> list[Chore]:
    """All chores, by name."""
    return [
        Chore(
            name,
            to_datetime(due_at),
            epoch,
            None if ran_at is None else to_datetime(ran_at),
            codec.decode(outcome) if outcome else None,
        )
        for name, due_at, epoch, ran_at, outcome in tx.fetch(_q["chores"])
    ]


def daily(store: Store, epoch: int, retention: float | None) -> None:
    """Prune and collect, if nobody did today. Blocks until it is done, or the worker's epoch is over; raises nothing
    that the worker could help.

    Args:
        store: open.
        epoch: the worker's.
        retention: seconds for which ended flows are kept where their workflow does not say; ``None``: for good.
    """
    if not store.run(lambda tx: claim(tx, DAILY, epoch, EVERY)):
        return

    def held(tx: Transaction) -> None:
        check_held(tx, DAILY, epoch)

    began = store.clock.monotonic()
    try:
        outcome: dict[str, Any] = _clean(store, retention, held)
    except (LeaseLost, StoreClosed):
        log.info("the daily chore is left to the next worker")
        return
    except Exception as error:
        log.warning("the daily chore failed: %s", error, exc_info=error)
        outcome = {"error": describe(error)}
    outcome["seconds"] = round(store.clock.monotonic() - began, 3)
    store.run(lambda tx: finish(tx, DAILY, epoch, outcome), idempotent=True)


def _clean(store: Store, retention: float | None, held: Callable[[Transaction], None]) -> dict[str, Any]:
    pruned = prune(store, retention, check=held)
    return {"flows": pruned.flows, "superseded_steps": pruned.steps, "messages": _collect(store, held)}


def _collect(store: Store, held: Callable[[Transaction], None]) -> int:
    def work(tx: Transaction) -> int:
        held(tx)
        return collect(tx, COLLECT_SLICE)

    total = 0
    while collected := store.run(work, idempotent=True):
        total += collected
    return total
