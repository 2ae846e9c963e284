"""Killed anywhere in what people do with packages, the next start sees all of it or nothing (PK-1, PK-10)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from holdfast.audit import SqlAuditLog
from holdfast.packages import (
    PackageRecord,
    SqlPackageStore,
    deploy,
    deploy_archive,
    require_signatures,
    retire,
    rollback,
    route,
    split,
    trust_key,
    unload,
)
from holdfast.packages.archive import Signature
from holdfast.packages.collecting import release_types
from holdfast.packages.errors import NothingToRollBack, PackageRouteNotFound
from holdfast.store import Transaction
from holdfast.testing.crash import Operation, explore_operation
from tests.durable import KILLED_ON
from tests.package_kit import archive

NOW = datetime(2030, 1, 1, tzinfo=UTC)
OLD, NEW, NEXT = (PackageRecord.of("fulfil", name, NOW) for name in (b"old", b"new", b"next"))

BOTH = ("fulfil", "refund")
SHOP, SECOND = archive("one", *BOTH), archive("two", *BOTH)
SIGNATURE = Signature("0" * 16, "0" * 128)
KEY = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
TABLES = (
    "package_splits",
    "package_archives",
    "package_claims",
    "package_signatures",
    "package_trust",
    "package_policy",
)


def prepare(tx: Transaction) -> None:
    deploy(tx, OLD)
    deploy(tx, NEW)


def observe(tx: Transaction) -> Any:
    packages = SqlPackageStore(tx)
    return (
        packages.list_packages().items,
        packages.list_package_routes().items,
        [(row.act, row.subject, row.detail.get("from"), row.detail.get("to")) for row in SqlAuditLog(tx).list().items],
        [tx.fetch(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES],
        tx.fetch(
            "SELECT b.digest, h.holder FROM blobs b LEFT JOIN blob_holders h ON h.digest = b.digest ORDER BY 1, 2"
        ),
    )


def prepare_archives(tx: Transaction) -> None:
    deploy_archive(tx, SHOP, signatures=[SIGNATURE], at=NOW)
    deploy_archive(tx, SECOND, at=NOW)


def prepare_idle(tx: Transaction) -> None:
    deploy_archive(tx, SHOP, at=NOW)
    for name in BOTH:
        retire(tx, name)
        unload(tx, name, SHOP.content_hash)


def unload_both(tx: Transaction) -> None:
    for name in BOTH:
        unload(tx, name, SHOP.content_hash)


def routed(tx: Transaction) -> object:
    return SqlPackageStore(tx).get_package_route("refund")


def once(act: str, verb: Callable[[Transaction], object]) -> Callable[[Transaction], object]:
    """Whoever asks again looks at the ledger first: done twice, this act would be on record twice."""
    return lambda tx: verb(tx) if SqlAuditLog(tx).list(limit=1).items[0].act != act else None


UNLOAD = Operation(prepare, lambda tx: unload(tx, "fulfil", OLD.content_hash), observe)
OPERATIONS = {
    "deploy": Operation(
        prepare,
        lambda tx: deploy(tx, NEXT) if not SqlPackageStore(tx).has_package("fulfil", NEXT.content_hash) else None,
        observe,
    ),
    "route": Operation(prepare, once("package.routed", lambda tx: route(tx, "fulfil", OLD.content_hash)), observe),
    "rollback": Operation(prepare, lambda tx: rollback(tx, "fulfil"), observe, (NothingToRollBack,)),
    "retire": Operation(prepare, lambda tx: retire(tx, "fulfil"), observe, (PackageRouteNotFound,)),
    "unload": UNLOAD,
}
MORE = {
    "deploy_archive": Operation(
        prepare,
        lambda tx: deploy_archive(tx, SHOP, signatures=[SIGNATURE], percent=5, at=NOW) if routed(tx) is None else None,
        observe,
    ),
    "unload_archive": Operation(prepare_archives, unload_both, observe),
    "split": Operation(prepare, once("package.split", lambda tx: split(tx, "fulfil", OLD.content_hash, 12.5)), observe),
    "rollback_split": Operation(
        lambda tx: (prepare(tx), split(tx, "fulfil", OLD.content_hash, 12.5)),
        once("package.rolled_back", lambda tx: rollback(tx, "fulfil")),
        observe,
    ),
    "release_types": Operation(prepare_idle, release_types, observe),
    "trust": Operation(prepare, lambda tx: (trust_key(tx, KEY), require_signatures(tx, True)), observe),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_killed_anywhere(name: str, database: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    new_url = request.getfixturevalue("new_postgres_url") if database == "postgres" else files(tmp_path)
    visits = list(explore_operation(OPERATIONS[name], new_url))
    assert len(visits) > 5
    assert not [visit for visit in visits if visit.faults]


@pytest.mark.parametrize("name", MORE)
@pytest.mark.parametrize("new_store_url", KILLED_ON, indirect=True)
def test_killed_anywhere_with_archives(name: str, new_store_url: Callable[[], str]) -> None:
    visits = list(explore_operation(MORE[name], new_store_url))
    assert len(visits) > 4
    assert not [visit for visit in visits if visit.faults]


@pytest.mark.prove
def test_killed_for_real(tmp_path: Path) -> None:
    visits = list(explore_operation(UNLOAD, files(tmp_path), reference=f"{__name__}:UNLOAD"))
    assert len(visits) > 5
    assert not [visit for visit in visits if visit.faults]


def files(folder: Path) -> Callable[[], str]:
    numbers = count()
    return lambda: f"sqlite:///{folder}/{next(numbers)}.db"
