"""What was last seen of each file, so that one that has not changed is not read again.

An entry is believed only while size, inode and both times of the file are those that were seen, and only if the file
was last changed before the scan that read it began, by the file system's own clock at its own granularity: a file that
was changed in the same tick may change again without any of these figures telling, so it is read again (as git does
with "racily clean" files). The time of change (ctime) is the one that counts: nobody can set it back.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from holdfast.worlds.directory.folders import permissions, read_file, replace_file
from holdfast.worlds.directory.records import File

log = logging.getLogger("holdfast.worlds")
_NAME = "index"
_FORM = b"holdfast-index 1\n"
_CHECK_BYTES = 16
_UNSAVED = 1 / 32
"""What share of the files the next process may have to read again: less of it is not worth writing the whole file."""


class _Seen(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A file as it was seen; times in nanoseconds."""

    size: int
    inode: int
    modified: int
    changed: int
    record: File


class Index:
    """The files of one account and region, by path. In memory, and in a file for the next process.

    The file is a cache: one that is missing, damaged or of another form is as good as none.
    """

    def __init__(self, private: int) -> None:
        self._seen = _load(private)
        self._unsaved = 0

    def find(self, path: str, found: os.stat_result) -> File | None:
        """The record of a file that has not changed since it was seen."""
        seen = self._seen.get(path)
        if (
            seen is not None
            and seen.changed == found.st_ctime_ns
            and seen.modified == found.st_mtime_ns
            and seen.size == found.st_size
            and seen.inode == found.st_ino
            and seen.record.mode == permissions(found)
        ):
            return seen.record
        return None

    def note(self, path: str, found: os.stat_result, record: File, began: int) -> None:
        """Note that the file was read, by a scan that began at ``began`` (the file system's time, nanoseconds)."""
        self._unsaved += 1
        if max(found.st_ctime_ns, found.st_mtime_ns) < began:
            self._seen[path] = _Seen(found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, record)
        else:
            self._seen.pop(path, None)

    def keep(self, paths: Iterable[str]) -> None:
        """Forget all files but these."""
        gone = self._seen.keys() - paths
        for path in gone:
            del self._seen[path]
        self._unsaved += len(gone)

    def save(self, private: int) -> None:
        """Write the file, if enough is new. Not being able to costs the next process time, nothing else."""
        if self._unsaved <= len(self._seen) * _UNSAVED:
            return
        body = msgspec.json.encode(self._seen)
        try:
            replace_file(private, _NAME, _FORM + _checksum(body) + body, durable=False)
        except OSError as error:
            log.info("the index of a directory could not be saved: %s", error)
        self._unsaved = 0


def _load(private: int) -> dict[str, _Seen]:
    try:
        text = read_file(private, _NAME) or b""
        if not text.startswith(_FORM):
            return {}
        check, body = text[len(_FORM) :][:_CHECK_BYTES], text[len(_FORM) + _CHECK_BYTES :]
        return msgspec.json.decode(body, type=dict[str, _Seen]) if check == _checksum(body) else {}
    except (OSError, msgspec.MsgspecError) as error:
        log.info("the index of a directory is not used: %s", error)
        return {}


def _checksum(body: bytes) -> bytes:
    return blake2b(body, digest_size=_CHECK_BYTES).digest()
