"""One account and region on disk: locked, its root and its private folder open.

Below the world's root, ``<account>/<region>/`` is the tree itself. ``.holdfast/<account>/<region>/`` is private: the
lock, the index, the intent of a change, and ``staging/``, where files are completed before they are moved into place.
A world of one scope alone may have its root itself as the tree, but for that private folder, which is ``.holdfast/_/``.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from holdfast.worlds.directory.errors import DirectoryUnusable
from holdfast.worlds.directory.folders import FOLDER_FLAGS, ensure_folder
from holdfast.worlds.directory.paths import RESERVED
from holdfast.worlds.model import Scope

_ALONE = "_"
"""No account has that name: one root may be both kinds of world, whose trees differ."""
_PRIVATE_MODE = 0o700
_ROOT_MODE = 0o755


@dataclass(frozen=True)
class Site:
    """Descriptors, good while the site is open.

    Attributes:
        root: of the tree.
        hidden: names in it that are not part of it.
        private: of the private folder.
        staging: of the folder in it for what is being made.
        lock: of the lock file.
        intent: where the journal keeps an intent, to be told to people.
    """

    root: int
    hidden: frozenset[str]
    private: int
    staging: int
    lock: int
    intent: Path

    def clock(self) -> int:
        """The file system's present time in nanoseconds, of the granularity that its files' times have."""
        os.utime(self.lock)
        return os.fstat(self.lock).st_ctime_ns


@contextmanager
def open_site(root: Path, scope: Scope, intent: str, *, alone: bool = False) -> Iterator[Site]:
    """Lock and open a scope's site, made where it is not there. Waits for other processes.

    Args:
        alone: the root is the tree itself.

    Raises:
        OSError: it can be neither opened nor made, or something on the way is a link.
        DirectoryUnusable: tree and private folder are on different file systems, between which nothing can be moved;
            or a world uses the root the other way.
    """
    with ExitStack() as ending:

        def opened(descriptor: int) -> int:
            ending.callback(os.close, descriptor)
            return descriptor

        top = opened(os.open(root, FOLDER_FLAGS & ~os.O_NOFOLLOW))
        private = top
        way = (RESERVED, _ALONE) if alone else (RESERVED, scope.account_id, scope.region)
        for name in way:
            private = opened(ensure_folder(name, private, _PRIVATE_MODE))
            if name == RESERVED:
                _hide_from_git(private)
                _refuse_otherwise_used(root, private, alone=alone)
        staging = opened(ensure_folder("staging", private, _PRIVATE_MODE))
        lock = opened(os.open("lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=private))
        fcntl.flock(lock, fcntl.LOCK_EX)
        tree = top
        if not alone:
            account = opened(ensure_folder(scope.account_id, top, _ROOT_MODE))
            tree = opened(ensure_folder(scope.region, account, _ROOT_MODE))
        if os.fstat(tree).st_dev != os.fstat(staging).st_dev:
            raise DirectoryUnusable(f"{root / scope.account_id / scope.region} is another file system than {root}.")
        hidden = frozenset({RESERVED} if alone else ())
        yield Site(tree, hidden, private, staging, lock, root.joinpath(*way, intent))


def _refuse_otherwise_used(root: Path, private: int, *, alone: bool) -> None:
    """A root that is a tree itself would take the trees of others in it for its own, and remove them."""
    ways = {name for name in os.listdir(private) if name != ".gitignore"}
    if alone and ways - {_ALONE}:
        told, of = "holds the trees of several scopes", f"such a tree's folder, {root}/<account>/<region>"
    elif not alone and _ALONE in ways:
        told, of = "is itself the tree of a world", "another directory"
    else:
        return
    remedy = f"Use {of}; if no such world is left, delete {root / RESERVED}."
    raise DirectoryUnusable(f"{root} {told}, so it cannot be used otherwise.", remedy=remedy)


def _hide_from_git(private: int) -> None:
    """Have version control leave the private folder alone, as a virtual environment does."""
    with suppress(FileExistsError):
        descriptor = os.open(".gitignore", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=private)
        try:
            os.write(descriptor, b"*\n")
        finally:
            os.close(descriptor)
