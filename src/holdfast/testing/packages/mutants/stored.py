"""Stores that keep or delete packages wrongly: PK-1, PK-2, PK-4."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import ClassVar
from unicodedata import normalize

from holdfast.audit import AuditRow
from holdfast.packages import PackageRecord, PackageRouteRecord
from holdfast.packages.errors import ContentHashMismatch, PackageNotFound
from holdfast.packages.model import check_package, check_version
from holdfast.packages.ports import DEPLOYED
from holdfast.testing.packages.mutants.base import Mutant, is_text


class LeavesTheRoute(Mutant):
    """Stores a package of a new type and leaves its route to whoever comes by."""

    breaks = "PK-1"

    def put_package(self, record: PackageRecord) -> None:
        before = self.get_package_route(record.workflow_type) if is_text(record.workflow_type) else None
        super().put_package(record)
        if before is None:
            self.delete_package_route(record.workflow_type)


class WritesBeforeItRefuses(Mutant):
    """Moves the route, then finds out that the archive is another one."""

    breaks = "PK-1"

    def put_package(self, record: PackageRecord) -> None:
        check_version(record.workflow_type, record.content_hash)
        self.put_package_route(record.workflow_type, record.content_hash)
        super().put_package(record)


class CorrectsTheHash(Mutant):
    """Stores an archive under its true hash, whatever hash was asked for."""

    breaks = "PK-1"

    def put_package(self, record: PackageRecord) -> None:
        try:
            super().put_package(record)
        except ContentHashMismatch as error:
            super().put_package(replace(record, content_hash=error.actual))


class CutsArchives(Mutant):
    """Keeps the first million bytes of an archive."""

    breaks = "PK-1"

    def put_package(self, record: PackageRecord) -> None:
        super().put_package(record)
        named = {"cut": record.archive[:1_000_000], "digest": record.content_hash}
        self.tx.execute("UPDATE blobs SET body = :cut WHERE digest = :digest", named)


class DropsMicroseconds(Mutant):
    """Keeps the moment to the second."""

    breaks = "PK-1"

    def put_package(self, record: PackageRecord) -> None:
        with suppress(AttributeError, TypeError):  # what is no moment is refused below
            record = replace(record, deployed_at=record.deployed_at.replace(microsecond=0))
        super().put_package(record)


class ServesFromMemory(Mutant):
    """Remembers what was put, also when the unit that put it failed."""

    breaks = "PK-1"
    _put: ClassVar[dict[tuple[str, str], PackageRecord]] = {}

    def put_package(self, record: PackageRecord) -> None:
        super().put_package(record)
        self._put[record.workflow_type, record.content_hash] = record

    def get_package(self, workflow_type: str, content_hash: str) -> PackageRecord | None:
        return super().get_package(workflow_type, content_hash) or self._put.get((workflow_type, content_hash))

    def delete_package(self, workflow_type: str, content_hash: str) -> None:
        super().delete_package(workflow_type, content_hash)
        self._put.pop((workflow_type, content_hash), None)


class ComposesTypes(Mutant):
    """Takes types that are spelt with other code points, but look the same, for one."""

    breaks = "PK-1"

    def put_package(self, record: PackageRecord) -> None:
        if is_text(record.workflow_type):
            record = replace(record, workflow_type=normalize("NFC", record.workflow_type))
        super().put_package(record)

    def get_package(self, workflow_type: str, content_hash: str) -> PackageRecord | None:
        named = normalize("NFC", workflow_type) if is_text(workflow_type) else workflow_type
        found = super().get_package(named, content_hash)
        return replace(found, workflow_type=workflow_type) if found else None


class CutsTypes(Mutant):
    """Keeps the first 128 characters of a type."""

    breaks = "PK-1"

    def put_package(self, record: PackageRecord) -> None:
        check_package(record)
        super().put_package(replace(record, workflow_type=record.workflow_type[:128]))


class RoutesNewVersionsOnly(Mutant):
    """Takes a version that is there for one that is routed."""

    breaks = "PK-2"

    def put_package(self, record: PackageRecord) -> None:
        before = self._route_if_there(record)
        super().put_package(record)
        if before:
            self.put_package_route(before.workflow_type, before.content_hash)

    def _route_if_there(self, record: PackageRecord) -> PackageRouteRecord | None:
        if not is_text(record.workflow_type) or not is_text(record.content_hash):
            return None
        there = self.has_package(record.workflow_type, record.content_hash)
        return self.get_package_route(record.workflow_type) if there else None


class KeepsTheFirstRow(Mutant):
    """Leaves a version that is there as it was."""

    breaks = "PK-2"

    def put_package(self, record: PackageRecord) -> None:
        texts = is_text(record.workflow_type) and is_text(record.content_hash)
        before = self.get_package(record.workflow_type, record.content_hash) if texts else None
        super().put_package(record)
        if before:
            super().put_package(before)


class OneTypeAnArchive(Mutant):
    """Takes an archive from the type that had it."""

    breaks = "PK-2"

    def put_package(self, record: PackageRecord) -> None:
        super().put_package(record)
        named = {"type": record.workflow_type, "hash": record.content_hash}
        self.tx.execute("DELETE FROM packages WHERE content_hash = :hash AND workflow_type <> :type", named)


class DeploysOnce(Mutant):
    """Records the deploy of a version that is routed already, and leaves it as it was."""

    breaks = "PK-2"

    def deploy(self, record: PackageRecord) -> AuditRow:
        workflow_type, content_hash = record.workflow_type, record.content_hash
        check_package(record)
        route = self.lock_package_route(workflow_type)
        if route is None or route.content_hash != content_hash or not self.has_package(workflow_type, content_hash):
            return super().deploy(record)
        detail = {"from": content_hash, "to": content_hash, "replaced": True}
        return self.audit.append(DEPLOYED, workflow_type, detail)


class RaisesForAbsence(Mutant):
    """Raises where there is nothing to delete."""

    breaks = "PK-4"

    def delete_package(self, workflow_type: str, content_hash: str) -> None:
        if not self.has_package(workflow_type, content_hash):
            raise PackageNotFound(workflow_type, content_hash)
        super().delete_package(workflow_type, content_hash)


class DeletesByHash(Mutant):
    """Deletes the version of every type that has the archive."""

    breaks = "PK-4"

    def delete_package(self, workflow_type: str, content_hash: str) -> None:
        if self.has_package(workflow_type, content_hash):
            self.tx.execute("DELETE FROM packages WHERE content_hash = :hash", {"hash": content_hash})


class DropsSharedArchives(Mutant):
    """Deletes the archive with the first of the types that have it."""

    breaks = "PK-4"

    def delete_package(self, workflow_type: str, content_hash: str) -> None:
        if self.has_package(workflow_type, content_hash):
            super().delete_package(workflow_type, content_hash)
            self.tx.execute("DELETE FROM blobs WHERE digest = :hash", {"hash": content_hash})
