"""Packages: deploying versions of code, and saying on which of them new flows start."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.app.face import Face
from holdfast.app.verbs import look_up
from holdfast.audit import AuditRow
from holdfast.hosting import deploying
from holdfast.packages import Collected, catalog, gc, versions
from holdfast.packages.archive import Archive, Signature
from holdfast.packages.collecting import KEEP


class Packaging(Face):
    """The verbs about packages."""

    package_versions = look_up(versions)

    def deploy(
        self,
        archive: Archive,
        *,
        signatures: Sequence[Signature] = (),
        percent: float | None = None,
        actor: str = "user",
    ) -> list[AuditRow]:
        """Store an archive as a version of each of its workflow types, and start new flows of these on it, or a share
        of them; see :func:`holdfast.hosting.deploying.deploy`. The archive is not loaded: ``holdfast package deploy``
        does that first.

        Raises:
            NothingToDeploy: it has no workflows.
            WorkflowTypeClaimed: one of them belongs to another package.
            SignatureRequired, BadSignature: its signatures do not suffice.
            InvalidSplit: no such percentage.
        """
        return self._act(lambda tx: deploying.deploy(tx, archive, signatures=signatures, percent=percent), actor)

    def route_package(
        self, workflow_type: str, content_hash: str, *, supplied: bool = False, actor: str = "user"
    ) -> AuditRow:
        """Start all new flows of a type on another version; see :func:`holdfast.packages.route`.

        Raises:
            InvalidPackage: a malformed type or hash.
            PackageNotFound: the version is neither deployed nor supplied.
        """
        return self._act(lambda tx: catalog.route(tx, workflow_type, content_hash, supplied=supplied), actor)

    def split_package(
        self, workflow_type: str, content_hash: str, percent: float, *, actor: str = "user"
    ) -> AuditRow | None:
        """Start a share of a type's new flows on another version than the route's; see :func:`holdfast.packages.split`.

        Raises:
            InvalidPackage: a malformed type or hash.
            InvalidSplit: no such percentage, or the route points at that version itself.
            PackageRouteNotFound, PackageNotFound: the type has no route, or the version is not deployed.
        """
        return self._act(lambda tx: catalog.split(tx, workflow_type, content_hash, percent), actor)

    def rollback_package(self, workflow_type: str, *, actor: str = "user") -> AuditRow:
        """Undo the last deploy, re-route or split of a type; see :func:`holdfast.packages.rollback`.

        Raises:
            NothingToRollBack: the ledger knows no earlier version.
            PackageNotFound: that version was unloaded since.
        """
        return self._act(lambda tx: catalog.rollback(tx, workflow_type), actor)

    def retire_package(self, workflow_type: str, *, actor: str = "user") -> AuditRow:
        """Start no more flows of a type on a package; see :func:`holdfast.packages.retire`.

        Raises:
            PackageRouteNotFound: it has no route.
        """
        return self._act(lambda tx: catalog.retire(tx, workflow_type), actor)

    def unload_package(
        self, workflow_type: str, content_hash: str, *, forsake_ended: bool = False, actor: str = "user"
    ) -> AuditRow | None:
        """Delete a version that nothing needs; see :func:`holdfast.packages.unload`.

        Raises:
            RouteActive: new flows are started on it.
            VersionPinned: flows are pinned to it.
        """
        return self._act(lambda tx: catalog.unload(tx, workflow_type, content_hash, forsake_ended=forsake_ended), actor)

    def gc_packages(self, keep: int = KEEP, *, actor: str = "user") -> list[Collected]:
        """Delete all versions that nothing needs but the newest of each type; see :func:`holdfast.packages.gc`.

        Raises:
            ValueError: ``keep`` is negative.
        """
        return gc(self.store, keep, actor=actor)
