"""What a client's calls make of the present resources: plans that give exact deltas. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from holdfast.worlds.base import changes
from holdfast.worlds.directory.errors import InvalidPath, PathNotFound, PathTaken, WrongKind
from holdfast.worlds.directory.paths import below, check_target, parents
from holdfast.worlds.directory.records import KINDS, Entry, File, Folder, Link
from holdfast.worlds.model import Change, Delta

Resources = Mapping[str, Entry]
NEW_FOLDER = Folder(0o755)
"""A parent that nobody made explicitly."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A plan that looks at few of the present resources.

    Attributes:
        plan: what it makes of them.
        moved: from where and to where everything goes; then the delta is one call to the operating system.
    """

    plan: Callable[[Resources], Delta[Entry]]
    moved: tuple[str, str] | None = None

    def __call__(self, present: Resources) -> Delta[Entry]:
        return self.plan(present)


def writing(path: str, record: File) -> Edit:
    """Create a file or replace its body; missing parents are made.

    Raises:
        PathTaken: a link or folder is there, or a parent is none.
    """

    def plan(present: Resources) -> Delta[Entry]:
        above = list(_new_parents(present, path))
        before = present.get(path)
        if isinstance(before, Folder | Link):
            raise PathTaken(path, path, KINDS[type(before)])
        return changes(*above, Change(path, before, record))

    return Edit(plan)


def making(path: str, record: Folder | Link) -> Edit:
    """Create a folder or link where nothing is; missing parents are made.

    Raises:
        PathTaken: something is there, or a parent is no folder.
    """

    def plan(present: Resources) -> Delta[Entry]:
        above = list(_new_parents(present, path))
        before = present.get(path)
        if before is not None:
            raise PathTaken(path, path, KINDS[type(before)])
        return changes(*above, Change(path, None, record))

    return Edit(plan)


def removing(path: str, *, recursive: bool) -> Edit:
    """Remove a file, a link, a folder.

    Raises:
        PathNotFound: nothing is there.
        WrongKind: a folder that is not empty, unless ``recursive``.
    """

    def plan(present: Resources) -> Delta[Entry]:
        before = found(present, path)
        names = below(path, iter(present)) if isinstance(before, Folder) else [path]
        if len(names) > 1 and not recursive:
            raise WrongKind(path, f"a folder that holds {names[1]!r}", "empty")
        return changes(*(Change(name, present[name], None) for name in names))

    return Edit(plan)


def changing_mode(path: str, mode: int) -> Edit:
    """Set the mode of a file or folder.

    Raises:
        PathNotFound: nothing is there.
        WrongKind: a link, which has no mode.
    """

    def plan(present: Resources) -> Delta[Entry]:
        before = found(present, path)
        if isinstance(before, Link):
            raise WrongKind(path, "a link", "a file or folder")
        after: Entry = (
            Folder(mode) if isinstance(before, Folder) else File(mode, before.size, before.digest, before.slices)
        )
        return changes(Change(path, before, after))

    return Edit(plan)


def renaming(origin: str, path: str) -> Edit:
    """Move what is at ``origin``, with all below it, to ``path``; missing parents are made. A file or link takes the
    place of another file or link.

    Raises:
        PathNotFound: nothing is at ``origin``.
        PathTaken: what is at ``path`` cannot be replaced, or a parent of it is no folder.
        InvalidPath: ``path`` is below ``origin``.
        LinkEscapes: a link, moved there, would lead out of the root.
    """

    def plan(present: Resources) -> Delta[Entry]:
        before = found(present, origin)
        if origin == path:
            return ()
        if origin in parents(path):
            raise InvalidPath(path, f"it is below {origin!r}, which is to be moved there")
        above = list(_new_parents(present, path))
        replaced = present.get(path)
        if isinstance(replaced, Folder) or (replaced is not None and isinstance(before, Folder)):
            raise PathTaken(path, path, KINDS[type(replaced)])
        names = below(origin, iter(present)) if isinstance(before, Folder) else [origin]
        gone: list[Change[Entry]] = [Change(name, present[name], None) for name in names]
        come: list[Change[Entry]] = [Change(path + name[len(origin) :], None, present[name]) for name in names]
        come[0] = Change(path, replaced, before)
        for change in come:
            if isinstance(change.after, Link):
                check_target(change.resource, change.after.target)
        return changes(*above, *gone, *come)

    return Edit(plan, (origin, path))


def found(present: Resources, path: str) -> Entry:
    """Raises:
    PathNotFound: nothing is at ``path``.
    """
    entry = present.get(path)
    if entry is None:
        raise PathNotFound(path)
    return entry


def _new_parents(present: Resources, path: str) -> Iterator[Change[Entry]]:
    for above in parents(path):
        entry = present.get(above)
        if entry is None:
            yield Change(above, None, NEW_FOLDER)
        elif not isinstance(entry, Folder):
            raise PathTaken(path, above, KINDS[type(entry)])
