"""Bringing a tree from one state to another: all or nothing, whatever fails and wherever the process ends.

1. Whatever is new is completed in the staging folder and synced. Up to here nothing has changed.
2. The intent, which names the target state of all paths concerned, becomes durable (:mod:`.journal`).
3. The steps are done, each of which is one call to the operating system, and the folders are synced.
4. The intent is taken away.

A process that ends before 2 has changed nothing. One that ends later leaves an intent, and whoever opens the site next
looks at what is there and does what is left. A change that *fails* in 3 is taken back alike: by the intent to have
what was there before. A change of one step needs no intent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256

from holdfast.errors import HoldfastError
from holdfast.worlds.directory.bodies import Bodies
from holdfast.worlds.directory.errors import PendingChange, translate
from holdfast.worlds.directory.folders import FILE_FLAGS, list_names, write_whole
from holdfast.worlds.directory.journal import Journal
from holdfast.worlds.directory.records import Entry, File, Folder, Link
from holdfast.worlds.directory.scan import Tree
from holdfast.worlds.directory.site import Site
from holdfast.worlds.directory.steps import WRITABLE, Steps, plan_steps
from holdfast.worlds.errors import InvalidView
from holdfast.worlds.model import Delta, diff, path_of

Probe = Callable[[str], None]
_AT_ONCE = 8
"""How many files are synced at once."""


class Changer:
    """Changes the tree of an open site.

    Args:
        probe: called with a name at each write point; a crash explorer ends the process there.
    """

    def __init__(self, site: Site, tree: Tree, bodies: Bodies, probe: Probe) -> None:
        self._site = site
        self._tree = tree
        self._bodies = bodies
        self._journal = Journal(site.private)
        self._probe = probe

    def carry_out(
        self, delta: Delta[Entry], present: Mapping[str, Entry], moved: tuple[str, str] | None = None
    ) -> None:
        """Do what ``delta`` says.

        Args:
            present: what is there.
            moved: the part of ``delta`` that is one move, from where and to where.

        Raises:
            MissingBlob, BlobCorrupt: a body cannot be had; nothing was changed.
            OSError: a step failed; all was taken back.
            PendingChange: a step failed and so did taking it back; the next use finishes that.
        """
        steps = plan_steps(delta, present, self._is_shared, moved)
        self._stage(steps)
        before = steps.targets | {change.resource: change.before for change in delta}
        try:
            if steps.count > 1:
                self._intend(steps.targets | {change.resource: change.after for change in delta})
            self._run(steps)
            self._finish()
        except OSError as error:
            self._take_back(before, error)
            raise

    def recover(self) -> None:
        """Finish a change that was cut off, if one was.

        Raises:
            PendingChange: it cannot be finished for now.
        """
        try:
            target = self._journal.read()
            if target is not None:
                self._settle(target)
        except (OSError, HoldfastError) as error:
            raise PendingChange(self._site.intent, error) from error

    def _take_back(self, before: Mapping[str, Entry | None], cause: OSError) -> None:
        try:
            self._intend(before)
            self._settle(before)
        except (OSError, HoldfastError) as error:
            raise PendingChange(self._site.intent, translate(cause)) from error

    def _settle(self, target: Mapping[str, Entry | None]) -> None:
        """Bring about ``target``, which is the present intent, from whatever is there."""
        self._make_readable(target)
        present = self._tree.look(target)
        for path, entry in list(present.items()):
            if isinstance(entry, Folder) and not isinstance(target[path], Folder):
                present |= self._tree.below(path)
        steps = plan_steps(
            diff(present, {path: entry for path, entry in target.items() if entry is not None}),
            present,
            self._is_shared,
        )
        self._stage(steps)
        self._run(steps)
        self._finish()

    def _make_readable(self, target: Mapping[str, Entry | None]) -> None:
        """Folders got their modes last: open those again that would keep this from looking below them."""
        for path, entry in sorted(target.items()):
            if isinstance(entry, Folder) and entry.mode & WRITABLE != WRITABLE:
                with suppress(FileNotFoundError, NotADirectoryError, ValueError, NotImplementedError):
                    name, folder = self._tree.folders.of(path)
                    os.chmod(name, entry.mode | WRITABLE, dir_fd=folder, follow_symlinks=False)

    def _is_shared(self, path: str) -> bool:
        status = self._tree.folders.stat(path)
        return status is not None and status.st_nlink > 1

    def _is_same(self, path: str, other: str) -> bool:
        left, right = self._tree.folders.stat(path), self._tree.folders.stat(other)
        return left is not None and right is not None and os.path.samestat(left, right)

    def _intend(self, target: Mapping[str, Entry | None]) -> None:
        self._probe("before the intent")
        self._journal.write(target)
        self._probe("after the intent")

    def _finish(self) -> None:
        self._probe("before the end")
        self._journal.clear()
        self._probe("after the end")

    def _stage(self, steps: Steps) -> None:
        """Complete all files and links in the staging folder, under the numbers of their places in ``placed``."""
        for name in list_names(self._site.staging):
            os.unlink(name, dir_fd=self._site.staging)
        numbers = {path: str(number) for number, (path, _) in enumerate(steps.placed)}
        files = [(path, entry) for path, entry in steps.placed if isinstance(entry, File)]
        for path, file, pieces in self._bodies.of(files):
            self._probe(f"before staging {path}")
            _write_file(numbers[path], self._site.staging, path, file, pieces)
        for path, entry in steps.placed:
            if isinstance(entry, Link):
                self._probe(f"before staging {path}")
                os.symlink(entry.target, numbers[path], dir_fd=self._site.staging)
        self._probe("before syncing")
        self._sync_all([(numbers[path], file.mode) for path, file in files])

    def _sync_all(self, staged: list[tuple[str, int]]) -> None:
        """Sync staged files: several at once, so that the file system does it in few commits."""

        def sync(item: tuple[str, int]) -> None:
            _set_mode(item[0], self._site.staging, item[1])

        if len(staged) <= _AT_ONCE:
            for item in staged:
                sync(item)
            return
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(sync, staged))

    def _run(self, steps: Steps) -> None:
        folders = self._tree.folders
        for path, mode in steps.opened.items():
            self._probe(f"before opening {path}")
            os.fchmod(folders.at(path), mode)
        for path, is_folder in steps.removed:
            self._probe(f"before removing {path}")
            folders.forget(path)
            name, folder = folders.of(path)
            (os.rmdir if is_folder else os.unlink)(name, dir_fd=folder)
        for path in steps.made:
            self._probe(f"before making {path}")
            name, folder = folders.of(path)
            os.mkdir(name, WRITABLE, dir_fd=folder)
        for origin, path in steps.moved:
            self._probe(f"before moving {origin}")
            self._move(origin, path)
        for number, (path, _) in enumerate(steps.placed):
            self._probe(f"before placing {path}")
            name, folder = folders.of(path)
            os.rename(str(number), name, src_dir_fd=self._site.staging, dst_dir_fd=folder)
        for path in steps.unsynced:
            os.fsync(folders.at(path))
        for path, mode in steps.modes.items():
            self._probe(f"before the mode of {path}")
            name, folder = folders.of(path)
            _set_mode(name, folder, mode)

    def _move(self, origin: str, path: str) -> None:
        folders = self._tree.folders
        folders.forget(origin)
        name, folder = folders.of(origin)
        kept = os.dup(folder)
        try:
            same = self._is_same(origin, path)
            new_name, new_folder = folders.of(path)
            if same:  # two names of one file: a rename would do nothing
                os.unlink(name, dir_fd=kept)
            else:
                os.rename(name, new_name, src_dir_fd=kept, dst_dir_fd=new_folder)
        finally:
            os.close(kept)


def _write_file(name: str, staging: int, path: str, file: File, pieces: Iterator[bytes]) -> None:
    """Raises:
    InvalidView: the blobs together are not the body that the record describes.
    """
    whole = sha256()
    size = 0
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=staging)
    try:
        for piece in pieces:
            whole.update(piece)
            size += len(piece)
            write_whole(descriptor, piece)
    finally:
        os.close(descriptor)
    if size != file.size:
        raise InvalidView("directory", f"{path_of(path)}.size", f"its body has {size} bytes, not {file.size}")
    if whole.hexdigest() != file.digest:
        raise InvalidView("directory", f"{path_of(path)}.digest", "it is not the digest of its slices")


def _set_mode(name: str, folder: int, mode: int) -> None:
    """Set a mode, and make durable what it is the mode of: a file's body, a folder's names."""
    descriptor = os.open(name, FILE_FLAGS, dir_fd=folder)
    try:
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
