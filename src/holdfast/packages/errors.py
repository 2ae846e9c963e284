"""What can go wrong with packages and their routes, each with its remedy."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from holdfast.errors import Conflict, InvalidInput, NotFound

_SHOWN = 12
"""Digits of a hash that tell versions apart in a message."""


def shown(content_hash: str) -> str:
    """A hash as messages have it."""
    return f"{content_hash[:_SHOWN]}…"


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
    """New flows are started on the version: the type's route or split names it (PK-8).

    Attributes:
        workflow_type, content_hash: the version that was to be unloaded.
        split: it is the split that does.
    """

    code = "route_active"
    remedy = "Route the workflow type to another version first, or retire it."

    def __init__(self, workflow_type: str, content_hash: str, *, split: bool = False) -> None:
        how = "sends a share of its new flows" if split else "is routed"
        remedy = "End the split first: give it 0 per cent, or route the type." if split else None
        super().__init__(f"The workflow type {workflow_type!r} {how} to {shown(content_hash)}.", remedy=remedy)
        self.workflow_type = workflow_type
        self.content_hash = content_hash
        self.split = split


class VersionPinned(Conflict):
    """Flows are pinned to the version: some run on it, or have ended and could be rewound (PK-8).

    Attributes:
        workflow_type, content_hash: the version that was to be unloaded.
        holders: ids of some of these flows, those that have not ended first.
        ended: how many of the holders have ended.
    """

    code = "version_pinned"
    remedy = "Wait until these flows have ended, or cancel them; a flow keeps its version for life."

    def __init__(
        self, workflow_type: str, content_hash: str, holders: Sequence[UUID], *, ended: int = 0, more: bool
    ) -> None:
        named = ", ".join(map(str, holders)) + (" and others" if more else "")
        told = f" {ended} of the {len(holders)} that are named have ended, and could be rewound." if ended else ""
        super().__init__(
            f"The version {shown(content_hash)} of {workflow_type!r} is needed by {named}.{told}",
            remedy=_ENDED_ONLY if ended == len(holders) else None,
        )
        self.workflow_type = workflow_type
        self.content_hash = content_hash
        self.holders = tuple(holders)
        self.ended = ended


_ENDED_ONLY = (
    "Wait until their retention is over, prune them (`holdfast prune`), or unload with --forsake-ended"
    " (forsake_ended=True): they cannot be rewound or retried any more then."
)


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


class InvalidSplit(InvalidPackage):
    """What is to be no part of a hundred, or cannot be split. Nothing was written, and the route is as it was."""

    code = "invalid_split"
    remedy = "Use a number from 0 to 100 with at most two decimals."


class WorkflowTypeClaimed(Conflict):
    """The workflow type belongs to another package.

    Attributes:
        workflow_type: the type that both have.
        owner: the package that it belongs to.
        claimant: the package that was to be deployed.
    """

    code = "workflow_type_claimed"
    remedy = "Give one of the two workflows another name; or retire the type, and unload its versions, beforehand."

    def __init__(self, workflow_type: str, owner: str, claimant: str) -> None:
        super().__init__(f"The workflow type {workflow_type!r} of {claimant!r} belongs to the package {owner!r}.")
        self.workflow_type = workflow_type
        self.owner = owner
        self.claimant = claimant


class NothingToDeploy(InvalidPackage):
    """The archive has no workflow."""

    code = "nothing_to_deploy"
    remedy = "Name a module with a workflow in modules of [tool.holdfast.package], and build it again."


class SignatureRequired(Conflict):
    """The policy asks for a signature by a trusted key, and the archive has none (PK-12).

    Attributes:
        content_hash: of the archive.
    """

    code = "signature_required"
    remedy = (
        "Deploy it with a signature by a trusted key: build --sign KEYFILE; `holdfast package trust ls` lists them."
    )

    def __init__(self, content_hash: str) -> None:
        super().__init__(f"The archive {shown(content_hash)} has no signature by a trusted key.")
        self.content_hash = content_hash


class KeyNotTrusted(NotFound):
    """There is no such key among the trusted ones.

    Attributes:
        key_id: as given.
    """

    code = "key_not_trusted"
    remedy = "`holdfast package trust ls` lists the trusted keys."

    def __init__(self, key_id: str) -> None:
        super().__init__(f"The key {key_id!r:.40} is not trusted.")
        self.key_id = key_id


class NoVersionBegins(NotFound):
    """No deployed version has a hash that begins so.

    Attributes:
        prefix: the digits.
    """

    code = "package_not_found"
    remedy = "`holdfast package versions` lists what is deployed."

    def __init__(self, prefix: str, workflow_type: str | None) -> None:
        of = "" if workflow_type is None else f" of {workflow_type!r:.80}"
        super().__init__(f"No deployed version{of} begins with {prefix!r:.80}.")
        self.prefix = prefix


class AmbiguousHash(Conflict):
    """Several deployed versions have hashes that begin so.

    Attributes:
        prefix: the digits.
        candidates: some of these hashes.
    """

    code = "ambiguous_hash"
    remedy = "Give more digits."

    def __init__(self, prefix: str, candidates: Sequence[str], *, more: bool) -> None:
        named = ", ".join(candidates) + (" and others" if more else "")
        super().__init__(f"Several versions begin with {prefix!r:.80}: {named}.")
        self.prefix = prefix
        self.candidates = tuple(candidates)


class PackageFileUnusable(InvalidPackage):
    """A file or directory of packages that cannot be read."""

    code = "package_file_unusable"
    remedy = "Name an .hfpkg file (a directory, where several are meant) that this process may read."
