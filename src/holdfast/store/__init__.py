"""The ground: one transactional database for everything."""

from __future__ import annotations

from pathlib import Path

from holdfast.clock import Clock
from holdfast.errors import StoreMissing, StoreUnreachable, StoreUrlInvalid
from holdfast.store.database import Backend, Probe, Store, Work
from holdfast.store.handles import WrongHandle, as_store, as_transaction
from holdfast.store.keys import prune_keys
from holdfast.store.migrate import check_version, found_version
from holdfast.store.queries import Query, load_queries
from holdfast.store.sqlite import SqliteBackend, sqlite_path
from holdfast.store.transaction import Row, Signer, Transaction
from holdfast.store.units import Unit

__all__ = [
    "Backend",
    "Query",
    "Row",
    "Signer",
    "Store",
    "Transaction",
    "Unit",
    "Work",
    "WrongHandle",
    "as_store",
    "as_transaction",
    "check_store",
    "load_queries",
    "open_store",
    "prune_keys",
]


def open_store(
    url: str,
    *,
    clock: Clock | None = None,
    signer: Signer | None = None,
    patience: float | None = None,
    migrate: bool = True,
    probe: Probe = lambda point: None,
) -> Store:
    """Open the store at ``url``, creating or migrating its schema.

    Args:
        url: ``sqlite:///path.db``, ``sqlite://`` (in memory) or ``postgresql://…?schema=name``.
        clock: where time is read; the machine's by default.
        signer: what signs audit rows and checkpoints; by default, nothing.
        patience: seconds to wait for an unreachable server (PostgreSQL; default 60).
        migrate: when false, nothing is created, migrated or otherwise written by opening, and no lock is waited for;
            :func:`check_store` then says whether the schema is this code's.
        probe: called at each write point ("before commit", "after commit"); the crash explorer kills there.

    Raises:
        StoreUrlInvalid: another form of URL, or none.
        StorePathUnusable, StoreDamaged, StoreUnreachable, StoreTooNew: it cannot be opened.
        StoreMissing: with ``migrate=False``, there is no such file.
    """
    return Store(_backend(url, patience, create=migrate), clock, signer=signer, migrate=migrate, probe=probe)


def check_store(store: Store) -> None:
    """See, by reading alone, that ``store`` has this code's schema.

    Raises:
        StoreMissing: there is none.
        StoreTooNew, StoreOutdated: it is another.
        StoreError: it cannot be read.
    """
    check_version(store.read(found_version))


def _backend(url: str, patience: float | None, *, create: bool) -> Backend:
    if not isinstance(url, str):
        raise _no_url(url)
    if url in ("sqlite://", "sqlite:///:memory:"):
        return SqliteBackend(None)
    if url.startswith("sqlite:///"):
        named, asked, _ = url.removeprefix("sqlite:///").partition("?")
        if asked:
            raise StoreUrlInvalid(f"{url!r} has options, and SQLite takes none.", remedy=f"Use sqlite:///{named}.")
        path = sqlite_path(named)
        if not create and not path.exists():
            raise StoreMissing(f"There is no file {path}.")
        return SqliteBackend(path, create=create)
    if url.startswith(("postgresql://", "postgres://")):
        try:
            from holdfast.store.postgres import PATIENCE_SECONDS, PostgresBackend
        except ModuleNotFoundError as error:
            raise StoreUnreachable(f"{error}.", remedy="pip install 'holdfast[postgres]'") from error

        return PostgresBackend(url, patience=PATIENCE_SECONDS if patience is None else patience, create=create)
    raise _no_url(url)


def _no_url(given: object) -> StoreUrlInvalid:
    """The error for what is no store URL; of a file's name it says what the URL would be."""
    told = f"{given!r} is not a store URL."
    named = str(given).removeprefix("sqlite:").removeprefix("//")
    is_file = isinstance(given, str) and named.endswith((".db", ".sqlite", ".sqlite3")) and ":" not in named
    if isinstance(given, Path) or is_file:
        return StoreUrlInvalid(told, remedy=f"Use sqlite:///{named}.")
    return StoreUrlInvalid(told)
