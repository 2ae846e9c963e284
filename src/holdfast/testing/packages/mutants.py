"""Package stores and audit logs with one fault each. The conformance suite must notice every one of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

from holdfast.audit import AuditRow, SqlAuditLog
from holdfast.clock import to_micros
from holdfast.packages import PackagePorts, PackageRecord, PackageRouteRecord, SqlPackageStore
from holdfast.packages.catalog import ROLLED_BACK
from holdfast.packages.errors import ContentHashMismatch, PackageNotFound
from holdfast.packages.model import check_version
from holdfast.pages import Page, page_of, parse_cursor, rows_wanted
from holdfast.store import Transaction


class Mutant(SqlPackageStore, PackagePorts):
    """A backend with a fault: a package store that is also the ports which it and an audit log make.

    Attributes:
        breaks: the clause that it violates.
        log: its audit log.
    """

    breaks: ClassVar[str]
    log: ClassVar[type[SqlAuditLog]] = SqlAuditLog

    def __init__(self, tx: Transaction) -> None:
        SqlPackageStore.__init__(self, tx)
        PackagePorts.__init__(self, self, self.log(tx))
        self.tx = tx

    def _in_order(
        self, key: Callable[[PackageRecord], Any], limit: int | None, after: str | None
    ) -> Page[PackageRecord]:
        """The list in another order, alike in all else."""
        super().list_packages(limit=0, after=after)
        ordered = sorted(super().list_packages().items, key=key)
        start = next((n for n, record in enumerate(ordered, 1) if _cursor(record) == after), 0)
        return page_of(ordered[start : start + rows_wanted(limit)], limit, lambda record: record, _cursor)


class LeavesTheRoute(Mutant):
    """Stores a package of a new type and leaves its route to whoever comes by."""

    breaks = "PK-1"

    def put_package(self, record: PackageRecord) -> None:
        before = self.get_package_route(record.workflow_type) if _is_text(record.workflow_type) else None
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


class RoutesNewVersionsOnly(Mutant):
    """Takes a version that is there for one that is routed."""

    breaks = "PK-2"

    def put_package(self, record: PackageRecord) -> None:
        before = self._route_if_there(record)
        super().put_package(record)
        if before:
            self.put_package_route(before.workflow_type, before.content_hash)

    def _route_if_there(self, record: PackageRecord) -> PackageRouteRecord | None:
        if not _is_text(record.workflow_type) or not _is_text(record.content_hash):
            return None
        there = self.has_package(record.workflow_type, record.content_hash)
        return self.get_package_route(record.workflow_type) if there else None


class KeepsTheFirstRow(Mutant):
    """Leaves a version that is there as it was."""

    breaks = "PK-2"

    def put_package(self, record: PackageRecord) -> None:
        texts = _is_text(record.workflow_type) and _is_text(record.content_hash)
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


class FoldsCase(Mutant):
    """Lists packages of one moment as a dictionary would."""

    breaks = "PK-3"

    def list_packages(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRecord]:
        def key(record: PackageRecord) -> Any:
            return record.deployed_at, record.workflow_type.casefold(), record.content_hash

        return self._in_order(key, limit, after)


class OrderOfStoring(Mutant):
    """Lists packages in the order in which their archives came."""

    breaks = "PK-3"

    def list_packages(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRecord]:
        moments: dict[Any, Any] = dict(self.tx.fetch("SELECT digest, created_at FROM blobs"))
        return self._in_order(lambda record: moments[record.content_hash], limit, after)


class TiesByHash(Mutant):
    """Lists packages of one moment by hash, whatever their types."""

    breaks = "PK-3"

    def list_packages(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRecord]:
        return self._in_order(lambda record: (record.deployed_at, record.content_hash), limit, after)


class PagesByCount(Mutant):
    """Its cursor is a number of packages to skip, so that newcomers shift it."""

    breaks = "PK-3"

    def list_packages(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRecord]:
        (start,) = parse_cursor(after, 1, 0)
        rows = [*enumerate(super().list_packages().items, 1)][start : start + rows_wanted(limit)]
        return page_of(rows, limit, lambda row: row[1], lambda row: row[0])


class TakesAnyCursor(Mutant):
    """Begins anew where a cursor makes no sense."""

    breaks = "PK-6"

    def list_package_routes(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRouteRecord]:
        try:
            return super().list_package_routes(limit=limit, after=after)
        except ValueError:
            return super().list_package_routes()


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


class DemandsTheVersion(Mutant):
    """Refuses a route to what it does not have."""

    breaks = "PK-5"

    def put_package_route(self, workflow_type: str, content_hash: str) -> None:
        check_version(workflow_type, content_hash)
        if not self.has_package(workflow_type, content_hash):
            raise PackageNotFound(workflow_type, content_hash)
        super().put_package_route(workflow_type, content_hash)


class TakesTheRouteAlong(Mutant):
    """Deletes the route that pointed at a deleted package."""

    breaks = "PK-5"

    def delete_package(self, workflow_type: str, content_hash: str) -> None:
        super().delete_package(workflow_type, content_hash)
        route = self.get_package_route(workflow_type)
        if route and route.content_hash == content_hash:
            self.delete_package_route(workflow_type)


class FallsBack(Mutant):
    """Silently serves the newest other version once the routed one is deleted."""

    breaks = "PK-5"

    def delete_package(self, workflow_type: str, content_hash: str) -> None:
        super().delete_package(workflow_type, content_hash)
        route = self.get_package_route(workflow_type)
        others = [record for record in self.list_packages().items if record.workflow_type == workflow_type]
        if others and route and route.content_hash == content_hash:
            self.put_package_route(workflow_type, others[-1].content_hash)


class RoutesByCase(Mutant):
    """Lists routes as a dictionary would."""

    breaks = "PK-6"

    def list_package_routes(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRouteRecord]:
        page = super().list_package_routes(limit=limit, after=after)
        return Page(sorted(page.items, key=lambda route: route.workflow_type.casefold()), page.next)


class RoutesByHash(Mutant):
    """Lists routes by where they point."""

    breaks = "PK-6"

    def list_package_routes(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRouteRecord]:
        page = super().list_package_routes(limit=limit, after=after)
        return Page(sorted(page.items, key=lambda route: route.content_hash), page.next)


class LosesRows(Mutant):
    """Has an audit log that keeps the first row of a subject and drops the others."""

    breaks = "PK-10"

    class log(SqlAuditLog):  # noqa: N801 (it is the mutant's attribute)
        def append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
            present = self.list(subject=subject, limit=1).items
            return present[0] if present else super().append(act, subject, detail)


class LogsChangesOnly(Mutant):
    """Has an audit log that finds an act which left the route where it was not worth a row."""

    breaks = "PK-10"

    class log(SqlAuditLog):  # noqa: N801
        def append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
            present = self.list(subject=subject, limit=1).items
            return (
                present[0] if present and detail.get("from") == detail["to"] else super().append(act, subject, detail)
            )


class FoldsSubjects(Mutant):
    """Has an audit log that files ``Sample`` under ``sample``."""

    breaks = "PK-10"

    class log(SqlAuditLog):  # noqa: N801
        def append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
            return super().append(act, subject.casefold(), detail)


class ComesFromNowhere(Mutant):
    """Does not say where the route points while it locks it."""

    breaks = "PK-10"

    def lock_package_route(self, workflow_type: str) -> PackageRouteRecord | None:
        super().lock_package_route(workflow_type)
        return None


class RollsToAndFro(Mutant):
    """Goes back to where the last act came from, so that a second roll-back undoes the first."""

    breaks = "PK-10"

    def rollback(self, workflow_type: str) -> AuditRow:
        newest = self.audit.list(subject=workflow_type, limit=1).items
        undone = newest[0].detail if newest and newest[0].act == ROLLED_BACK else None
        if undone is None or undone["from"] is None:
            return super().rollback(workflow_type)
        return self.route(workflow_type, undone["from"])


class RollsBackToWhatIsThere(Mutant):
    """Takes the next best version where the one to go back to was unloaded."""

    breaks = "PK-10"

    def rollback(self, workflow_type: str) -> AuditRow:
        try:
            return super().rollback(workflow_type)
        except PackageNotFound:
            there = [record for record in self.list_packages().items if record.workflow_type == workflow_type]
            return self.route(workflow_type, there[0].content_hash)


class LocksAnOldView(Mutant):
    """Says where the route pointed at first."""

    breaks = "PK-10"

    def lock_package_route(self, workflow_type: str) -> PackageRouteRecord | None:
        route = super().lock_package_route(workflow_type)
        first = self.audit.list(subject=workflow_type).items[-1:]
        target = first[0].detail.get("to") if first else None
        return replace(route, content_hash=target) if route and target else route


def _cursor(record: PackageRecord) -> str:
    return f"{to_micros(record.deployed_at)}.{record.content_hash}.{record.workflow_type}"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


MUTANTS = Mutant.__subclasses__()
