"""An archive into a world, without trust in any of it.

Nothing is ever unpacked to where a name in the archive says: names are compared with those that there can be.
"""

from __future__ import annotations

import re
import stat
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import msgspec

from holdfast.store import Store
from holdfast.store.blobs import put_blobs
from holdfast.worlds.comparing import Part, Views
from holdfast.worlds.errors import InvalidScope, MissingBlob, UnknownService
from holdfast.worlds.exchange.layout import (
    BODIES,
    DIGEST,
    FORMAT,
    MANIFEST,
    MOST_ENTRIES,
    MOST_ENTRY_BYTES,
    MOST_MANIFEST_BYTES,
    Contents,
    Held,
    InvalidWorldArchive,
    Manifest,
    Told,
    UnreadableArchive,
    body_path,
)
from holdfast.worlds.manifests import BATCH_BYTES
from holdfast.worlds.model import StateView
from holdfast.worlds.service import StatefulService, ViewChecker
from holdfast.worlds.world import World

_BODY = re.compile(f"{BODIES}({DIGEST})", re.ASCII)
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_UNIX = 3
_BROKEN = (BadZipFile, struct.error, NotImplementedError, RuntimeError, EOFError, ValueError, OverflowError, OSError)
"""What the reader of zips raises about bytes that are none."""


class Archive:
    """An archive that is open: its head was read, what it holds is checked as it is asked for.

    Attributes:
        contents: how much it holds.
    """

    def __init__(self, archive: ZipFile, size: int) -> None:
        self._archive = archive
        self._entries = _entries(archive, size)
        self._manifest = self._read_manifest()
        self._bodies = self._check_names()
        resources = sum(held.resources for held in self._manifest.views)
        self.contents = Contents(len(self._manifest.views), resources, len(self._bodies), size)

    def take_in(
        self, store: Store, world: World, check_part: Callable[[Part], object], told: Told = lambda *_: None
    ) -> Views:
        """The views, once all that they need is in ``store``; the world is as it was.

        Args:
            world: whose views they are to become.
            check_part: raises for a service and scope that cannot be the world's.
            told: hears of progress.

        Raises:
            InvalidWorldArchive: something in it is not what it is said to be.
            UnknownService, InvalidView, ViewVersion: a view that the world would not take.
            MissingBlob: a view names bodies that neither the archive nor the store has.
        """
        views = {held.part: self._view(held, world, check_part) for held in self._manifest.views}
        lacking = {digest for part, view in views.items() for digest in _lacking(world.services[part[0]], part, view)}
        if lost := lacking - self._bodies:
            raise MissingBlob(lost)
        self._store_bodies(store, sorted(lacking), told)
        return views

    def _view(self, held: Held, world: World, check_part: Callable[[Part], object]) -> StateView[Any]:
        if held.service not in world.services:
            raise UnknownService(world.name, held.service, world.services)
        check_part(held.part)
        text = self._read(held.path, MOST_ENTRY_BYTES)
        if sha256(text).hexdigest() != held.digest:
            raise InvalidWorldArchive(f"{held.path} is not what {MANIFEST} tells of.")
        view: StateView[Any] = world.services[held.service].decode(text)
        if len(view.resources) != held.resources:
            raise InvalidWorldArchive(f"{held.path} has {len(view.resources)} resources, not {held.resources}.")
        return view

    def _store_bodies(self, store: Store, digests: list[str], told: Told) -> None:
        waiting: dict[str, bytes] = {}
        size = 0
        for done, digest in enumerate(digests, 1):
            body = self._read(body_path(digest), MOST_ENTRY_BYTES)
            if sha256(body).hexdigest() != digest:
                raise InvalidWorldArchive(f"The body {body_path(digest)} has another digest.")
            waiting[digest] = body
            size += len(body)
            if size >= BATCH_BYTES or done == len(digests):
                store.run(partial(put_blobs, bodies=waiting), idempotent=True)
                waiting, size = {}, 0
            told(done, len(digests))

    def _read_manifest(self) -> Manifest:
        text = self._read(MANIFEST, MOST_MANIFEST_BYTES)
        try:
            written = msgspec.json.decode(text, type=_Head).format
            if written != FORMAT:
                told = f"It has the format {written}, this Holdfast reads {FORMAT}."
                raise InvalidWorldArchive(told, remedy="Read it with the Holdfast version that wrote it.")
            found = msgspec.json.decode(text, type=Manifest)
            parts = [held.part for held in found.views]
        except (msgspec.DecodeError, UnicodeError, RecursionError, InvalidScope) as error:
            raise InvalidWorldArchive(f"Its {MANIFEST} is none: {error}") from error
        if parts != sorted(set(parts)):
            raise InvalidWorldArchive(f"Its {MANIFEST} names a view twice, or in another order than theirs.")
        return found

    def _check_names(self) -> set[str]:
        """The digests of the bodies; nothing else is there but what the manifest tells of."""
        expected = {MANIFEST, *(held.path for held in self._manifest.views)}
        if absent := expected - self._entries.keys():
            raise InvalidWorldArchive(f"It has no {min(absent)}.")
        bodies = {name: _BODY.fullmatch(name) for name in self._entries.keys() - expected}
        if strange := sorted(name for name, found in bodies.items() if not found):
            raise InvalidWorldArchive(f"{strange[0]!r:.200} has no place in it.")
        return {found[1] for found in bodies.values() if found}

    def _read(self, name: str, most: int) -> bytes:
        entry = self._entries.get(name)
        if entry is None:
            raise InvalidWorldArchive(f"It has no {name}.")
        if entry.file_size > most:
            raise InvalidWorldArchive(f"{name} has {entry.file_size:,} bytes, more than {most:,}.")
        try:
            return self._archive.read(entry)
        except _BROKEN as error:
            raise InvalidWorldArchive(f"{name} cannot be read: {error}") from error


class _Head(msgspec.Struct):
    """What every manifest has, whatever its format."""

    format: int


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """The archive in a file.

    Raises:
        UnreadableArchive: there is no file that can be read.
        InvalidWorldArchive: it is none, or a damaged one.
    """
    with _opened(path) as file:
        try:
            found = ZipFile(file)
        except _BROKEN as error:
            raise InvalidWorldArchive(f"{path} is no archive of a world: {error}.") from error
        with found:
            yield Archive(found, path.stat().st_size)


def _opened(path: Path) -> BinaryIO:
    """What is a file; a pipe would be waited for."""
    try:
        if path.is_file():
            return path.open("rb")
    except (OSError, ValueError) as error:
        raise UnreadableArchive(f"{path} cannot be read: {getattr(error, 'strerror', error)}.") from error
    raise UnreadableArchive(f"{path} is no file.")


def _entries(archive: ZipFile, size: int) -> Mapping[str, ZipInfo]:
    """Raises:
    InvalidWorldArchive: entries of a kind that is not written, or more in them than the file has bytes.
    """
    listed = archive.infolist()
    if len(listed) > MOST_ENTRIES:
        raise InvalidWorldArchive(f"It has {len(listed):,} entries, more than {MOST_ENTRIES:,}.")
    entries = {entry.filename: entry for entry in listed}
    if len(entries) != len(listed):
        raise InvalidWorldArchive("It has two entries of one name.")
    for entry in listed:
        if entry.compress_type != ZIP_STORED or entry.compress_size != entry.file_size:
            raise InvalidWorldArchive(f"{entry.filename!r:.200} is compressed.")
        if entry.flag_bits & _ENCRYPTED:
            raise InvalidWorldArchive(f"{entry.filename!r:.200} is encrypted.")
        kind = stat.S_IFMT(entry.external_attr >> 16) if entry.create_system == _UNIX else 0
        if kind not in (0, stat.S_IFREG):
            raise InvalidWorldArchive(f"{entry.filename!r:.200} is a link, a folder or a device.")
    if sum(entry.file_size for entry in listed) > size:  # several may claim the same bytes
        raise InvalidWorldArchive("Its entries claim more bytes than it has.")
    return entries


def _lacking(service: StatefulService[Any], part: Part, view: StateView[Any]) -> set[str]:
    """The bodies that ``view`` names and the store has not, of a view that is sound in all other respects.

    Raises:
        InvalidView, ViewVersion: it is not.
    """
    try:
        if isinstance(service, ViewChecker):
            service.check(view)
        else:
            service.merge(*part[1], view, dry_run=True)
    except MissingBlob as error:
        return set(error.digests)
    return set()
