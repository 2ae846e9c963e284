"""Archives of a small shop, and what is asked about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from holdfast.audit import AuditRow, SqlAuditLog
from holdfast.flows import Flow, FlowStatus, SqlFlowStore
from holdfast.ids import new_id
from holdfast.packages import SqlPackageStore, deploy_archive
from holdfast.packages.archive import Archive, Signature, open_archive
from holdfast.store import Store
from tests.archive_kit import FILES, WORKFLOW
from tests.archive_kit import archive as packed

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def body(text: str = "one", *types: str, **changed: Any) -> bytes:
    """An archive that differs from others by ``text``, with workflows of these types."""
    workflows = [WORKFLOW | {"name": name} for name in types or ("fulfil",)]
    files = {**FILES, "source/shop/text.txt": text.encode()}
    return packed(files, workflows=workflows, **changed)


def archive(text: str = "one", *types: str, **changed: Any) -> Archive:
    """:func:`body`, opened."""
    return open_archive(body(text, *types, **changed))


def deployed(
    store: Store,
    *archives: Archive,
    percent: float | None = None,
    signatures: Sequence[Signature] = (),
) -> list[AuditRow]:
    """Deploy each, a minute apart; the rows of the last."""
    rows: list[AuditRow] = []
    for each in archives:
        number = store.read(lambda tx: SqlAuditLog(tx).head().seq)
        at = NOW + timedelta(minutes=number)
        rows = store.run(
            lambda tx, each=each, at=at: deploy_archive(tx, each, signatures=signatures, percent=percent, at=at)
        )
    return rows


def routes(store: Store) -> dict[str, str]:
    found = store.read(lambda tx: SqlPackageStore(tx).list_package_routes()).items
    return {route.workflow_type: route.content_hash for route in found}


def split_of(store: Store, workflow_type: str = "fulfil") -> tuple[str, int] | None:
    found = store.read(lambda tx: SqlPackageStore(tx).get_package_split(workflow_type))
    return (found.content_hash, found.share) if found else None


def pin(store: Store, pinned: Archive, status: FlowStatus = FlowStatus.RUNNING, workflow_type: str = "fulfil") -> UUID:
    """A flow on a version."""
    flow = Flow(
        id=new_id(),
        workflow_type=workflow_type,
        package_hash=pinned.content_hash,
        status=status,
        created_at=NOW,
        updated_at=NOW,
        finished_at=NOW if status.terminal else None,
    )
    store.run(lambda tx: SqlFlowStore(tx).insert(flow))
    return flow.id


def counts(store: Store) -> dict[str, int]:
    """How many rows each of the tables of packages has."""
    tables = ("packages", "package_archives", "package_signatures", "package_claims", "package_troubles", "blobs")
    return {name: store.read(lambda tx, name=name: tx.fetch(f"SELECT count(*) FROM {name}"))[0][0] for name in tables}


def written(folder: Path, text: str = "one", *types: str, **changed: Any) -> Path:
    """The file of an archive."""
    path = folder / f"{text}.hfpkg"
    path.write_bytes(body(text, *types, **changed))
    return path
