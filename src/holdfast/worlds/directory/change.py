"""Bringing a tree from one state to another: all or nothing, whatever fails and wherever the process ends.

1. Whatever is new is completed in the staging folder and synced. Up to here nothing has changed.
2. The intent, which names both states of all paths concerned, becomes durable (:mod:`.journal`).
3. The steps are done, each of which is one call to the operating system, and the folders are synced.
4. The intent is taken away.

A process that ends before 2 has changed nothing. One that ends later leaves an intent, and whoever opens the site next
looks at what is there and does what is left. A change that *fails* in 3 is taken back alike: by the intent to have
what was there before. A change of one step needs no intent.

Others write to the tree without asking. What they wrote after it was read, so that the store has it not, is never
removed and never overwritten: the change fails; one that is finished later leaves it where it is.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Mapping
from contextlib import suppress

from holdfast.errors import HoldfastError
from holdfast.worlds.directory.bodies import Bodies
from holdfast.worlds.directory.errors import FileChanged, PendingChange, translate
from holdfast.worlds.directory.folders import list_names, set_mode, set_permissions
from holdfast.worlds.directory.journal import Intent, Journal
from holdfast.worlds.directory.records import Entry, File, Folder
from holdfast.worlds.directory.scan import Tree
from holdfast.worlds.directory.site import Site
from holdfast.worlds.directory.staging import Probe, Staging
from holdfast.worlds.directory.steps import WRITABLE, Steps, plan_steps, remaining
from holdfast.worlds.model import Delta, diff

log = logging.getLogger("holdfast.worlds")
_NEEDED: dict[type[Entry], int] = {Folder: WRITABLE, File: stat.S_IRUSR}
"""The bits without which the owner cannot look at what is there."""


class Changer:
    """Changes the tree of an open site.

    Args:
        probe: called with a name at each write point; a crash explorer ends the process there.
    """

    def __init__(self, site: Site, tree: Tree, bodies: Bodies, probe: Probe) -> None:
        self._site = site
        self._tree = tree
        self._journal = Journal(site.private)
        self._staging = Staging(site.staging, bodies, probe)
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
            FileChanged: somebody else changed what was to be replaced; all was taken back.
            OSError: a step failed; all was taken back.
            PendingChange: a step failed and so did taking it back; the next use finishes that.
        """
        steps = plan_steps(delta, present, self._is_shared, moved)
        before = steps.targets | {change.resource: change.before for change in delta}
        after = steps.targets | {change.resource: change.after for change in delta}
        self._prepare(steps)
        try:
            if steps.count > 1:
                self._intend(Intent(before, after))
            self._run(steps)
            self._finish()
        except (OSError, FileChanged) as error:
            self._take_back(Intent(after, before), error)
            raise

    def recover(self) -> None:
        """Finish a change that was cut off, if one was.

        Raises:
            PendingChange: it cannot be finished for now.
        """
        try:
            intent = self._journal.read()
            if intent is not None:
                self._settle(intent)
        except (OSError, HoldfastError) as error:
            raise PendingChange(self._site.intent, error) from error

    def _prepare(self, steps: Steps) -> None:
        try:
            self._staging.fill(steps.placed)
            for path in steps.lost:
                self._expect_known(path)
        except (OSError, HoldfastError):
            with suppress(OSError):  # what a full disk needs
                self._staging.clear()
            raise

    def _take_back(self, intent: Intent, cause: Exception) -> None:
        try:
            self._staging.clear()
            self._intend(intent)
            self._settle(intent)
        except (OSError, HoldfastError) as error:
            raise PendingChange(self._site.intent, translate(cause)) from error

    def _settle(self, intent: Intent) -> None:
        """Bring about the target of ``intent``, which is the present one, from whatever is there."""
        self._make_readable(intent.target)
        present = self._tree.look(intent.target)
        for path, entry in list(present.items()):
            if isinstance(entry, Folder) and not isinstance(intent.target[path], Folder):
                present |= self._tree.below(path)
        strange = intent.strange(present) | self._tree.excluded  # in folders that were to go
        if strange:
            log.warning(
                "left as they are, for they are excluded or somebody else changed them: %s", ", ".join(sorted(strange))
            )
        wanted, found = remaining(intent.target, present, strange)
        steps = plan_steps(diff(found, wanted), present, self._is_shared)
        self._staging.fill(steps.placed)
        self._run(steps)
        self._finish()

    def _make_readable(self, target: Mapping[str, Entry | None]) -> None:
        """What is in place has its mode: open it again where that would keep this from looking at it, or below it."""
        for path, entry in sorted(target.items()):
            if isinstance(entry, File | Folder) and _NEEDED[type(entry)] & ~entry.mode:
                self._add_bits(path, _NEEDED[type(entry)])

    def _add_bits(self, path: str, bits: int) -> None:
        status = self._tree.folders.stat(path)
        if status is not None and _may_be_opened(status):
            name, folder = self._tree.folders.of(path)
            with suppress(FileNotFoundError, NotImplementedError):  # it went; or has become a link
                os.chmod(name, stat.S_IMODE(status.st_mode) | bits, dir_fd=folder, follow_symlinks=False)

    def _is_shared(self, path: str) -> bool:
        status = self._tree.folders.stat(path)
        return status is not None and status.st_nlink > 1

    def _expect_known(self, path: str) -> None:
        """Raises:
        FileChanged: what is at ``path``, and would be gone in a moment, is not what was read there.
        """
        if not self._tree.knows(path):
            raise FileChanged(path)

    def _intend(self, intent: Intent) -> None:
        self._probe("before the intent")
        self._journal.write(intent)
        self._probe("after the intent")

    def _finish(self) -> None:
        self._probe("before the end")
        self._journal.clear()
        self._probe("after the end")

    def _run(self, steps: Steps) -> None:
        folders = self._tree.folders
        for path, mode in steps.opened.items():
            self._probe(f"before opening {path}")
            set_permissions(folders.at(path), mode)
        for path, is_folder in steps.removed:
            self._probe(f"before removing {path}")
            self._remove(path, is_folder)
        for path in steps.made:
            self._probe(f"before making {path}")
            name, folder = folders.of(path)
            os.mkdir(name, WRITABLE, dir_fd=folder)
        for origin, path in steps.moved:
            self._probe(f"before moving {origin}")
            self._move(origin, path)
        for number, (path, _) in enumerate(steps.placed):
            self._probe(f"before placing {path}")
            self._expect_known(path)
            name, folder = folders.of(path)
            os.rename(str(number), name, src_dir_fd=self._staging.folder, dst_dir_fd=folder)
        folders.sync(steps.unsynced)
        for path, mode in steps.modes.items():
            self._probe(f"before the mode of {path}")
            name, folder = folders.of(path)
            set_mode(name, folder, mode)

    def _remove(self, path: str, is_folder: bool) -> None:
        folders = self._tree.folders
        folders.forget(path)
        if not is_folder:  # a folder goes only when it is empty
            self._expect_known(path)
        name, folder = folders.of(path)
        (os.rmdir if is_folder else os.unlink)(name, dir_fd=folder)

    def _move(self, origin: str, path: str) -> None:
        folders = self._tree.folders
        folders.forget(origin)
        self._expect_known(path)
        two_names = self._are_two_names(origin, path)
        name, folder = folders.of(origin)
        kept = os.dup(folder)
        try:
            if two_names:  # of one file: a rename would do nothing
                os.unlink(name, dir_fd=kept)
            else:
                new_name, new_folder = folders.of(path)
                os.rename(name, new_name, src_dir_fd=kept, dst_dir_fd=new_folder)
        finally:
            os.close(kept)

    def _are_two_names(self, origin: str, path: str) -> bool:
        """Whether these are hard links of one file; not so where a file system takes both for one and the same name."""
        folders = self._tree.folders
        left, right = folders.stat(origin), folders.stat(path)
        if left is None or right is None or not os.path.samestat(left, right):
            return False
        name, folder = folders.of(path)
        return name in list_names(folder)


def _may_be_opened(status: os.stat_result) -> bool:
    """Whether another mode shows at this path alone."""
    return stat.S_ISDIR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink == 1)
