"""What a directory's views consist of."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from holdfast.worlds.model import StateView

SLICE_BYTES = 4 * 1024 * 1024
"""How much of a body one blob holds, and one unit of work stores, in bytes."""
PERMISSIONS = 0o777
"""The bits of a mode that are captured: setuid, setgid and sticky are not."""


class File(msgspec.Struct, frozen=True, tag="file", forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """A regular file.

    Attributes:
        mode: permission bits, up to 0o777.
        size: of its body, in bytes.
        digest: SHA-256 of its body, in hex; names the blob that holds it.
        slices: a body over ``SLICE_BYTES`` is held by several blobs of that size (the last one of what is left): their
            digests, in order. Empty for others.
    """

    mode: int
    size: int
    digest: str
    slices: tuple[str, ...] = ()

    @property
    def blobs(self) -> tuple[str, ...]:
        """Digests of the blobs that hold its body, in order."""
        return self.slices or (self.digest,)


class Link(msgspec.Struct, frozen=True, tag="link", forbid_unknown_fields=True, gc=False):
    """A symbolic link.

    Attributes:
        target: relative, and within the root of its account and region.
    """

    target: str


class Folder(msgspec.Struct, frozen=True, tag="folder", forbid_unknown_fields=True, gc=False):
    """A folder. Each resource's parents are resources, too.

    Attributes:
        mode: permission bits, up to 0o777.
    """

    mode: int


Entry = File | Link | Folder
TreeView = StateView[Entry]
KINDS: dict[type[Entry], str] = {File: "a file", Link: "a link", Folder: "a folder"}


class Obstacle(NamedTuple):
    """Something in a tree that no view can hold.

    Attributes:
        path: where; bytes that are not UTF-8 are escaped.
        fault: what it is.
        disposable: a link, pipe or socket, which a restore may be asked to remove.
    """

    path: str
    fault: str
    disposable: bool = False


class Survey(NamedTuple):
    """What a tree is, whatever is in it.

    Attributes:
        view: of what a view can hold.
        obstacles: the rest of it, by path.
        holding: folders that hold what is excluded, at whatever depth: they are not removed.
    """

    view: TreeView
    obstacles: tuple[Obstacle, ...]
    holding: frozenset[str]
