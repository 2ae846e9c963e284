"""The one adapter of :class:`~holdfast.packages.store.PackageStore`, for both dialects."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from holdfast.clock import to_datetime, to_micros
from holdfast.packages.deployed import drop_archive
from holdfast.packages.model import (
    Holder,
    PackageRecord,
    PackageRouteRecord,
    PackageSplitRecord,
    check_package,
    check_share,
    check_type,
    check_version,
)
from holdfast.pages import EVERYTHING, InvalidCursor, Page, check_limit, page_of, rows_wanted
from holdfast.store import Row, Transaction, as_transaction, load_queries
from holdfast.store.blobs import put_blob, release_blob
from holdfast.text import is_storable

_q = load_queries("holdfast.packages")
_PACKAGE_CURSOR = re.compile(r"(-?\d{1,18})\.([0-9a-f]{64})\.(.+)", re.ASCII | re.DOTALL)


class SqlPackageStore:
    """:class:`~holdfast.packages.store.PackageStore` over a transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = as_transaction(tx)

    def put_package(self, record: PackageRecord) -> None:
        check_package(record)
        self.put_version(record.workflow_type, record.content_hash, record.deployed_at)
        put_blob(self._tx, record.archive, holder=_holder(record.workflow_type), mend=True)

    def put_version(self, workflow_type: str, content_hash: str, deployed_at: datetime) -> None:
        """:meth:`put_package` of an archive that is stored for all of its types at once, see
        :func:`~holdfast.packages.deployed.put_archive`."""
        version = _version(workflow_type, content_hash)
        self._tx.execute(_q["put_package"], version | {"deployed_at": to_micros(deployed_at)})
        self.put_package_route(workflow_type, content_hash)

    def get_package(self, workflow_type: str, content_hash: str) -> PackageRecord | None:
        row = self._one("get_package", _version(workflow_type, content_hash))
        return _package(row) if row else None

    def has_package(self, workflow_type: str, content_hash: str) -> bool:
        return self._one("has_package", _version(workflow_type, content_hash)) is not None

    def list_packages(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRecord]:
        place = oldest_first(after) | {"limit": rows_wanted(limit)}
        return page_of(self._tx.fetch(_q["list_packages"], place), limit, _package, version_cursor)

    def delete_package(self, workflow_type: str, content_hash: str) -> None:
        version = _version(workflow_type, content_hash)
        if _askable(version) and self._tx.execute(_q["delete_package"], version):
            release_blob(self._tx, content_hash, _holder(workflow_type))
            drop_archive(self._tx, content_hash)

    def get_archive(self, content_hash: str) -> bytes | None:
        """The bytes that are stored for the versions of that hash, unchecked; ``None`` where there are none."""
        row = self._one("get_archive", {"content_hash": content_hash})
        return bytes(row[0]) if row else None

    def put_package_route(self, workflow_type: str, content_hash: str) -> None:
        check_version(workflow_type, content_hash)
        self._tx.execute(_q["put_route"], _version(workflow_type, content_hash))
        self.delete_package_split(workflow_type)  # after the route: starts lock the two in this order

    def get_package_route(self, workflow_type: str) -> PackageRouteRecord | None:
        row = self._one("get_route", {"workflow_type": workflow_type})
        return _route(row) if row else None

    def lock_package_route(self, workflow_type: str) -> PackageRouteRecord | None:
        check_type(workflow_type)
        self._tx.lock(_lock(workflow_type))  # a row lock would not hold off the first route
        return self.get_package_route(workflow_type)

    def lock_package_routes(self, workflow_types: Iterable[str]) -> None:
        """:meth:`lock_package_route` of several types, in an order that everybody keeps."""
        self._tx.lock(*(_lock(workflow_type) for workflow_type in workflow_types))

    def delete_package_route(self, workflow_type: str) -> None:
        named = {"workflow_type": workflow_type}
        if _askable(named):
            self._tx.execute(_q["delete_route"], named)
            self._tx.execute(_q["delete_split"], named)

    def list_package_routes(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRouteRecord]:
        place = {"workflow_type": _route_place(after), "limit": rows_wanted(limit)}
        return page_of(self._tx.fetch(_q["list_routes"], place), limit, _route, lambda row: row[0])

    def put_package_split(self, workflow_type: str, content_hash: str, share: int) -> None:
        check_version(workflow_type, content_hash)
        check_share(share)
        self._tx.execute(_q["put_split"], _version(workflow_type, content_hash) | {"share": share})

    def get_package_split(self, workflow_type: str) -> PackageSplitRecord | None:
        row = self._one("get_split", {"workflow_type": workflow_type})
        return PackageSplitRecord(workflow_type=row[0], content_hash=row[1], share=row[2]) if row else None

    def delete_package_split(self, workflow_type: str) -> None:
        named = {"workflow_type": workflow_type}
        if _askable(named):
            self._tx.execute(_q["delete_split"], named)

    def pinned_flows(self, workflow_type: str, content_hash: str, *, limit: int, ended: bool = True) -> list[Holder]:
        check_limit(limit)
        version = _version(workflow_type, content_hash)
        if not _askable(version):
            return []
        rows = self._tx.fetch(_q["holding"], version | {"limit": min(limit, EVERYTHING)})
        if ended and len(rows) < limit:
            left = min(limit, EVERYTHING) - len(rows)
            rows += self._tx.fetch(_q["unfinished"], version | {"limit": left})
            rows += self._tx.fetch(_q["ended"], version | {"limit": left})
        return [Holder(UUID(row[0]), bool(row[1])) for row in rows[:limit]]

    def _one(self, query: str, params: dict[str, Any]) -> Row | None:
        return self._tx.fetch_one(_q[query], params) if _askable(params) else None


def _version(workflow_type: str, content_hash: str) -> dict[str, str]:
    return {"workflow_type": workflow_type, "content_hash": content_hash}


def _askable(texts: dict[str, Any]) -> bool:
    """What the databases cannot hold is not there; asking PostgreSQL for it would end the transaction."""
    return all(isinstance(text, str) and is_storable(text) for text in texts.values())


def _lock(workflow_type: str) -> str:
    return "package route " + workflow_type


def _holder(workflow_type: str) -> str:
    """Under what name a type holds its archives: the same one may be deployed under several types. (An f-string would
    spell a member of ``class Type(str, Enum)`` by its name.)"""
    return "package " + workflow_type


def oldest_first(after: str | None) -> dict[str, Any]:
    """The place after a cursor in a list of versions (PK-3), for its query.

    Raises:
        InvalidCursor: it is none.
    """
    return _place(after, -EVERYTHING)


def newest_first(after: str | None) -> dict[str, Any]:
    """:func:`oldest_first` for a list the other way round."""
    return _place(after, EVERYTHING)


def _place(after: str | None, start: int) -> dict[str, Any]:
    if after is None:
        return {"deployed_at": start, "workflow_type": "", "content_hash": ""}
    found = _PACKAGE_CURSOR.fullmatch(after) if _askable({"after": after}) else None
    if found is None:
        raise InvalidCursor(after)
    return {"deployed_at": int(found[1]), "content_hash": found[2], "workflow_type": found[3]}


def version_cursor(row: Row) -> str:
    """The cursor of a version in a list of them; its columns begin with type, hash and time."""
    return f"{row[2]}.{row[1]}.{row[0]}"


def _route_place(after: str | None) -> str:
    if after is None:
        return ""
    if after == "" or not _askable({"after": after}):
        raise InvalidCursor(after)
    return after


def _package(row: Row) -> PackageRecord:
    return PackageRecord(
        workflow_type=row[0],
        content_hash=row[1],
        archive=bytes(row[3] or b""),  # a lost body reads as one that has not the hash
        deployed_at=to_datetime(row[2]),
    )


def _route(row: Row) -> PackageRouteRecord:
    return PackageRouteRecord(workflow_type=row[0], content_hash=row[1])
