"""What people do with packages: deploy a version, route to another, split, roll back, retire, unload.

Each verb acts in the transaction that it is given, under the name of its actor; see :mod:`holdfast.packages.ports`.
"""

from __future__ import annotations

from holdfast.audit import AuditRow
from holdfast.packages.model import PackageRecord
from holdfast.packages.ports import PackagePorts
from holdfast.store import Transaction


def deploy(tx: Transaction, record: PackageRecord) -> AuditRow:
    """Store a version and route its type to it; a split of the type ends. Deploying the same bytes again replaces the
    version, routes to it again, and is a row of its own, with ``replaced`` true.

    It takes any bytes, and belongs to no package: what is built of a project is deployed by
    :func:`~holdfast.packages.deploying.deploy_archive`.

    Raises:
        InvalidPackage: the record cannot be stored, or its hash is not its archive's.
    """
    return PackagePorts.over(tx).deploy(record)


def route(tx: Transaction, workflow_type: str, content_hash: str, *, supplied: bool = False) -> AuditRow:
    """Start all new flows of a type on another version; a split of the type ends.

    Args:
        tx: the transaction; its actor is who routes.
        workflow_type, content_hash: the version.
        supplied: the operator supplies the archive to the workers as a file, so that it need not be deployed (PK-5).

    Raises:
        InvalidPackage: a malformed type or hash.
        PackageNotFound: the version is neither deployed nor supplied.
    """
    return PackagePorts.over(tx).route(workflow_type, content_hash, supplied=supplied)


def split(tx: Transaction, workflow_type: str, content_hash: str, percent: float) -> AuditRow | None:
    """Start a share of a type's new flows on another version than the route's (PK-13).

    Which ones is a function of their ids alone, so the share holds on average. Asked for again, the split has that
    share, or that version, from now on. It ends with any deploy or re-route of the type, and with 0; where the version
    has no share, 0 does nothing and writes no row: ``None``.

    Args:
        percent: 0 to 100, with at most two decimals.

    Raises:
        InvalidPackage: a malformed type or hash.
        InvalidSplit: no such percentage, or the route points at that version itself.
        PackageRouteNotFound: the type has no route.
        PackageNotFound: the version is not deployed.
    """
    return PackagePorts.over(tx).split(workflow_type, content_hash, percent)


def rollback(tx: Transaction, workflow_type: str) -> AuditRow:
    """Route a type to the version it was routed to before, by the ledger.

    Roll-backs go on backwards: the next one goes to the version before that, not forth again. After one, a deploy or
    a re-route is where the next roll-back starts from; what was rolled back stays left out. Acts that did not change
    the version are no stops, and neither is retirement, which a roll-back undoes. Where the type is split, that is what
    a roll-back undoes: the split ends, and the route stays where it is.

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


def unload(tx: Transaction, workflow_type: str, content_hash: str, *, forsake_ended: bool = False) -> AuditRow | None:
    """Delete a version that nothing needs. Unloading again does nothing and writes no row: ``None``. The route stays:
    the row's ``from`` and ``to`` are the version it points at, its ``version`` the one that went.

    Args:
        forsake_ended: unload it although flows that have ended are pinned to it. They cannot be rewound or retried any
            more then; the row says how many they are, as ``forsaken`` (1000 stands for that many or more).

    Raises:
        InvalidPackage: a malformed type or hash.
        RouteActive: new flows are started on it, by the route or by a split (PK-8).
        VersionPinned: flows are pinned to it that have not ended, or could be rewound; the error names some (PK-8).
    """
    return PackagePorts.over(tx).unload(workflow_type, content_hash, forsake_ended=forsake_ended)
