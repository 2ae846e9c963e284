"""What is kept of a deployed archive for all of its workflow types: its body, its manifest, its signatures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from holdfast.clock import to_micros
from holdfast.packages.archive.manifest import Manifest, write_manifest
from holdfast.packages.archive.signing import Signature
from holdfast.store import Transaction, load_queries
from holdfast.store.blobs import put_blob, release_blob

_q = load_queries("holdfast.packages")
_HOLDER = "packages"
"""Under what name all types of an archive hold its body together; that of a single type has a blank in it."""


def lock_archive(tx: Transaction, content_hash: str) -> None:
    """Whoever puts or drops the archive waits, until the transaction ends."""
    tx.lock("package archive " + content_hash)


def put_archive(
    tx: Transaction, content_hash: str, manifest: Manifest, body: bytes, signatures: Sequence[Signature], at: datetime
) -> None:
    """Store an archive, or store it again; signatures are added to those that it has."""
    lock_archive(tx, content_hash)
    row = {
        "content_hash": content_hash,
        "package": manifest.name,
        "label": manifest.label or "",
        "manifest": write_manifest(manifest).decode(),
        "deployed_at": to_micros(at),
    }
    tx.execute(_q["put_archive"], row)
    put_blob(tx, body, holder=_HOLDER, mend=True)
    for each in signatures:
        signed = {"key_id": each.key_id, "signature": bytes.fromhex(each.signature), "signed_at": to_micros(at)}
        tx.execute(_q["put_signature"], signed | {"content_hash": content_hash})


def drop_archive(tx: Transaction, content_hash: str) -> None:
    """Let an archive go if no workflow type has it any more."""
    lock_archive(tx, content_hash)
    named = {"content_hash": content_hash}
    if tx.fetch_one(_q["has_archive"], named) is not None:
        return
    for query in ("delete_archive", "delete_signatures", "delete_trouble"):
        tx.execute(_q[query], named)
    release_blob(tx, content_hash, _HOLDER)


def signatures_of(tx: Transaction, content_hash: str) -> list[Signature]:
    """The signatures that are stored for an archive, by key id; whether they are genuine is for others to see."""
    rows = tx.fetch(_q["list_signatures"], {"content_hash": content_hash})
    return [Signature(row[0], bytes(row[1]).hex()) for row in rows]


def package_of(tx: Transaction, workflow_type: str) -> str | None:
    """The package that a workflow type belongs to."""
    row = tx.fetch_one(_q["get_claim"], {"workflow_type": workflow_type})
    return str(row[0]) if row else None


def claim(tx: Transaction, workflow_type: str, package: str) -> None:
    """Have a workflow type belong to a package, whichever it belonged to."""
    tx.execute(_q["put_claim"], {"workflow_type": workflow_type, "package": package})


def has_versions(tx: Transaction, workflow_type: str) -> bool:
    """Whether any version of the workflow type is deployed."""
    return tx.fetch_one(_q["has_versions"], {"workflow_type": workflow_type}) is not None
