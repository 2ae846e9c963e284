"""Stores, audit logs and verbs that account wrongly for what was done: PK-10."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from holdfast.audit import AuditRow, SqlAuditLog
from holdfast.packages import PackageRouteRecord
from holdfast.packages.errors import PackageNotFound
from holdfast.packages.ports import ROLLED_BACK
from holdfast.pages import Page
from holdfast.testing.packages.mutants.base import Mutant


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


class HasAShortMemory(Mutant):
    """Has an audit log that takes a page for the whole of it."""

    breaks = "PK-10"

    class log(SqlAuditLog):  # noqa: N801
        def list(
            self, *, subject: str | None = None, limit: int | None = None, after: str | None = None
        ) -> Page[AuditRow]:
            return Page(super().list(subject=subject, limit=limit, after=after).items, None)


class RoutesOnce(Mutant):
    """Finds a re-route to where the route points already not worth a row."""

    breaks = "PK-10"

    def route(self, workflow_type: str, content_hash: str, *, supplied: bool = False) -> AuditRow:
        present = self.get_package_route(workflow_type)
        if present is None or present.content_hash != content_hash:
            return super().route(workflow_type, content_hash, supplied=supplied)
        return self.audit.list(subject=workflow_type, limit=1).items[0]


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
