"""Stores that list wrongly: PK-3, PK-6."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from holdfast.clock import to_micros
from holdfast.packages import PackageRecord, PackageRouteRecord, SqlPackageStore
from holdfast.pages import InvalidCursor, Page, page_of, parse_cursor, rows_wanted
from holdfast.testing.packages.mutants.base import Mutant


class FoldsCase(Mutant):
    """Lists packages of one moment as a dictionary would."""

    breaks = "PK-3"

    def list_packages(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRecord]:
        def key(record: PackageRecord) -> Any:
            return record.deployed_at, record.workflow_type.casefold(), record.content_hash

        return _in_order(self, key, limit, after)


class OrderOfStoring(Mutant):
    """Lists packages in the order in which their archives came."""

    breaks = "PK-3"

    def list_packages(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRecord]:
        moments: dict[Any, Any] = dict(self.tx.fetch("SELECT digest, created_at FROM blobs"))
        return _in_order(self, lambda record: moments[record.content_hash], limit, after)


class TiesByHash(Mutant):
    """Lists packages of one moment by hash, whatever their types."""

    breaks = "PK-3"

    def list_packages(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRecord]:
        return _in_order(self, lambda record: (record.deployed_at, record.content_hash), limit, after)


class PagesByCount(Mutant):
    """Its cursor is a number of packages to skip, so that newcomers shift it."""

    breaks = "PK-3"

    def list_packages(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRecord]:
        (start,) = parse_cursor(after, 1, 0)
        rows = [*enumerate(super().list_packages().items, 1)][start : start + rows_wanted(limit)]
        return page_of(rows, limit, lambda row: row[1], lambda row: row[0])


class BeginsWithTheEpoch(Mutant):
    """Knows no cursor of a time before 1970."""

    breaks = "PK-3"

    def list_packages(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRecord]:
        if isinstance(after, str) and after.startswith("-"):
            raise InvalidCursor(after)
        return super().list_packages(limit=limit, after=after)


class BeginsAnew(Mutant):
    """Takes no notice of the cursor where there is no limit."""

    breaks = "PK-3"

    def list_packages(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRecord]:
        return super().list_packages(limit=limit, after=None if limit is None else after)


class ListsAHundredPackages(Mutant):
    """Takes it that nobody has more than a hundred packages."""

    breaks = "PK-3"

    def list_packages(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRecord]:
        return super().list_packages(limit=100 if limit is None else limit, after=after)


class TakesAnyCursor(Mutant):
    """Begins anew where a cursor makes no sense."""

    breaks = "PK-6"

    def list_package_routes(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRouteRecord]:
        try:
            return super().list_package_routes(limit=limit, after=after)
        except ValueError:
            return super().list_package_routes()


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


class ListsAHundredRoutes(Mutant):
    """Takes it that nobody has more than a hundred routes."""

    breaks = "PK-6"

    def list_package_routes(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRouteRecord]:
        return super().list_package_routes(limit=100 if limit is None else limit, after=after)


def _in_order(
    store: Mutant, key: Callable[[PackageRecord], Any], limit: int | None, after: str | None
) -> Page[PackageRecord]:
    """The list of packages in another order, alike in all else."""
    SqlPackageStore.list_packages(store, limit=0, after=after)
    ordered = sorted(SqlPackageStore.list_packages(store).items, key=key)
    start = next((n for n, record in enumerate(ordered, 1) if _cursor(record) == after), 0)
    return page_of(ordered[start : start + rows_wanted(limit)], limit, lambda record: record, _cursor)


def _cursor(record: PackageRecord) -> str:
    return f"{to_micros(record.deployed_at)}.{record.content_hash}.{record.workflow_type}"
