"""What can go wrong with a world of files, each with its remedy."""

from __future__ import annotations

import errno
import shlex
from collections.abc import Iterable
from pathlib import Path

from holdfast.errors import Conflict, HoldfastError, InvalidInput, NotFound
from holdfast.worlds.directory.records import Obstacle
from holdfast.worlds.errors import StateViewError

_MOST_NAMED = 5


class InvalidPath(InvalidInput):
    """A text that cannot name a resource.

    Attributes:
        path: the text.
    """

    code = "invalid_path"
    remedy = "Use a relative path without '.', '..', empty or '.holdfast' parts, of at most 255 bytes a part."

    def __init__(self, path: object, fault: str) -> None:
        super().__init__(f"{path!r} cannot be a path: {fault}.")
        self.path = path


class InvalidMode(InvalidInput):
    """A mode that is no set of permission bits."""

    code = "invalid_mode"
    remedy = "Use permission bits from 0 to 0o777; setuid, setgid and sticky bits are not part of a world."


class LinkEscapes(StateViewError, InvalidInput):
    """A link that may lead out of the root of its account and region.

    Attributes:
        path: the link.
        target: where it points.
    """

    code = "link_escapes"
    remedy = "Use a relative target: first as many '..' as it needs within the root, then names."

    def __init__(self, path: str, target: str, fault: str) -> None:
        super().__init__(f"The link {path!r} to {target!r} may leave its root: {fault}.")
        self.path = path
        self.target = target


class PathNotFound(NotFound):
    """Nothing is there.

    Attributes:
        path: where.
    """

    code = "path_not_found"
    remedy = "Look at what is there: listdir, or walk."

    def __init__(self, path: str) -> None:
        super().__init__(f"There is nothing at {path!r}.")
        self.path = path


class PathTaken(Conflict):
    """Something is in the way.

    Attributes:
        path: what was to be made.
        obstacle: the path of what is in its way.
    """

    code = "path_taken"
    remedy = "Remove what is there first, or use another path."

    def __init__(self, path: str, obstacle: str, kind: str) -> None:
        super().__init__(f"{path!r} cannot be made: {obstacle!r} is {kind}.")
        self.path = path
        self.obstacle = obstacle


class WrongKind(Conflict):
    """Something is there, but it is not of the kind that was asked for.

    Attributes:
        path: where.
    """

    code = "wrong_kind"
    remedy = "Look at what is there: walk, or a snapshot. Links are never followed."

    def __init__(self, path: str, found: str, wanted: str) -> None:
        super().__init__(f"{path!r} is {found}, not {wanted}.")
        self.path = path


class UnsupportedFile(StateViewError, Conflict):
    """There are things in the tree that no view can hold: links that leave the root, pipes, sockets, devices, mount
    points, names that are reserved, too long or not UTF-8.

    Attributes:
        obstacles: all of them, by path.
        path: of the first.
    """

    code = "unsupported_file"
    remedy = "Leave them out (--exclude PATTERN, or exclude=), or remove them: a restore does so by --discard."

    def __init__(self, obstacles: Iterable[Obstacle]) -> None:
        self.obstacles = tuple(sorted(obstacles))
        self.path = self.obstacles[0].path
        named = [f"{item.path!r} is {item.fault}" for item in self.obstacles[:_MOST_NAMED]]
        more = len(self.obstacles) - len(named)
        count = f"are {len(self.obstacles)} things" if len(self.obstacles) > 1 else "is something"
        super().__init__(f"There {count} that no view can hold: {'; '.join(named)}{f'; {more} more' * bool(more)}.")


class InvalidPattern(InvalidInput):
    """A pattern that cannot exclude anything."""

    code = "invalid_pattern"
    remedy = "Give several of: a name such as .venv or *.pyc, or a path from the root such as docs/build."

    def __init__(self, pattern: object, fault: str) -> None:
        super().__init__(f"{pattern!r} is no pattern to exclude: {fault}.")


class HoldsExcluded(StateViewError, Conflict):
    """A folder that would go, or become something else, holds what is excluded.

    Attributes:
        path: the folder.
    """

    code = "holds_excluded"
    remedy = "Remove what is excluded from it, or do without excluding it."

    def __init__(self, path: str) -> None:
        super().__init__(f"The folder {path!r} holds what is excluded, and so it stays.")
        self.path = path


class FileVanished(StateViewError, Conflict):
    """Something went away while the tree was being read, at each of several attempts.

    Attributes:
        path: of it.
    """

    code = "file_vanished"
    remedy = "Let those who change files directly come to rest, or have them write through the world; then try again."

    def __init__(self, path: str) -> None:
        super().__init__(f"{path!r} went away while it was being read.")
        self.path = path


class FileChanged(StateViewError, Conflict):
    """Something was changed from outside while the world read or replaced it, at each of several attempts.

    Attributes:
        path: of it.
    """

    code = "file_changed"
    remedy = FileVanished.remedy

    def __init__(self, path: str) -> None:
        super().__init__(f"{path!r} was changed by somebody else at the same time.")
        self.path = path


class DirectoryUnusable(StateViewError):
    """The file system did not do its part. The state is as it was."""

    code = "directory_unusable"
    remedy = "Give the world a directory on one local, writable file system that knows links and modes."


class StoreInside(StateViewError, InvalidInput):
    """The store is in the tree whose bodies it holds: a restore would put an old store in its place."""

    code = "store_inside"
    remedy = "Use a store outside of the directory; on the command line, name it by --store or HOLDFAST_URL."

    def __init__(self, store: Path, tree: Path, root: Path | None = None) -> None:
        outer = root or tree
        beside = shlex.quote(f"sqlite:///{outer.parent / outer.name}.db") if outer.name else None
        remedy = (
            f"Use a store outside of the directory, such as the one beside it: --store {beside}" if beside else None
        )
        super().__init__(f"The store {store} lies in {tree}.", remedy=remedy)


class NestedRoot(DirectoryUnusable):
    """The root of a world lies within that of another.

    Attributes:
        inner, outer: the roots.
    """

    code = "nested_root"
    remedy = "Give each world a directory of its own, beside the other's."

    def __init__(self, inner: Path, outer: Path) -> None:
        super().__init__(f"The root of a world, {inner}, lies within the root of another, {outer}.")
        self.inner = inner
        self.outer = outer


class DirectoryFull(DirectoryUnusable):
    """The disk, or a quota, is full. The state is as it was."""

    code = "directory_full"
    remedy = "Free disk space and try again."


class DirectoryDenied(DirectoryUnusable):
    """The operating system does not permit it. The state is as it was."""

    code = "directory_denied"
    remedy = "Run as the owner of the files, make them readable and writable (an immutable flag?), and try again."


class PendingChange(StateViewError, Conflict):
    """A change was cut off and cannot be finished for now; until it is, nothing of this account and region is served.

    Attributes:
        intent: the file that says what is to become of it.
    """

    code = "pending_change"

    def __init__(self, intent: Path, cause: Exception) -> None:
        told = cause.message if isinstance(cause, HoldfastError) else str(cause)
        super().__init__(
            f"A change that was cut off cannot be finished: {told}",
            remedy=f"Mend the cause; the next use finishes the change. What is to be done is in {intent}.",
        )
        self.intent = intent


_KINDS: dict[int, type[DirectoryUnusable]] = {
    errno.ENOSPC: DirectoryFull,
    errno.EDQUOT: DirectoryFull,
    errno.EFBIG: DirectoryFull,
    errno.EACCES: DirectoryDenied,
    errno.EPERM: DirectoryDenied,
    errno.EROFS: DirectoryDenied,
}
_MEANWHILE = {errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR, errno.ELOOP}


def translate(error: Exception) -> Exception:
    """The world's own error for one of the operating system's; anything else stays what it is."""
    if not isinstance(error, OSError) or isinstance(error, HoldfastError):
        return error
    name = error.filename if isinstance(error.filename, str) else "the directory"
    if error.errno in _MEANWHILE:
        found: StateViewError = FileChanged(name)
    else:
        kind = _KINDS.get(error.errno or 0, DirectoryUnusable)
        found = kind(f"{name}: {error.strerror or error}.")
    found.__cause__ = error
    return found
