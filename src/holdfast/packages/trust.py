"""Whose signatures count, and whether archives need one (PK-12)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from holdfast.audit import AuditRow, SqlAuditLog
from holdfast.audit.keys import Ed25519Verifier, parse_public_key
from holdfast.clock import to_datetime
from holdfast.packages.archive.errors import BadSignature, UnknownSignatureKey
from holdfast.packages.archive.signing import Signature, verify
from holdfast.packages.deployed import signatures_of
from holdfast.packages.errors import KeyNotTrusted, SignatureRequired
from holdfast.store import Transaction, as_transaction, load_queries
from holdfast.text import is_storable

TRUSTED = "package.key_trusted"
UNTRUSTED = "package.key_untrusted"
REQUIRED = "package.signatures_required"
SUBJECT = "package trust"
"""The subject of the audit rows of all three."""
_REQUIRED = "signatures_required"
_q = load_queries("holdfast.packages")


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key whose signatures count.

    Attributes:
        key_id: the first 16 hex digits of the SHA-256 of the public key.
        public_key: its 32 bytes.
        added_at: since when.
    """

    key_id: str
    public_key: bytes
    added_at: datetime


def trust_key(tx: Transaction, public_key: bytes) -> AuditRow | None:
    """Let the signatures of a key count. A key that is trusted already stays so, without a row: ``None``.

    Args:
        public_key: the 32 bytes of an Ed25519 key, :attr:`~holdfast.audit.keys.Ed25519Verifier.raw`.

    Raises:
        KeyInvalid: they are none.
        SigningUnavailable: the extra ``signing`` is not installed.
    """
    key = parse_public_key(public_key)
    _lock(tx)
    row = {"key_id": key.key_id, "public_key": key.raw, "added_at": tx.clock.micros()}
    if not tx.execute(_q["put_trusted"], row):
        return None
    return SqlAuditLog(tx).append(TRUSTED, SUBJECT, {"key_id": key.key_id, "public_key": key.raw.hex()})


def untrust(tx: Transaction, key_id: str) -> AuditRow:
    """Let the signatures of a key count no more. What was deployed with them stays deployed.

    Raises:
        KeyNotTrusted: they do not count anyway.
    """
    _lock(tx)
    if not is_storable(key_id) or not tx.execute(_q["delete_trusted"], {"key_id": key_id}):
        raise KeyNotTrusted(key_id)
    return SqlAuditLog(tx).append(UNTRUSTED, SUBJECT, {"key_id": key_id})


def trusted(tx: Transaction) -> list[TrustedKey]:
    """The keys whose signatures count, by id."""
    return [TrustedKey(row[0], bytes(row[1]), to_datetime(row[2])) for row in tx.fetch(_q["list_trusted"])]


def require_signatures(tx: Transaction, required: bool) -> AuditRow | None:
    """From now on, have every deploy need a signature by a trusted key, or not. What is deployed stays deployed.

    Returns:
        the row of the act; ``None`` where it was so already.
    """
    _lock(tx)
    before = signatures_required(tx)
    if before is required:
        return None
    tx.execute(_q["put_policy"], {"name": _REQUIRED, "value": "true" if required else "false"})
    return SqlAuditLog(tx).append(REQUIRED, SUBJECT, {"from": before, "to": required})


def signatures_required(tx: Transaction) -> bool:
    """Whether a deploy needs a signature by a trusted key."""
    row = tx.fetch_one(_q["get_policy"], {"name": _REQUIRED})
    return row is not None and row[0] == "true"


def check_signatures(tx: Transaction, content_hash: str, signatures: Sequence[Signature]) -> None:
    """See that an archive may be deployed with these signatures, and those that are stored for it.

    Raises:
        SignatureRequired: none is by a trusted key, and the policy asks for one.
        BadSignature: one in the name of a trusted key is not that key's.
    """
    keys = _verifiers(tx)
    genuine = [each for each in signatures if _counts(keys, content_hash, each)]
    if not genuine and signatures_required(tx) and not _is_signed(tx, keys, content_hash):
        raise SignatureRequired(content_hash)


def _is_signed(tx: Transaction, keys: dict[str, Ed25519Verifier], content_hash: str) -> bool:
    """Whether a signature that is stored counts; a forged one may have been let in before its key was trusted."""
    for each in signatures_of(tx, content_hash):
        with suppress(BadSignature):
            if _counts(keys, content_hash, each):
                return True
    return False


def _counts(keys: dict[str, Ed25519Verifier], content_hash: str, signature: Signature) -> bool:
    try:
        verify(keys, content_hash, signature)
    except UnknownSignatureKey:
        return False
    return True


def _verifiers(tx: Transaction) -> dict[str, Ed25519Verifier]:
    return {key.key_id: parse_public_key(key.public_key) for key in trusted(tx)}


def _lock(tx: Transaction) -> None:
    as_transaction(tx).lock(SUBJECT)
