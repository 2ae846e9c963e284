"""Blobs: content-addressed bodies, stored once however often they are put."""

from __future__ import annotations

from hashlib import sha256

from holdfast.errors import NotFound, StoreError
from holdfast.store.queries import load_queries
from holdfast.store.transaction import Transaction

_queries = load_queries("holdfast.store")


class BlobNotFound(NotFound):
    """No body is stored under that digest."""

    code = "blob_not_found"
    remedy = "The body was pruned or never stored; put it again."


class BlobCorrupt(StoreError):
    """A stored body no longer has the digest it is filed under."""

    code = "blob_corrupt"
    remedy = "The database file was damaged or edited; restore it from a backup."


def put_blob(tx: Transaction, body: bytes) -> str:
    """Store ``body``; returns its SHA-256 digest in hex. Putting it again writes nothing."""
    digest = sha256(body).hexdigest()
    tx.execute(_queries["put_blob"], {"digest": digest, "body": body, "size": len(body), "at": tx.clock.micros()})
    return digest


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
