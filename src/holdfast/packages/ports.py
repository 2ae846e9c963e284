"""What people do with packages, over the ports of one transaction.

Each verb is one transaction with exactly one audit row for each workflow type, whose subject is the type and whose
detail says from which version to which the type's route went (PK-10). Verbs on one type wait for each other, so that
along its rows each ``from`` is the ``to`` of the row before. Everybody locks in one order: the types' routes, the
archive, the audit chain's head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, Protocol

from holdfast.audit import AuditRow, SqlAuditLog
from holdfast.packages.errors import (
    InvalidSplit,
    NothingToRollBack,
    PackageNotFound,
    PackageRouteNotFound,
    RouteActive,
    VersionPinned,
)
from holdfast.packages.model import (
    PackageRecord,
    PackageSplitRecord,
    check_record,
    check_version,
    percent_of,
    share_of,
)
from holdfast.packages.sql import SqlPackageStore
from holdfast.packages.store import PackageStore
from holdfast.pages import Page
from holdfast.store import Transaction

DEPLOYED = "package.deployed"
ROUTED = "package.routed"
SPLIT = "package.split"
ROLLED_BACK = "package.rolled_back"
RETIRED = "package.retired"
UNLOADED = "package.unloaded"
_POINTING = (DEPLOYED, ROUTED)
"""The acts that name a version for a route; a roll-back points where one of them did."""
_HOLDERS_NAMED = 5
MANY = 1000
"""Where flows are counted only to give an idea, the count stops here."""
_LEDGER_PAGE = 100


class Ledger(Protocol):
    """The part of :class:`~holdfast.audit.AuditLog` that the verbs need."""

    def append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
        """Add a row for an act of the transaction's actor."""
        ...

    def list(self, *, subject: str | None = None, limit: int | None = None, after: str | None = None) -> Page[AuditRow]:
        """Rows of one subject, newest first."""
        ...


class _Standing(NamedTuple):
    """Where a type's new flows start, and go on to start until this transaction changes it."""

    routed: str | None
    split: PackageSplitRecord | None

    @property
    def ended(self) -> dict[str, Any]:
        """What an act that ends the split says of it."""
        return {} if self.split is None else {"ended_split": _told(self.split)}


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
        """:func:`~holdfast.packages.catalog.deploy` through these ports."""
        check_record(record)
        put = partial(self.packages.put_package, record)
        return self.deploy_by(put, record.workflow_type, record.content_hash)

    def deploy_by(
        self, put: Callable[[], None], workflow_type: str, content_hash: str, share: int | None = None, **more: Any
    ) -> AuditRow:
        """Have ``put`` store a version and route its type to it.

        Args:
            share: what of the new flows it gets where the type is routed to another version, which then stays so.
            more: for the row.
        """
        check_version(workflow_type, content_hash)
        before = self._locked(workflow_type)
        more |= {"replaced": self.packages.has_package(workflow_type, content_hash)}
        put()
        if share is None or before.routed in (None, content_hash):
            return self._append(DEPLOYED, workflow_type, before, content_hash, **more, **before.ended)
        self.packages.put_package_route(workflow_type, before.routed)
        if share:
            self.packages.put_package_split(workflow_type, content_hash, share)
        more |= {"version": content_hash, "percent": percent_of(share)}
        return self._append(DEPLOYED, workflow_type, before, before.routed, **more, **before.ended)

    def route(self, workflow_type: str, content_hash: str, *, supplied: bool = False) -> AuditRow:
        """:func:`~holdfast.packages.catalog.route` through these ports."""
        check_version(workflow_type, content_hash)
        before = self._locked(workflow_type)
        self._repoint(workflow_type, content_hash, supplied)
        return self._append(ROUTED, workflow_type, before, content_hash, supplied=supplied, **before.ended)

    def split(self, workflow_type: str, content_hash: str, percent: float) -> AuditRow | None:
        """:func:`~holdfast.packages.catalog.split` through these ports."""
        check_version(workflow_type, content_hash)
        share = share_of(percent)
        before = self._locked(workflow_type)
        if before.routed is None:
            raise PackageRouteNotFound(workflow_type)
        if not share and (before.split is None or before.split.content_hash != content_hash):
            return None
        if share:
            self._check_splittable(workflow_type, content_hash, before.routed)
            self.packages.put_package_split(workflow_type, content_hash, share)
        else:
            self.packages.delete_package_split(workflow_type)
        known = {"version": content_hash, "percent": percent_of(share)}
        return self._append(SPLIT, workflow_type, before, before.routed, **known, **before.ended)

    def rollback(self, workflow_type: str) -> AuditRow:
        """:func:`~holdfast.packages.catalog.rollback` through these ports."""
        before = self._locked(workflow_type)
        if before.split is not None and before.routed is not None:
            return self._rejoin(workflow_type, before, before.routed)
        for act in self._standing(workflow_type):
            earlier, supplied = act.detail["to"], act.detail.get("supplied", False)
            if earlier != before.routed:
                self._repoint(workflow_type, earlier, supplied)
                return self._append(ROLLED_BACK, workflow_type, before, earlier, restored=act.seq)
        raise NothingToRollBack(workflow_type)

    def retire(self, workflow_type: str) -> AuditRow:
        """:func:`~holdfast.packages.catalog.retire` through these ports."""
        before = self._locked(workflow_type)
        if before.routed is None:
            raise PackageRouteNotFound(workflow_type)
        self.packages.delete_package_route(workflow_type)
        return self._append(RETIRED, workflow_type, before, None, **before.ended)

    def unload(self, workflow_type: str, content_hash: str, *, forsake_ended: bool = False) -> AuditRow | None:
        """:func:`~holdfast.packages.catalog.unload` through these ports."""
        check_version(workflow_type, content_hash)
        before = self._locked(workflow_type)
        if before.routed == content_hash:
            raise RouteActive(workflow_type, content_hash)
        if before.split is not None and before.split.content_hash == content_hash:
            raise RouteActive(workflow_type, content_hash, split=True)
        if not self.packages.has_package(workflow_type, content_hash):
            return None
        self._refuse_pinned(workflow_type, content_hash, ended=not forsake_ended)
        more: dict[str, Any] = {"version": content_hash}
        if forsake_ended:
            more["forsaken"] = len(self.packages.pinned_flows(workflow_type, content_hash, limit=MANY))
        self.packages.delete_package(workflow_type, content_hash)
        return self._append(UNLOADED, workflow_type, before, before.routed, **more)

    def _locked(self, workflow_type: str) -> _Standing:
        found = self.packages.lock_package_route(workflow_type)
        return _Standing(found.content_hash if found else None, self.packages.get_package_split(workflow_type))

    def _repoint(self, workflow_type: str, content_hash: str, supplied: bool) -> None:
        if not supplied and not self.packages.has_package(workflow_type, content_hash):
            raise PackageNotFound(workflow_type, content_hash)
        self.packages.put_package_route(workflow_type, content_hash)

    def _check_splittable(self, workflow_type: str, content_hash: str, routed: str) -> None:
        if content_hash == routed:
            remedy = "Name the other version: the routed one gets what the split leaves."
            raise InvalidSplit(f"The workflow type {workflow_type!r} is routed to that version.", remedy=remedy)
        if not self.packages.has_package(workflow_type, content_hash):
            raise PackageNotFound(workflow_type, content_hash)

    def _rejoin(self, workflow_type: str, before: _Standing, routed: str) -> AuditRow:
        """Undo the newest act, which was a split: what pointed the route where it is stands as before."""
        self.packages.delete_package_split(workflow_type)
        newest = next((act for act in self._standing(workflow_type) if act.detail["to"] == routed), None)
        restored = newest.seq if newest else None
        return self._append(ROLLED_BACK, workflow_type, before, routed, restored=restored, **before.ended)

    def _refuse_pinned(self, workflow_type: str, content_hash: str, *, ended: bool) -> None:
        found = self.packages.pinned_flows(workflow_type, content_hash, limit=_HOLDERS_NAMED + 1, ended=ended)
        if found:
            named, more = found[:_HOLDERS_NAMED], len(found) > _HOLDERS_NAMED
            over = sum(holder.ended for holder in named)
            flows = [holder.flow for holder in named]
            raise VersionPinned(workflow_type, content_hash, flows, ended=over, more=more)

    def _append(self, act: str, workflow_type: str, before: _Standing, target: str | None, **more: Any) -> AuditRow:
        return self.audit.append(act, workflow_type, {"from": before.routed, "to": target, **more})

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


def _told(split: PackageSplitRecord) -> dict[str, Any]:
    return {"version": split.content_hash, "percent": split.percent}
