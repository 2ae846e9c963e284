"""Killed anywhere in what people do with packages, the next start sees all of it or nothing (PK-1, PK-10)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from holdfast.audit import SqlAuditLog
from holdfast.packages import PackageRecord, SqlPackageStore, deploy, retire, rollback, route, unload
from holdfast.packages.errors import NothingToRollBack, PackageRouteNotFound
from holdfast.store import Transaction
from holdfast.testing.crash import Operation, explore_operation

NOW = datetime(2030, 1, 1, tzinfo=UTC)
OLD, NEW, NEXT = (PackageRecord.of("fulfil", name, NOW) for name in (b"old", b"new", b"next"))


def prepare(tx: Transaction) -> None:
    deploy(tx, OLD)
    deploy(tx, NEW)


def observe(tx: Transaction) -> Any:
    packages = SqlPackageStore(tx)
    return (
        packages.list_packages().items,
        packages.list_package_routes().items,
        [(row.act, row.detail["from"], row.detail["to"]) for row in SqlAuditLog(tx).list().items],
        tx.fetch(
            "SELECT b.digest, h.holder FROM blobs b LEFT JOIN blob_holders h ON h.digest = b.digest ORDER BY 1, 2"
        ),
    )


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


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_killed_anywhere(name: str, database: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    new_url = request.getfixturevalue("new_postgres_url") if database == "postgres" else files(tmp_path)
    visits = list(explore_operation(OPERATIONS[name], new_url))
    assert len(visits) > 5
    assert not [visit for visit in visits if visit.faults]


def test_killed_for_real(tmp_path: Path) -> None:
    visits = list(explore_operation(UNLOAD, files(tmp_path), reference=f"{__name__}:UNLOAD"))
    assert len(visits) > 5
    assert not [visit for visit in visits if visit.faults]


def files(folder: Path) -> Callable[[], str]:
    numbers = count()
    return lambda: f"sqlite:///{folder}/{next(numbers)}.db"
