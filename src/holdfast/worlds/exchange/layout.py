"""What an archive of a world consists of. Pure: no I/O.

It is a zip in which nothing is compressed: ``manifest.json``; each view as canonical JSON in
``views/SERVICE/ACCOUNT/REGION.json``; each body that one of them names in ``bodies/SHA256``. They are in this order,
and in the order of their names; all times are the same. So equal states give equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, NamedTuple

import msgspec

from holdfast.errors import InvalidInput
from holdfast.worlds.comparing import Part
from holdfast.worlds.model import check_name, check_scope

FORMAT = 1
MANIFEST = "manifest.json"
BODIES = "bodies/"
DIGEST = r"[0-9a-f]{64}"
MOST_MANIFEST_BYTES = 16 * 1024 * 1024
MOST_ENTRY_BYTES = 1_000_000_000
"""Of a view or a body: no store holds a larger one."""
MOST_ENTRIES = 5_000_000
Told = Callable[[int, int], None]
"""Hears how many bodies are done, of how many."""


class InvalidWorldArchive(InvalidInput):
    """A file that is no archive of a world, or a damaged one. Nothing was changed."""

    code = "invalid_world_archive"
    remedy = "Write one by `holdfast world export`, and bring it over as it is."


class UnreadableArchive(InvalidInput):
    """An archive's file that cannot be read or written."""

    code = "unreadable_archive"
    remedy = "Name another file."


class Held(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A view of an archive.

    Attributes:
        resources: how many.
        digest: SHA-256 of its JSON, in hex.
    """

    service: str
    account_id: str
    region: str
    resources: Annotated[int, msgspec.Meta(ge=0)]
    digest: Annotated[str, msgspec.Meta(pattern=f"^{DIGEST}$")]

    @property
    def path(self) -> str:
        return view_path(self.part)

    @property
    def part(self) -> Part:
        """Raises:
        InvalidScope: names that cannot be.
        """
        return check_name(self.service, "a service"), check_scope(self.account_id, self.region)


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an archive holds.

    Attributes:
        views: in the order of service, account and region.
    """

    format: int
    views: tuple[Held, ...]


class Contents(NamedTuple):
    """How much an archive holds.

    Attributes:
        size: of its file, in bytes.
    """

    views: int
    resources: int
    bodies: int
    size: int


def view_path(part: Part) -> str:
    """Where a view is in an archive."""
    service, scope = part
    return f"views/{service}/{scope.account_id}/{scope.region}.json"


def body_path(digest: str) -> str:
    """Where a body is in an archive."""
    return f"{BODIES}{digest}"
