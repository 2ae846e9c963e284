"""The staging folder, where files and links are completed before they are moved into place."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from hashlib import sha256

from holdfast.worlds.directory.bodies import Bodies
from holdfast.worlds.directory.folders import at_once, list_names, set_mode, write_whole
from holdfast.worlds.directory.records import File, Link
from holdfast.worlds.errors import InvalidView
from holdfast.worlds.model import path_of

Probe = Callable[[str], None]


class Staging:
    """What is placed is in it under the number of its place in the list.

    Args:
        folder: descriptor of the folder; stays its giver's to close.
        probe: called with a name at each write point.
    """

    def __init__(self, folder: int, bodies: Bodies, probe: Probe) -> None:
        self.folder = folder
        self._bodies = bodies
        self._probe = probe

    def clear(self) -> None:
        """Remove what is left of a change that failed or was cut off."""
        for name in list_names(self.folder):
            os.unlink(name, dir_fd=self.folder)

    def fill(self, placed: list[tuple[str, File | Link]]) -> None:
        """Complete these files and links, and sync them.

        Raises:
            MissingBlob, BlobCorrupt: a body cannot be had.
            InvalidView: a body is not the one that its record describes.
        """
        self.clear()
        numbers = {path: str(number) for number, (path, _) in enumerate(placed)}
        files = [(path, entry) for path, entry in placed if isinstance(entry, File)]
        for path, file, pieces in self._bodies.of(files):
            self._probe(f"before staging {path}")
            _write_file(numbers[path], self.folder, path, file, pieces)
        for path, entry in placed:
            if isinstance(entry, Link):
                self._probe(f"before staging {path}")
                os.symlink(entry.target, numbers[path], dir_fd=self.folder)
        self._probe("before syncing")
        at_once(self._sync, [(numbers[path], file.mode) for path, file in files])

    def _sync(self, staged: tuple[str, int]) -> None:
        name, mode = staged
        set_mode(name, self.folder, mode)


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
