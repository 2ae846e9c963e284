"""What can go wrong with a world, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from holdfast.errors import Conflict, HoldfastError, InvalidInput, NotFound

if TYPE_CHECKING:
    from holdfast.worlds.model import MergeReport


class StateViewError(HoldfastError):
    """A view cannot be taken, restored or merged. Nothing was changed."""

    code = "state_view"


class InvalidView(StateViewError, InvalidInput):
    """A view that does not fit its service (WO-2).

    Attributes:
        path: where in the view, e.g. ``$.resources["a.txt"].mode``.
    """

    code = "invalid_view"
    remedy = "Take the view from a snapshot of this service, and change it only within its types."

    def __init__(self, service: str, path: str, fault: str) -> None:
        super().__init__(f"The view of {service} is invalid at {path}: {fault}.")
        self.path = path


class ViewVersion(StateViewError, InvalidInput):
    """A view of another version than this service writes (WO-7).

    Attributes:
        found, known: the two versions.
    """

    code = "view_version"
    remedy = "Restore it with the Holdfast version that took it, and snapshot anew."

    def __init__(self, service: str, found: object, known: int) -> None:
        super().__init__(f"The view of {service} has version {found!r}, this service knows {known}.")
        self.found = found
        self.known = known


class MissingBlob(StateViewError, NotFound):
    """A view names bodies that are not stored here.

    Attributes:
        digests: their SHA-256, in hex.
    """

    code = "missing_blob"
    remedy = "Restore into the store in which the snapshot was taken, or bring its bodies along."

    def __init__(self, digests: Iterable[str]) -> None:
        self.digests = sorted(digests)
        super().__init__(f"{len(self.digests)} bodies of the view are not stored here, first {self.digests[0]}.")


class WorldShared(StateViewError, Conflict):
    """A scope belongs to another run, so that this one may not rewind it (WO-13).

    Attributes:
        scope: world, account and region, as text.
        owner: whose it is.
    """

    code = "world_shared"
    remedy = "Rewind the owning run, or fork: a fork gets a copy of its own."

    def __init__(self, scope: str, owner: str) -> None:
        super().__init__(f"{scope} belongs to {owner}.")
        self.scope = scope
        self.owner = owner


class MergeConflict(StateViewError, Conflict):
    """A merge by the policy ``fail`` met resources that differ (WO-4). Nothing was changed.

    Attributes:
        report: all conflicts.
    """

    code = "merge_conflict"
    remedy = "Look at the report's conflicts (dry_run=True gives it too), then merge with the policy keep or replace."

    def __init__(self, service: str, report: MergeReport[Any]) -> None:
        first = report.conflicts[0].resource
        super().__init__(f"{len(report.conflicts)} resources of {service} differ, first {first!r}.")
        self.report = report


class InvalidScope(InvalidInput):
    """An account, region or world name that cannot be one."""

    code = "invalid_scope"
    remedy = "Use 1 to 64 letters, digits, '-', '_' or '.', beginning with a letter or digit."
