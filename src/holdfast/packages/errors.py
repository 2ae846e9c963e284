"""What can go wrong with packages and their routes, each with its remedy."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from holdfast.errors import Conflict, InvalidInput, NotFound

_SHOWN = 12
"""Digits of a hash that tell versions apart in a message."""


class InvalidPackage(InvalidInput):
    """A package that cannot be stored. Nothing was written."""

    code = "invalid_package"
    remedy = "Make the record by PackageRecord.of(workflow_type, archive, deployed_at)."


class InvalidWorkflowType(InvalidPackage):
    """No name of a workflow type."""

    code = "invalid_workflow_type"


class InvalidContentHash(InvalidPackage):
    """No lowercase hex of a SHA-256."""

    code = "invalid_content_hash"
    remedy = "Give all 64 digits, in lower case, of the SHA-256 of the archive."


class ContentHashMismatch(InvalidPackage):
    """The archive is not the one that the hash names (PK-9).

    Attributes:
        expected: the hash that was given.
        actual: the archive's own.
    """

    code = "content_hash_mismatch"
    remedy = "The archive was changed or cut short on its way; fetch or build it again."

    def __init__(self, expected: str, actual: str) -> None:
        super().__init__(f"The archive has the hash {actual}, not {expected}.")
        self.expected = expected
        self.actual = actual


class PackageNotFound(NotFound):
    """That version of the workflow type is not deployed.

    Attributes:
        workflow_type, content_hash: the version asked for.
    """

    code = "package_not_found"
    remedy = "Deploy it (again), or name a version that is deployed; the route was left as it is."

    def __init__(self, workflow_type: str, content_hash: str) -> None:
        super().__init__(f"The version {content_hash} of {workflow_type!r} is not deployed.")
        self.workflow_type = workflow_type
        self.content_hash = content_hash


class PackageRouteNotFound(NotFound):
    """The workflow type has no route.

    Attributes:
        workflow_type: the type asked for.
    """

    code = "package_route_not_found"
    remedy = "Deploy a package for it, or check its name; it may have been retired already."

    def __init__(self, workflow_type: str) -> None:
        super().__init__(f"The workflow type {workflow_type!r} has no route.")
        self.workflow_type = workflow_type


class RouteActive(Conflict):
    """The version is the one that new flows are started on (PK-8).

    Attributes:
        workflow_type, content_hash: the version that was to be unloaded.
    """

    code = "route_active"
    remedy = "Route the workflow type to another version first, or retire it."

    def __init__(self, workflow_type: str, content_hash: str) -> None:
        super().__init__(f"The workflow type {workflow_type!r} is routed to the version {content_hash[:_SHOWN]}….")
        self.workflow_type = workflow_type
        self.content_hash = content_hash


class VersionPinned(Conflict):
    """Flows that have not ended need the version (PK-8).

    Attributes:
        workflow_type, content_hash: the version that was to be unloaded.
        holders: ids of some of these flows.
    """

    code = "version_pinned"
    remedy = "Wait until these flows have ended, or cancel them; a flow keeps its version for life."

    def __init__(self, workflow_type: str, content_hash: str, holders: Sequence[UUID], *, more: bool) -> None:
        named = ", ".join(map(str, holders)) + (" and others" if more else "")
        super().__init__(f"The version {content_hash[:_SHOWN]}… of {workflow_type!r} is needed by {named}.")
        self.workflow_type = workflow_type
        self.content_hash = content_hash
        self.holders = tuple(holders)


class NothingToRollBack(Conflict):
    """The ledger has no earlier version to go back to.

    Attributes:
        workflow_type: the type that was to be rolled back.
    """

    code = "nothing_to_roll_back"
    remedy = "Route the workflow type to a version of your choice."

    def __init__(self, workflow_type: str) -> None:
        super().__init__(f"No earlier version of {workflow_type!r} is recorded.")
        self.workflow_type = workflow_type
