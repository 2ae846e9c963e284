"""Reaching folders below one root without ever following a link, not even one swapped in between check and use."""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import TypeVar

from holdfast.worlds.directory.paths import parent
from holdfast.worlds.directory.records import PERMISSIONS

T = TypeVar("T")
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
"""Not blocking: a pipe that took a file's place must not hold anybody up."""
_MOST_OPEN = 64
_MOST_SYNCED = 128
_AT_ONCE = 8
"""How much is synced at once."""
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


class Folders:
    """Open folders below a root, each opened from its parent's descriptor. Not safe for several threads.

    Args:
        root: descriptor of the root; stays its giver's to close.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self._open: OrderedDict[str, int] = OrderedDict()

    def at(self, path: str) -> int:
        """A descriptor of the folder ``path`` (empty: the root), good until the next call.

        Raises:
            OSError: it is not there, or it (or one above it) is no folder.
        """
        missing = []
        known = path
        while known and known not in self._open:
            missing.append(known)
            known = parent(known)
        descriptor = self._open[known] if known else self._root
        if known:
            self._open.move_to_end(known)
        for folder in reversed(missing):
            descriptor = os.open(folder.rpartition("/")[2], FOLDER_FLAGS, dir_fd=descriptor)
            self._keep(folder, descriptor)
        return descriptor

    def of(self, path: str) -> tuple[str, int]:
        """``path``'s last part, and a descriptor of the folder that it is in, as of :meth:`at`."""
        above, _, name = path.rpartition("/")
        return name, self.at(above)

    def stat(self, path: str) -> os.stat_result | None:
        """What is at ``path``, if anything is."""
        try:
            name, folder = self.of(path)
            return os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise

    def sync(self, paths: Iterable[str]) -> None:
        """Make durable which names are in these folders."""
        wanted = sorted(paths)
        for start in range(0, len(wanted), _MOST_SYNCED):
            with ExitStack() as ending:
                descriptors = []
                for path in wanted[start : start + _MOST_SYNCED]:
                    descriptors.append(os.dup(self.at(path)))
                    ending.callback(os.close, descriptors[-1])
                at_once(os.fsync, descriptors)

    def forget(self, path: str) -> None:
        """Close ``path`` and all below it, which are to go or to be moved."""
        for known in [known for known in self._open if known == path or known.startswith(path + "/")]:
            os.close(self._open.pop(known))

    def close(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def _keep(self, path: str, descriptor: int) -> None:
        self._open[path] = descriptor
        if len(self._open) > _MOST_OPEN:
            os.close(self._open.popitem(last=False)[1])

    def __enter__(self) -> Folders:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def ensure_folder(name: str, above: int, mode: int) -> int:
    """A descriptor of the folder ``name`` in ``above``, durably made if it is not there.

    Raises:
        OSError: it can be neither found nor made; a link is not followed.
    """
    try:
        return os.open(name, FOLDER_FLAGS, dir_fd=above)
    except FileNotFoundError:
        with suppress(FileExistsError):  # another process was faster
            os.mkdir(name, mode, dir_fd=above)
        os.fsync(above)
        return os.open(name, FOLDER_FLAGS, dir_fd=above)


def permissions(found: os.stat_result) -> int:
    """The mode that is captured."""
    return found.st_mode & PERMISSIONS


def set_permissions(descriptor: int, mode: int) -> None:
    """Set the bits that are captured, and leave the others as they are."""
    uncaptured = stat.S_IMODE(os.fstat(descriptor).st_mode) & ~PERMISSIONS
    os.fchmod(descriptor, mode | uncaptured)


def set_mode(name: str, folder: int, mode: int) -> None:
    """Set a mode, and make durable what it is the mode of: a file's body, a folder's names."""
    descriptor = os.open(name, FILE_FLAGS, dir_fd=folder)
    try:
        set_permissions(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def at_once(sync: Callable[[T], None], items: Sequence[T]) -> None:
    """Sync ``items``: several at once, so that the file system does it in few commits."""
    if len(items) <= _AT_ONCE:
        for item in items:
            sync(item)
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(sync, items))


def list_names(folder: int) -> list[str]:
    """The names in a folder, in no order."""
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def write_whole(descriptor: int, body: bytes) -> None:
    """Write all of ``body``; the system may take less of it at a time."""
    rest = memoryview(body)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def replace_file(folder: int, name: str, body: bytes, *, durable: bool) -> None:
    """Make ``body`` the content of ``name`` in ``folder``: all of it or nothing, whenever the process ends."""
    fresh = f"{name}.new"
    with suppress(FileNotFoundError):  # it may be anything: a pipe, a name of a file elsewhere
        os.unlink(fresh, dir_fd=folder)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder)
    try:
        write_whole(descriptor, body)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
    if durable:
        os.fsync(folder)


def read_file(folder: int, name: str) -> bytes | None:
    """The content of ``name`` in ``folder``; ``None`` if it is not there."""
    try:
        descriptor = os.open(name, FILE_FLAGS, dir_fd=folder)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read()
