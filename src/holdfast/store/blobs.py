"""Blobs: content-addressed bodies, stored once however often they are put.

Whoever will want to be rid of a body again puts it as a named holder and releases it later; the body goes with its
last holder. So one domain's clean-up never takes what another stored with the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256

from holdfast.errors import NotFound, StoreError
from holdfast.store.queries import load_queries
from holdfast.store.transaction import Row, Transaction

_queries = load_queries("holdfast.store")
FOR_GOOD = ""
"""The holder that never releases."""


class BlobNotFound(NotFound):
    """No body is stored under that digest."""

    code = "blob_not_found"
    remedy = "The body was pruned or never stored; put it again."


class BlobCorrupt(StoreError):
    """A stored body no longer has the digest it is filed under."""

    code = "blob_corrupt"
    remedy = "The database file was damaged or edited; restore it from a backup."


def put_blob(tx: Transaction, body: bytes, *, holder: str = FOR_GOOD, mend: bool = False) -> str:
    """Store ``body``; returns its SHA-256 digest in hex. Putting it again writes nothing.

    Args:
        holder: who needs it, until :func:`release_blob`.
        mend: write it also over a body that is there and was damaged.
    """
    digest = sha256(body).hexdigest()
    row = {"digest": digest, "body": body, "size": len(body), "at": tx.clock.micros(), "holder": holder}
    standing = False
    while not (standing or tx.execute(_queries["put_blob"], row)):
        standing = bool(tx.fetch(_queries["share_blob"], row))  # what was there may be gone by now
    if standing and mend:
        tx.execute(_queries["mend_blob"], row)
    tx.execute(_queries["hold_blob"], row)
    return digest


def release_blob(tx: Transaction, digest: str, holder: str, *, unless: Callable[[], bool] = lambda: False) -> None:
    """Say that ``holder`` needs the body no more; with its last holder it is deleted.

    Args:
        unless: asked while nobody else can take hold of the body: whether ``holder`` needs it after all.
    """
    named = {"digest": digest}
    locked = tx.fetch(_queries["lock_blob"], named)  # nobody takes hold of it while the holders are counted
    if unless():
        return
    tx.execute(_queries["release_blob"], {**named, "holder": holder})
    if locked or tx.fetch(_queries["lock_blob"], named):  # what was lost may have been put again just now
        tx.execute(_queries["drop_blob"], named)


def get_blob(tx: Transaction, digest: str) -> bytes:
    """The body with that digest, checked against it.

    Raises:
        BlobNotFound: there is none.
        BlobCorrupt: what is stored has another digest.
    """
    row = tx.fetch_one(_queries["get_blob"], {"digest": digest})
    if row is None:
        raise BlobNotFound(f"There is no blob {digest!r}.")
    body = bytes(row[0])
    if sha256(body).hexdigest() != digest:
        raise BlobCorrupt(f"The blob {digest} does not match its digest.")
    return body


def put_texts(tx: Transaction, texts: Mapping[str, str]) -> None:
    """Store many texts for good in a few statements, each by its digest (:func:`text_digest`)."""
    _put_all(tx, "put_texts", sorted((digest, text, len(text.encode())) for digest, text in texts.items()))


def put_blobs(tx: Transaction, bodies: Mapping[str, bytes]) -> None:
    """Store many bodies for good in a few statements, each by its SHA-256 digest in hex."""
    _put_all(tx, "put_blobs", sorted((digest, body, len(body)) for digest, body in bodies.items()))


def _put_all(tx: Transaction, query: str, rows: Sequence[Row]) -> None:
    digests = [(row[0],) for row in rows]
    standing = 0
    while standing < len(rows):  # one that was there may be gone again by the time it is to be shared
        tx.execute(_queries[query], {"at": tx.clock.micros()}, rows=rows)
        standing = len(tx.fetch(_queries["share_blobs"], rows=digests))
    tx.execute(_queries["keep_for_good"], rows=digests)


def kept_for_good(tx: Transaction, digests: Iterable[str]) -> set[str]:
    """Those of the ``digests`` whose bodies are stored and never go away."""
    return {row[0] for row in tx.fetch(_queries["kept_for_good"], rows=[(digest,) for digest in digests])}


def get_blobs(tx: Transaction, digests: Iterable[str]) -> dict[str, bytes]:
    """The bodies that are stored under these digests, checked against them; what is absent is left out.

    Raises:
        BlobCorrupt: what is stored has another digest.
    """
    found: dict[str, bytes] = {}
    for digest, body in tx.fetch(_queries["get_blobs"], rows=[(digest,) for digest in dict.fromkeys(digests)]):
        if sha256(body).hexdigest() != digest:
            raise BlobCorrupt(f"The blob {digest} does not match its digest.")
        found[digest] = bytes(body)
    return found


def text_digest(text: str) -> str:
    """What a text is stored under: the SHA-256 of its UTF-8, in hex."""
    return sha256(text.encode()).hexdigest()
