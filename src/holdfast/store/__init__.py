"""The ground: one transactional database for everything."""

from __future__ import annotations

from holdfast.clock import Clock
from holdfast.errors import StoreUrlInvalid
from holdfast.store.database import Backend, Probe, Store, Work
from holdfast.store.queries import Query, load_queries
from holdfast.store.sqlite import SqliteBackend, sqlite_path
from holdfast.store.transaction import Row, Transaction
from holdfast.store.units import Unit

__all__ = ["Backend", "Query", "Row", "Store", "Transaction", "Unit", "Work", "load_queries", "open_store"]


def open_store(
    url: str, *, clock: Clock | None = None, patience: float | None = None, probe: Probe = lambda point: None
) -> Store:
    """Open the store at ``url``, creating or migrating its schema.

    Args:
        url: ``sqlite:///path.db``, ``sqlite://`` (in memory) or ``postgresql://…?schema=name``.
        clock: where time is read; the machine's by default.
        patience: seconds to wait for an unreachable server (PostgreSQL; default 60).
        probe: called at each write point ("before commit", "after commit"); the crash explorer kills there.

    Raises:
        StoreUrlInvalid: another form of URL.
        StorePathUnusable, StoreUnreachable, StoreTooNew: it cannot be opened.
    """
    return Store(_backend(url, patience), clock, probe=probe)


def _backend(url: str, patience: float | None) -> Backend:
    if url in ("sqlite://", "sqlite:///:memory:"):
        return SqliteBackend(None)
    if url.startswith("sqlite:///"):
        return SqliteBackend(sqlite_path(url.removeprefix("sqlite:///")))
    if url.startswith(("postgresql://", "postgres://")):
        from holdfast.store.postgres import PATIENCE_SECONDS, PostgresBackend

        return PostgresBackend(url, patience=PATIENCE_SECONDS if patience is None else patience)
    raise StoreUrlInvalid(f"{url!r} is not a store URL.")
