"""Bodies on their way into the store and out of it, in slices, so that the writer is never held for long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256

from holdfast.store import Store
from holdfast.store.blobs import get_blobs, kept_for_good, put_blobs
from holdfast.worlds.directory.records import SLICE_BYTES, File
from holdfast.worlds.errors import MissingBlob

_MOST_AT_ONCE = 1024
_MOST_NOTED = 1_000_000


class Bodies:
    """The bodies of files, in a store. Not to be used inside a unit of work of that store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: set[str] = set()

    def missing(self, files: Iterable[File]) -> set[str]:
        """Digests of the blobs that ``files`` need and the store has not."""
        unsure = {digest for file in files for digest in file.blobs} - self._kept
        if unsure:
            found = self._store.read(lambda tx: kept_for_good(tx, unsure))
            self._note_kept(found)
            unsure -= found
        return unsure

    def put(self, bodies: dict[str, bytes]) -> None:
        """Store bodies by their digests."""
        self._store.run(lambda tx: put_blobs(tx, bodies), idempotent=True)
        self._note_kept(bodies)

    def _note_kept(self, digests: Iterable[str]) -> None:
        """What is kept for good need not be asked for again."""
        if len(self._kept) > _MOST_NOTED:
            self._kept = set()
        self._kept.update(digests)

    def fetch(self, digests: Iterable[str]) -> dict[str, bytes]:
        """The bodies with these digests.

        Raises:
            MissingBlob: some are not stored.
            BlobCorrupt: some were damaged.
        """
        wanted = set(digests)
        found = self._store.read(lambda tx: get_blobs(tx, wanted))
        if absent := wanted - found.keys():
            raise MissingBlob(absent)
        return found

    def of(self, files: list[tuple[str, File]]) -> Iterator[tuple[str, File, Iterator[bytes]]]:
        """Each file with its body in pieces: to be consumed in this order; small ones are fetched together."""
        group: list[tuple[str, File]] = []
        size = 0
        for path, file in files:
            if group and (size + file.size > SLICE_BYTES or len(group) == _MOST_AT_ONCE):
                yield from self._together(group)
                group, size = [], 0
            group.append((path, file))
            size += file.size
        yield from self._together(group)

    def _together(self, group: list[tuple[str, File]]) -> Iterator[tuple[str, File, Iterator[bytes]]]:
        small = {file.digest for _, file in group if not file.slices}
        found = self.fetch(small) if small else {}
        for path, file in group:
            if file.slices:
                yield path, file, (self.fetch([digest])[digest] for digest in file.slices)
            else:
                yield path, file, iter([found[file.digest]])


class Intake:
    """Takes bodies, and stores them some megabytes at a time; :meth:`flush` stores the rest."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._waiting: dict[str, bytes] = {}
        self._size = 0

    def take(self, mode: int, read: Callable[[int], bytes]) -> File:
        """The record of a file.

        Args:
            mode: its permissions.
            read: gives up to so many bytes of its body, fewer only at its end.
        """
        body = read(SLICE_BYTES + 1)
        if len(body) <= SLICE_BYTES:
            digest = self._add(body)
            return File(mode, len(body), digest)
        whole = sha256()
        slices: list[str] = []
        size = 0
        while body:
            piece, rest = body[:SLICE_BYTES], body[SLICE_BYTES:]
            whole.update(piece)
            size += len(piece)
            slices.append(self._add(piece))
            body = rest + read(SLICE_BYTES - len(rest))
        return File(mode, size, whole.hexdigest(), tuple(slices))

    def flush(self) -> None:
        """Store what waits."""
        if self._waiting:
            self._bodies.put(self._waiting)
        self._waiting, self._size = {}, 0

    def _add(self, body: bytes) -> str:
        digest = sha256(body).hexdigest()
        if self._size + len(body) > SLICE_BYTES or len(self._waiting) == _MOST_AT_ONCE:
            self.flush()
        self._waiting[digest] = body
        self._size += len(body)
        return digest
