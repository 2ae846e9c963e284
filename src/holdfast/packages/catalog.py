"""What people do with packages: deploy a version, route to another, roll back, retire, unload.

Each verb is one transaction with exactly one audit row, whose subject is the workflow type and whose detail says from
which version to which the type's route went (PK-10). Verbs on one type wait for each other, so that along its rows
each ``from`` is the ``to`` of the row before. Everybody locks in one order: the type's route, the archive, the audit
chain's head.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from holdfast.audit import AuditRow, SqlAuditLog
from holdfast.packages.errors import (
    NothingToRollBack,
    PackageNotFound,
    PackageRouteNotFound,
    RouteActive,
    VersionPinned,
)
from holdfast.packages.model import PackageRecord, check_record, check_version
from holdfast.packages.sql import SqlPackageStore
from holdfast.packages.store import PackageStore
from holdfast.pages import Page
from holdfast.store import Transaction

DEPLOYED = "package.deployed"
ROUTED = "package.routed"
ROLLED_BACK = "package.rolled_back"
RETIRED = "package.retired"
UNLOADED = "package.unloaded"
_POINTING = (DEPLOYED, ROUTED)
"""The acts that name a version for a route; a roll-back points where one of them did."""
_HOLDERS_NAMED = 5
_LEDGER_PAGE = 100


class Ledger(Protocol):
    """The part of :class:`~holdfast.audit.AuditLog` that the verbs need."""

    def append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
        """Add a row for an act of the transaction's actor."""
        ...

    def list(self, *, subject: str | None = None, limit: int | None = None, after: str | None = None) -> Page[AuditRow]:
        """Rows of one subject, newest first."""
        ...


class PackagePorts:
    """The ports of one transaction that the verbs need, and the verbs through them.

    Args:
        packages, audit: of one transaction.
    """

    def __init__(self, packages: PackageStore, audit: Ledger) -> None:
        self.packages = packages
        self.audit = audit

    @classmethod
    def over(cls, tx: Transaction) -> PackagePorts:
        """Those of a Holdfast store."""
        return PackagePorts(SqlPackageStore(tx), SqlAuditLog(tx))

    def deploy(self, record: PackageRecord) -> AuditRow:
        """:func:`deploy` through these ports."""
        check_record(record)
        workflow_type, content_hash = record.workflow_type, record.content_hash
        check_version(workflow_type, content_hash)
        before = self._locked(workflow_type)
        replaced = self.packages.has_package(workflow_type, content_hash)
        self.packages.put_package(record)
        return self._append(DEPLOYED, workflow_type, before, content_hash, replaced=replaced)

    def route(self, workflow_type: str, content_hash: str, *, supplied: bool = False) -> AuditRow:
        """:func:`route` through these ports."""
        check_version(workflow_type, content_hash)
        before = self._locked(workflow_type)
        self._repoint(workflow_type, content_hash, supplied)
        return self._append(ROUTED, workflow_type, before, content_hash, supplied=supplied)

    def rollback(self, workflow_type: str) -> AuditRow:
        """:func:`rollback` through these ports."""
        before = self._locked(workflow_type)
        for act in self._standing(workflow_type):
            earlier, supplied = act.detail["to"], act.detail.get("supplied", False)
            if earlier != before:
                self._repoint(workflow_type, earlier, supplied)
                return self._append(ROLLED_BACK, workflow_type, before, earlier, restored=act.seq)
        raise NothingToRollBack(workflow_type)

    def retire(self, workflow_type: str) -> AuditRow:
        """:func:`retire` through these ports."""
        before = self._locked(workflow_type)
        if before is None:
            raise PackageRouteNotFound(workflow_type)
        self.packages.delete_package_route(workflow_type)
        return self._append(RETIRED, workflow_type, before, None)

    def unload(self, workflow_type: str, content_hash: str) -> AuditRow | None:
        """:func:`unload` through these ports."""
        check_version(workflow_type, content_hash)
        routed = self._locked(workflow_type)
        if routed == content_hash:
            raise RouteActive(workflow_type, content_hash)
        if not self.packages.has_package(workflow_type, content_hash):
            return None
        holders = self.packages.pinned_flows(workflow_type, content_hash, limit=_HOLDERS_NAMED + 1)
        if holders:
            more = len(holders) > _HOLDERS_NAMED
            raise VersionPinned(workflow_type, content_hash, holders[:_HOLDERS_NAMED], more=more)
        self.packages.delete_package(workflow_type, content_hash)
        return self._append(UNLOADED, workflow_type, routed, routed, version=content_hash)

    def _locked(self, workflow_type: str) -> str | None:
        """Where the type's route points, and stays until this transaction moves it."""
        found = self.packages.lock_package_route(workflow_type)
        return found.content_hash if found else None

    def _repoint(self, workflow_type: str, content_hash: str, supplied: bool) -> None:
        if not supplied and not self.packages.has_package(workflow_type, content_hash):
            raise PackageNotFound(workflow_type, content_hash)
        self.packages.put_package_route(workflow_type, content_hash)

    def _append(self, act: str, workflow_type: str, origin: str | None, target: str | None, **more: Any) -> AuditRow:
        return self.audit.append(act, workflow_type, {"from": origin, "to": target, **more})

    def _standing(self, workflow_type: str) -> Iterator[AuditRow]:
        """The acts that pointed a type's route, newest first, without those that roll-backs undid: after a roll-back
        to what an act had set, what lies between the two no longer counts."""
        restored: int | None = None
        for row in self._ledger(workflow_type):
            if restored is not None and row.seq > restored:
                continue
            restored = row.detail["restored"] if row.act == ROLLED_BACK else None
            if row.act in _POINTING:
                yield row

    def _ledger(self, workflow_type: str) -> Iterator[AuditRow]:
        """The audit rows of a type, newest first."""
        page = self.audit.list(subject=workflow_type, limit=_LEDGER_PAGE)
        yield from page.items
        while page.next is not None:
            page = self.audit.list(subject=workflow_type, limit=_LEDGER_PAGE, after=page.next)
            yield from page.items


def deploy(tx: Transaction, record: PackageRecord) -> AuditRow:
    """Store a version and route its type to it. Deploying the same bytes again replaces the version, routes to it
    again, and is a row of its own, with ``replaced`` true.

    Raises:
        InvalidPackage: the record cannot be stored, or its hash is not its archive's.
    """
    return PackagePorts.over(tx).deploy(record)


def route(tx: Transaction, workflow_type: str, content_hash: str, *, supplied: bool = False) -> AuditRow:
    """Start new flows of a type on another version.

    Args:
        tx: the transaction; its actor is who routes.
        workflow_type, content_hash: the version.
        supplied: the operator supplies the archive to the workers as a file, so that it need not be deployed (PK-5).

    Raises:
        InvalidPackage: a malformed type or hash.
        PackageNotFound: the version is neither deployed nor supplied.
    """
    return PackagePorts.over(tx).route(workflow_type, content_hash, supplied=supplied)


def rollback(tx: Transaction, workflow_type: str) -> AuditRow:
    """Route a type to the version it was routed to before, by the ledger.

    Roll-backs go on backwards: the next one goes to the version before that, not forth again. After one, a deploy or
    a re-route is where the next roll-back starts from; what was rolled back stays left out. Acts that did not change
    the version are no stops, and neither is retirement, which a roll-back undoes.

    Raises:
        InvalidPackage: a malformed type.
        NothingToRollBack: the ledger knows no earlier version.
        PackageNotFound: that version was unloaded since; no other one is served in its place.
    """
    return PackagePorts.over(tx).rollback(workflow_type)


def retire(tx: Transaction, workflow_type: str) -> AuditRow:
    """Start no more flows of a type: its route is removed, its versions stay for the flows that need them (PK-11).

    Raises:
        InvalidPackage: a malformed type.
        PackageRouteNotFound: it has no route.
    """
    return PackagePorts.over(tx).retire(workflow_type)


def unload(tx: Transaction, workflow_type: str, content_hash: str) -> AuditRow | None:
    """Delete a version that nothing needs. Unloading again does nothing and writes no row: ``None``. The route stays:
    the row's ``from`` and ``to`` are the version it points at, its ``version`` the one that went.

    Raises:
        InvalidPackage: a malformed type or hash.
        RouteActive: new flows are started on it (PK-8).
        VersionPinned: flows that have not ended need it; the error names some of them (PK-8).
    """
    return PackagePorts.over(tx).unload(workflow_type, content_hash)
