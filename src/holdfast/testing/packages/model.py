"""The package store and its audit log as a plain model: dictionaries and obvious code, to compare a real store with.

It is no backend: it keeps nothing, and every list costs a sort of everything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from holdfast.audit import AuditRow
from holdfast.packages import Holder, PackagePorts, PackageRecord, PackageRouteRecord, PackageSplitRecord
from holdfast.packages.model import check_package, check_share, check_type, check_version
from holdfast.pages import InvalidCursor, Page, check_limit
from holdfast.text import is_storable

R = TypeVar("R")
T = TypeVar("T")
_GENESIS = "0" * 64


@dataclass
class Tables:
    """All that the model keeps."""

    packages: dict[tuple[str, str], PackageRecord] = field(default_factory=dict)
    routes: dict[str, str] = field(default_factory=dict)
    splits: dict[str, PackageSplitRecord] = field(default_factory=dict)
    rows: list[AuditRow] = field(default_factory=list)


class PackageModel:
    """:class:`~holdfast.packages.PackageStore` over dictionaries in memory."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def put_package(self, record: PackageRecord) -> None:
        check_package(record)
        stored = replace(record, deployed_at=record.deployed_at.astimezone(UTC))
        self._tables.packages[record.workflow_type, record.content_hash] = stored
        self.put_package_route(record.workflow_type, record.content_hash)

    def get_package(self, workflow_type: str, content_hash: str) -> PackageRecord | None:
        return self._tables.packages.get((workflow_type, content_hash))

    def has_package(self, workflow_type: str, content_hash: str) -> bool:
        return (workflow_type, content_hash) in self._tables.packages

    def list_packages(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRecord]:
        return _page(list(self._tables.packages.values()), _package_place, limit, after)

    def delete_package(self, workflow_type: str, content_hash: str) -> None:
        self._tables.packages.pop((workflow_type, content_hash), None)

    def put_package_route(self, workflow_type: str, content_hash: str) -> None:
        check_version(workflow_type, content_hash)
        self._tables.routes[workflow_type] = content_hash
        self.delete_package_split(workflow_type)

    def get_package_route(self, workflow_type: str) -> PackageRouteRecord | None:
        return next((route for route in self._routes() if route.workflow_type == workflow_type), None)

    def lock_package_route(self, workflow_type: str) -> PackageRouteRecord | None:
        check_type(workflow_type)
        return self.get_package_route(workflow_type)

    def delete_package_route(self, workflow_type: str) -> None:
        self._tables.routes.pop(workflow_type, None)
        self.delete_package_split(workflow_type)

    def list_package_routes(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRouteRecord]:
        return _page(self._routes(), lambda route: [route.workflow_type], limit, after)

    def put_package_split(self, workflow_type: str, content_hash: str, share: int) -> None:
        check_version(workflow_type, content_hash)
        check_share(share)
        self._tables.splits[workflow_type] = PackageSplitRecord(
            workflow_type=workflow_type, content_hash=content_hash, share=share
        )

    def get_package_split(self, workflow_type: str) -> PackageSplitRecord | None:
        return self._tables.splits.get(workflow_type)

    def delete_package_split(self, workflow_type: str) -> None:
        self._tables.splits.pop(workflow_type, None)

    def pinned_flows(self, workflow_type: str, content_hash: str, *, limit: int, ended: bool = True) -> list[Holder]:
        return []

    def _routes(self) -> list[PackageRouteRecord]:
        return [
            PackageRouteRecord(workflow_type=name, content_hash=content_hash)
            for name, content_hash in self._tables.routes.items()
        ]


class AuditModel:
    """:class:`~holdfast.packages.ports.Ledger` over a list in memory, without hashes."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
        row = AuditRow(
            seq=len(self._tables.rows) + 1,
            at=datetime.now(UTC),
            actor="model",
            act=act,
            subject=subject,
            detail=dict(detail),
            prev_hash=_GENESIS,
            hash=_GENESIS,
        )
        self._tables.rows.append(row)
        return row

    def list(self, *, subject: str | None = None, limit: int | None = None, after: str | None = None) -> Page[AuditRow]:
        rows = [row for row in self._tables.rows if subject in (None, row.subject)]
        return _page(rows, lambda row: [f"{10**9 - row.seq}"], limit, after)


class ModelUnits:
    """A :class:`~holdfast.testing.units.UnitRunner` over the model: one unit at a time, undone when it fails."""

    def __init__(self) -> None:
        self.tables = Tables()
        self._lock = threading.Lock()

    def run(self, work: Callable[[PackagePorts], R]) -> R:
        with self._lock:
            attempt = deepcopy(self.tables)
            result = work(PackagePorts(PackageModel(attempt), AuditModel(attempt)))
            self.tables = attempt
            return result


def _package_place(record: PackageRecord) -> list[str]:
    return [record.deployed_at.isoformat(timespec="microseconds"), record.workflow_type, record.content_hash]


def _page(items: Sequence[T], place: Callable[[T], list[str]], limit: int | None, after: Any) -> Page[T]:
    """Its cursor is a place in the order, its texts one below the other."""
    check_limit(limit)
    ordered = sorted(items, key=place)
    if after is not None:
        start = after.split("\n") if isinstance(after, str) and is_storable(after) else [""]
        if not all(start) or (items and len(start) != len(place(items[0]))):
            raise InvalidCursor(after)
        ordered = [item for item in ordered if place(item) > start]
    shown = ordered if limit is None else ordered[:limit]
    return Page(shown, "\n".join(place(shown[-1])) if shown and len(shown) < len(ordered) else None)
