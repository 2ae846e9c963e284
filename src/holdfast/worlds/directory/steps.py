"""What has to be done to a tree to bring it from one state to another, in an order that works. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from holdfast.worlds.directory.paths import parent, parents
from holdfast.worlds.directory.records import Entry, File, Folder, Link
from holdfast.worlds.model import Change, Delta

WRITABLE = 0o700
_CHANGEABLE = 0o300


@dataclass
class Steps:
    """In the order in which they are done.

    Attributes:
        opened: folders that forbid changes in them, to be opened until the end, with the modes to give them.
        removed: paths that go, each behind what is below it; true for folders.
        made: folders that come, each before what is below it.
        moved: from where, to where.
        placed: files and links that come, or take another's place at once.
        modes: modes to be set at the end, of each folder behind what is below it.
    """

    opened: dict[str, int] = field(default_factory=dict)
    removed: list[tuple[str, bool]] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    moved: list[tuple[str, str]] = field(default_factory=list)
    placed: list[tuple[str, File | Link]] = field(default_factory=list)
    modes: dict[str, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(map(len, (self.opened, self.removed, self.made, self.moved, self.placed, self.modes)))

    @property
    def lost(self) -> set[str]:
        """Paths at which a file or link that is there goes."""
        names = {path for path, is_folder in self.removed if not is_folder}
        return names.union((path for path, _ in self.placed), (path for _, path in self.moved))

    @property
    def touched(self) -> set[str]:
        """The folders (empty: the root) in which names come or go."""
        names = [path for path, _ in self.removed] + self.made + [path for path, _ in self.placed]
        names += [path for move in self.moved for path in move]
        return {parent(path) for path in names}

    @property
    def unsynced(self) -> set[str]:
        """Those of them that stay, and whose modes are not set in the end."""
        return self.touched.difference(self.modes, (path for path, _ in self.removed))

    @property
    def targets(self) -> dict[str, Entry]:
        """Folders that are opened and closed again, and change in nothing else."""
        return {path: Folder(mode) for path, mode in self.modes.items() if path in self.opened}


def plan_steps(
    delta: Delta[Entry],
    present: Mapping[str, Entry],
    shared: Callable[[str], bool],
    moved: tuple[str, str] | None = None,
) -> Steps:
    """The steps that ``delta`` takes.

    Args:
        present: what is there, for folders that are not part of ``delta``.
        shared: whether the file at a path has other names, too, which a change of mode would show through.
        moved: the part of ``delta`` that is one move, from where and to where.
    """
    steps = Steps()
    for change in delta:
        if moved is None or not _within(change, moved):
            _add(steps, change, shared)
    if moved is not None:
        steps.moved.append(moved)
    steps.removed.reverse()
    changed = {change.resource: change for change in delta}
    for folder in steps.touched - {""}:
        before = changed[folder].before if folder in changed else present.get(folder)
        if isinstance(before, Folder) and before.mode & _CHANGEABLE != _CHANGEABLE:
            after = changed[folder].after if folder in changed else before
            steps.opened[folder] = before.mode | WRITABLE
            if isinstance(after, Folder):
                steps.modes[folder] = after.mode
    steps.opened = dict(sorted(steps.opened.items()))
    steps.modes = dict(sorted(steps.modes.items(), reverse=True))
    return steps


def remaining(
    target: Mapping[str, Entry | None], present: Mapping[str, Entry], strange: set[str]
) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """What is to be, and what is, without the paths that cannot come to it while what is at ``strange`` stays."""
    above = {folder for path in strange for folder in parents(path) if not isinstance(target.get(folder), Folder)}
    held = strange | above

    def free(path: str) -> bool:
        return path not in held and strange.isdisjoint(parents(path))

    wanted = {path: entry for path, entry in target.items() if entry is not None and free(path)}
    return wanted, {path: entry for path, entry in present.items() if free(path)}


def _add(steps: Steps, change: Change[Entry], shared: Callable[[str], bool]) -> None:
    path, before, after = change.resource, change.before, change.after
    was_folder, is_folder = isinstance(before, Folder), isinstance(after, Folder)
    if before is not None and (after is None or was_folder != is_folder):
        steps.removed.append((path, was_folder))
    if isinstance(after, Folder):
        if not was_folder:
            steps.made.append(path)
        steps.modes[path] = after.mode
    elif isinstance(after, File) and isinstance(before, File) and after.blobs == before.blobs and not shared(path):
        steps.modes[path] = after.mode
    elif after is not None:
        steps.placed.append((path, after))


def _within(change: Change[Entry], moved: tuple[str, str]) -> bool:
    return any(change.resource == top or change.resource.startswith(top + "/") for top in moved)
