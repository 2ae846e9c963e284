"""Keys of units of work: how a commit whose answer was lost is resolved by reading back, never guessed."""

from __future__ import annotations

from holdfast.clock import MICROS_PER_SECOND
from holdfast.store.queries import load_queries
from holdfast.store.transaction import Transaction

_queries = load_queries("holdfast.store")
KEPT_SECONDS = 86_400


def claim_key(tx: Transaction, key: str) -> bool:
    """Write ``key``; false when an earlier attempt of the same unit was committed. Waits for one in flight."""
    return tx.execute(_queries["claim_key"], {"key": key, "at": tx.clock.micros()}) == 1


def prune_keys(tx: Transaction) -> int:
    """Delete keys that no attempt can still be asking for; returns how many."""
    return tx.execute(_queries["prune_keys"], {"before": tx.clock.micros() - KEPT_SECONDS * MICROS_PER_SECOND})
