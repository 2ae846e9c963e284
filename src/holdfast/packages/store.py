"""The port of the packages' persistence: the clauses PK-1 to PK-6, PK-8 and PK-13 of the contract."""

from __future__ import annotations

from typing import Protocol

from holdfast.packages.model import Holder, PackageRecord, PackageRouteRecord, PackageSplitRecord
from holdfast.pages import Page


class PackageStore(Protocol):
    """Deployed packages and the routes of their workflow types, within one transaction.

    What is put is checked here, before anything is written, since whoever deploys passes here; what is read is as it
    was stored, so that one damaged archive hides no other: whoever loads it checks it (PK-9). Lists take ``limit``
    (``None``: everything) and ``after`` (a cursor from :class:`Page`); texts are in byte order of their UTF-8.
    """

    def put_package(self, record: PackageRecord) -> None:
        """Store a version and point its type's route at it, both or neither (PK-1). A version that is there is
        replaced (PK-2), and a split of the type ends (PK-13).

        Raises:
            InvalidPackage: the record cannot be stored, or its hash is not its archive's.
        """
        ...

    def get_package(self, workflow_type: str, content_hash: str) -> PackageRecord | None:
        """The version with its archive, or ``None``."""
        ...

    def has_package(self, workflow_type: str, content_hash: str) -> bool:
        """Whether the version is stored; costs no archive."""
        ...

    def list_packages(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRecord]:
        """All versions with their archives by ``deployed_at``, then type, then hash (PK-3). A page holds the archives
        of its own versions: go by small pages where there are many.

        Raises:
            ValueError: a negative limit or a malformed cursor.
        """
        ...

    def delete_package(self, workflow_type: str, content_hash: str) -> None:
        """Delete a version; nothing where there is none (PK-4). Routes stay as they are, and so does the same archive
        under another type."""
        ...

    def put_package_route(self, workflow_type: str, content_hash: str) -> None:
        """Point the type's route at a version, which need not be stored (PK-5); a split of the type ends (PK-13).

        Raises:
            InvalidPackage: a malformed type or hash.
        """
        ...

    def get_package_route(self, workflow_type: str) -> PackageRouteRecord | None:
        """The type's route, or ``None``."""
        ...

    def lock_package_route(self, workflow_type: str) -> PackageRouteRecord | None:
        """:meth:`get_package_route`, and until the transaction ends whoever else asks so for this type waits, also
        while there is no route (PK-10).

        Raises:
            InvalidPackage: a malformed type.
        """
        ...

    def delete_package_route(self, workflow_type: str) -> None:
        """Delete the type's route, and its split with it; nothing where there is none (PK-11)."""
        ...

    def list_package_routes(self, *, limit: int | None = None, after: str | None = None) -> Page[PackageRouteRecord]:
        """All routes by ``workflow_type`` (PK-6).

        Raises:
            ValueError: a negative limit or a malformed cursor.
        """
        ...

    def put_package_split(self, workflow_type: str, content_hash: str, share: int) -> None:
        """Start a share of the type's new flows on a version; the route stays where it points (PK-13). A type has one
        split at most.

        Args:
            share: in hundredths of a per cent, 1 to 10,000.

        Raises:
            InvalidPackage: a malformed type, hash or share.
        """
        ...

    def get_package_split(self, workflow_type: str) -> PackageSplitRecord | None:
        """The type's split, or ``None``."""
        ...

    def delete_package_split(self, workflow_type: str) -> None:
        """End the type's split; nothing where there is none."""
        ...

    def pinned_flows(self, workflow_type: str, content_hash: str, *, limit: int, ended: bool = True) -> list[Holder]:
        """Up to ``limit`` flows that are pinned to the version, by an index; those that have not ended first (PK-8).
        Whoever pins a flow locks the route, or the split, that names the version, or an unload that is under way does
        not see it.

        Args:
            ended: those as well that have ended, and could be rewound.

        Raises:
            ValueError: a negative limit.
        """
        ...
