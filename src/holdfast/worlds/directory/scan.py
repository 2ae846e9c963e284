"""Reading what is there: all of it, or at some paths only."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from holdfast.worlds.directory.bodies import Bodies, Intake
from holdfast.worlds.directory.errors import FileChanged, FileVanished, UnsupportedFile
from holdfast.worlds.directory.exclusions import Exclusions
from holdfast.worlds.directory.folders import FILE_FLAGS, Folders, permissions
from holdfast.worlds.directory.index import Index
from holdfast.worlds.directory.paths import MAX_PART_BYTES, MAX_PATH_BYTES, is_reserved, parents, target_fault
from holdfast.worlds.directory.records import Entry, File, Folder, Link, Obstacle

T = TypeVar("T")
ATTEMPTS = 3
"""How often a tree that others write to is read before the answer is that it cannot be."""
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_DISPOSABLE = frozenset({stat.S_IFIFO, stat.S_IFSOCK})
_Stats = dict[str, os.stat_result]


class Tree:
    """The resources below a root that is locked against other worlds, though not against whoever writes directly.

    Every body that it gives a record of is in the store.

    Args:
        root: descriptor of the root.
        clock: gives the file system's present time, in nanoseconds.
        hidden: names in the root that are no resources.
        exclusions: names that are neither resources nor looked into.

    Attributes:
        excluded: paths of what was left out so far, without what is below it.
        obstacles: what the last look met that no view can hold, by its raw path.
    """

    def __init__(
        self,
        root: int,
        index: Index,
        bodies: Bodies,
        clock: Callable[[], int],
        hidden: frozenset[str] = frozenset(),
        exclusions: Exclusions | None = None,
    ) -> None:
        self.folders = Folders(root)
        self._device = os.fstat(root).st_dev
        self._index = index
        self._bodies = bodies
        self._clock = clock
        self._hidden = hidden
        self._exclusions = exclusions or Exclusions()
        self._read_at: _Stats = {}
        self.excluded: set[str] = set()
        self.obstacles: dict[str, Obstacle] = {}

    @property
    def holding(self) -> set[str]:
        """The folders that hold what is excluded, at whatever depth, as far as was looked."""
        return {folder for path in self.excluded for folder in parents(path)}

    def knows(self, path: str) -> bool:
        """Whether what is at ``path``, if anything is, is what was last read there."""
        status, known = self.folders.stat(path), self._read_at.get(path)
        return status is None or (known is not None and _body_figures(status) == _body_figures(known))

    def scan(self, *, lenient: bool = False) -> dict[str, Entry]:
        """All resources, in no order. Before any body is stored, everything was found to be what a view can hold.

        Args:
            lenient: pass over what no view can hold.

        Raises:
            FileVanished, FileChanged: others write directly, at each of several attempts.
            UnsupportedFile: there is what no view can hold.
        """

        def attempt() -> dict[str, Entry]:
            self.excluded = set()
            return self._read("", self._clock(), lenient=lenient)

        found = _insist(attempt)
        self._index.keep(found)
        return found

    def look(self, paths: Iterable[str]) -> dict[str, Entry]:
        """The resources at ``paths``, as far as there are any.

        Raises:
            StateViewError: as :meth:`scan`.
        """
        wanted = list(paths)
        return _insist(lambda: self._look(wanted))

    def below(self, path: str) -> dict[str, Entry]:
        """The resources below the folder ``path``.

        Raises:
            StateViewError: as :meth:`scan`.
        """
        return _insist(lambda: self._read(path, self._clock()))

    def _look(self, paths: list[str]) -> dict[str, Entry]:
        began = self._clock()
        found: dict[str, Entry] = {}
        files: _Stats = {}
        self.obstacles = {}
        for path in paths:
            self._read_at.pop(path, None)
            if (status := self.folders.stat(path)) is not None:
                self._sort(path, status, found, files)
        self._expect_no_obstacle()
        return self._with_bodies(found, files, began)

    def _read(self, top: str, began: int, *, lenient: bool = False) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        files: _Stats = {}
        self.obstacles = {}
        for path, status in self._walk(top):
            self._sort(path, status, found, files)
        if not lenient:
            self._expect_no_obstacle()
        return self._with_bodies(found, files, began)

    def _walk(self, top: str) -> Iterator[tuple[str, os.stat_result]]:
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            for path, status in self._list(folder):
                if stat.S_ISDIR(status.st_mode) and status.st_dev == self._device:
                    waiting.append(path)
                yield path, status

    def _list(self, folder: str) -> list[tuple[str, os.stat_result]]:
        prefix = f"{folder}/" if folder else ""
        path = folder
        excluded = self._exclusions.match if self._exclusions else None
        hidden = frozenset[str]() if folder else self._hidden
        try:
            with os.scandir(self.folders.at(folder)) as entries:
                found = []
                for entry in entries:
                    name = entry.name
                    if name in hidden:
                        continue
                    path = prefix + name
                    if excluded and excluded(path, name):
                        self.excluded.add(path)
                    elif fault := _name_fault(path, name):
                        self._meet(path, fault)
                    else:
                        found.append((path, entry.stat(follow_symlinks=False)))
                return found
        except FileNotFoundError as error:
            raise FileVanished(path) from error
        except NotADirectoryError as error:
            raise FileChanged(path) from error

    def _sort(self, path: str, status: os.stat_result, found: dict[str, Entry], files: _Stats) -> None:
        self._read_at[path] = status
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFREG:
            files[path] = status
        elif kind == stat.S_IFDIR:
            if status.st_dev != self._device:
                self._meet(path, "the root of another file system")
            else:
                found[path] = Folder(permissions(status))
        elif kind != stat.S_IFLNK:
            self._meet(path, _KINDS.get(kind, "of an unknown kind"), disposable=kind in _DISPOSABLE)
        elif link := self._link(path):
            found[path] = link

    def _link(self, path: str) -> Link | None:
        try:
            name, folder = self.folders.of(path)
            target = os.readlink(name, dir_fd=folder)
            target.encode()
        except UnicodeEncodeError:
            self._meet(path, "a link whose target is not UTF-8", disposable=True)
            return None
        except FileNotFoundError as error:
            raise FileVanished(path) from error
        except OSError as error:
            raise FileChanged(path) from error
        if fault := target_fault(path, target):
            self._meet(path, f"a link to {target!r}, which may leave the root: {fault}", disposable=True)
            return None
        return Link(target)

    def _meet(self, path: str, fault: str, *, disposable: bool = False) -> None:
        self.obstacles[path] = Obstacle(escaped(path), fault, disposable)

    def _expect_no_obstacle(self) -> None:
        if self.obstacles:
            raise UnsupportedFile(self.obstacles.values())

    def _with_bodies(self, found: dict[str, Entry], files: _Stats, began: int) -> dict[str, Entry]:
        """``found``, and the records of ``files``: known ones whose bodies are in the store, others read."""
        find = self._index.find
        known = {path: record for path, status in files.items() if (record := find(path, status)) is not None}
        if absent := self._bodies.missing(known.values()):
            known = {path: record for path, record in known.items() if absent.isdisjoint(record.blobs)}
        found.update(known)
        intake = Intake(self._bodies)
        for path, status in files.items():
            if path not in known:
                found[path] = record = self._read_file(path, status, intake)
                self._index.note(path, status, record, began)
        intake.flush()
        return found

    def _read_file(self, path: str, status: os.stat_result, intake: Intake) -> File:
        try:
            name, folder = self.folders.of(path)
            descriptor = os.open(name, FILE_FLAGS, dir_fd=folder)
        except FileNotFoundError as error:
            raise FileVanished(path) from error
        except PermissionError:
            raise
        except OSError as error:  # no file any more
            raise FileChanged(path) from error
        try:
            record = intake.take(permissions(status), lambda most: _read_up_to(descriptor, most))
            if _figures(os.fstat(descriptor)) != _figures(status) or record.size != status.st_size:
                raise FileChanged(path)
        finally:
            os.close(descriptor)
        return record


class Present(Mapping[str, Entry]):
    """The resources of a tree, read where they are asked for: a look at some paths does not scan the tree."""

    def __init__(self, tree: Tree, scan: Callable[[], dict[str, Entry]]) -> None:
        self._tree = tree
        self._scan = scan
        self._seen: dict[str, Entry | None] = {}
        self._all: dict[str, Entry] | None = None

    def __getitem__(self, path: str) -> Entry:
        found = self._all.get(path) if self._all is not None else self._look(path)
        if found is None:
            raise KeyError(path)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._everything())

    def __len__(self) -> int:
        return len(self._everything())

    @property
    def looked_at(self) -> dict[str, Entry | None]:
        """What was found at single paths; nothing once everything was read."""
        return self._seen if self._all is None else {}

    def _look(self, path: str) -> Entry | None:
        if path not in self._seen:
            self._seen[path] = self._tree.look([path]).get(path)
        return self._seen[path]

    def _everything(self) -> dict[str, Entry]:
        if self._all is None:
            self._all = self._scan()
        return self._all


def _insist(attempt: Callable[[], T]) -> T:
    for _ in range(ATTEMPTS - 1):
        try:
            return attempt()
        except (FileVanished, FileChanged):
            continue
    return attempt()


def escaped(path: str) -> str:
    """``path`` as a text: bytes that are not UTF-8 are escaped."""
    return path.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _name_fault(path: str, name: str) -> str | None:
    """Why no view can hold that name; ``None`` if one can."""
    if path.isascii() and len(path) <= MAX_PART_BYTES and not is_reserved(name):  # as good as all of them
        return None
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        return "a name that is not UTF-8"
    if is_reserved(name):
        return "a reserved name"
    if size > MAX_PATH_BYTES or len(name.encode()) > MAX_PART_BYTES:
        return f"over {MAX_PATH_BYTES} bytes of path, or {MAX_PART_BYTES} of one name"
    return None


def _read_up_to(descriptor: int, most: int) -> bytes:
    body = os.read(descriptor, most)
    if len(body) == most or not body:
        return body
    pieces = [body]
    most -= len(body)
    while most and (body := os.read(descriptor, most)):
        pieces.append(body)
        most -= len(body)
    return b"".join(pieces)


def _body_figures(status: os.stat_result) -> tuple[int, ...]:
    """What tells a body; the time of change tells of other names of it, too."""
    return stat.S_IFMT(status.st_mode), status.st_ino, status.st_size, status.st_mtime_ns


def _figures(status: os.stat_result) -> tuple[int, ...]:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode
