"""Collecting versions that nothing needs any more (PK-11)."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from holdfast.audit import AuditRow, SqlAuditLog
from holdfast.packages.catalog import unload
from holdfast.packages.deployed import package_of
from holdfast.packages.errors import RouteActive, VersionPinned
from holdfast.packages.sql import SqlPackageStore
from holdfast.pages import check_limit
from holdfast.store import Store, Transaction, as_store, load_queries

RELEASED = "package.type_released"
KEEP = 3
_q = load_queries("holdfast.packages")


class Collected(NamedTuple):
    """A version that went, or would."""

    workflow_type: str
    content_hash: str


def collectable(tx: Transaction, keep: int = KEEP) -> list[Collected]:
    """The versions that are neither routed nor split to, to which no flow is pinned, ended ones included, and that are
    not among the newest ``keep`` of their type.

    Raises:
        ValueError: ``keep`` is negative.
    """
    check_limit(keep)
    return [Collected(*row) for row in tx.fetch(_q["collectable"], {"keep": keep})]


def gc(store: Store, keep: int = KEEP, *, actor: str = "system") -> list[Collected]:
    """Unload what is :func:`collectable`, each version in a transaction of its own; then types that have neither a
    route nor a version belong to no package any more. What comes to be needed meanwhile stays.

    Returns:
        what went.

    Raises:
        ValueError: ``keep`` is negative.
    """
    found = as_store(store).read(lambda tx: collectable(tx, keep))
    gone = [version for version in found if _unloaded(store, version, actor)]
    store.run(release_types, actor=actor)
    return gone


def release_types(tx: Transaction) -> list[AuditRow]:
    """Let the workflow types that have neither a route nor a version belong to no package any more; a row for each."""
    packages, audit = SqlPackageStore(tx), SqlAuditLog(tx)
    packages.lock_package_routes(_idle(tx))
    rows = []
    for name in _idle(tx):  # one that was deployed meanwhile is not among them now
        detail = {"from": None, "to": None, "package": package_of(tx, name)}
        tx.execute(_q["delete_claim"], {"workflow_type": name})
        rows.append(audit.append(RELEASED, name, detail))
    return rows


def _unloaded(store: Store, version: Collected, actor: str) -> bool:
    with suppress(RouteActive, VersionPinned):
        return store.run(lambda tx: unload(tx, *version), actor=actor) is not None
    return False


def _idle(tx: Transaction) -> list[str]:
    return [row[0] for row in tx.fetch(_q["idle_claims"])]
