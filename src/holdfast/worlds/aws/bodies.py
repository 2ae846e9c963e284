"""The large parts of resources: in the store, by digest."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256

from holdfast.store import Store, Transaction
from holdfast.store.blobs import get_blobs, kept_for_good, put_blobs
from holdfast.worlds.errors import MissingBlob

STAGED_BYTES = 64 * 1024 * 1024
"""So much that nobody has asked to be stored may wait in memory."""
MOST_KNOWN = 200_000
"""Digests that are known to be stored: one that is forgotten is stored, or asked for, once more."""


class StoredBodies:
    """Bodies that are put in memory first, and stored with what names them.

    Args:
        store: where they are kept for good.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._staged: dict[str, bytes] = {}
        self._size = 0
        self._enough = STAGED_BYTES
        self._known: set[str] = set()
        self._loaded: dict[str, bytes] = {}

    def put(self, body: bytes) -> str:
        digest = sha256(body).hexdigest()
        with self._lock:
            if digest not in self._known and digest not in self._staged:
                self._staged[digest] = body
                self._size += len(body)
        return digest

    def get(self, digest: str) -> bytes:
        found = self._loaded.get(digest)
        if found is None:
            found = self._staged.get(digest)
        if found is None:
            found = self._store.read(lambda tx: get_blobs(tx, [digest])).get(digest)
        if found is None:
            raise MissingBlob([digest])
        return found

    def missing(self, digests: Iterable[str]) -> set[str]:
        with self._lock:
            unknown = set(digests) - self._known - self._staged.keys()
        if not unknown:
            return unknown
        stored = self._store.read(lambda tx: kept_for_good(tx, unknown))
        with self._lock:
            self._learn(stored)
        return unknown - stored

    @contextmanager
    def loaded(self, digests: Iterable[str]) -> Iterator[None]:
        """Have these bodies at hand during the block, fetched at once.

        Raises:
            MissingBlob: some are not there.
        """
        wanted = set(digests)
        here = {digest: self._staged[digest] for digest in wanted if digest in self._staged}
        there = wanted - here.keys()
        stored = self._store.read(lambda tx: get_blobs(tx, there)) if there else {}
        if lost := there - stored.keys():
            raise MissingBlob(lost)
        self._loaded = here | stored
        try:
            yield
        finally:
            self._loaded = {}

    def staged(self, digests: Iterable[str]) -> dict[str, bytes]:
        """Those of these bodies that are not stored yet."""
        with self._lock:
            return {digest: self._staged[digest] for digest in digests if digest in self._staged}

    def write(self, tx: Transaction, bodies: dict[str, bytes]) -> None:
        """Store bodies, as part of a transaction; :meth:`stored` is to follow its commit."""
        if bodies:
            put_blobs(tx, bodies)

    def stored(self, bodies: Collection[str]) -> None:
        """Take note that these are stored."""
        with self._lock:
            self._learn(bodies)
            for digest in bodies:
                self._size -= len(self._staged.pop(digest, b""))

    def _learn(self, stored: Iterable[str]) -> None:
        """To be called with the lock held."""
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        self._known.update(stored)

    def keep(self, bodies: dict[str, bytes]) -> None:
        """Store bodies now: those that were :meth:`staged` when what names them was seen."""
        if bodies:
            self._store.run(lambda tx: self.write(tx, bodies), idempotent=True)
            self.stored(bodies)

    @property
    def crowded(self) -> bool:
        """Whether it is time to :meth:`thin` what is staged."""
        return self._size > self._enough

    def thin(self, named: set[str]) -> None:
        """Forget what is staged and not among those ``named``."""
        with self._lock:
            self._staged = {digest: body for digest, body in self._staged.items() if digest in named}
            self._size = sum(map(len, self._staged.values()))
            self._enough = max(STAGED_BYTES, 2 * self._size)  # what is named stays: to look again soon finds no more
