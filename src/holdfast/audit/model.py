"""Records of the audit chain, and how one is hashed and signed. Pure: no I/O.

``hash = SHA-256(prev_hash ‖ JCS(row))``: ``prev_hash`` is the 32 bytes of the previous row's hash (zeros before the
first), ``JCS`` the canonical JSON of RFC 8785. The hash covers neither itself nor the signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Protocol

import rfc8785

GENESIS = "0" * 64
"""What stands for the previous hash of the first row."""
_ROW_DOMAIN = b"holdfast.audit.row.v1\0"
_CHECKPOINT_DOMAIN = b"holdfast.audit.checkpoint.v1\0"
"""A signature made for one kind of record is worth nothing on another."""

StoredRow = tuple[
    int, int | None, str | None, str | None, str | None, str | None, str | None, str | None, str | None, str | None
]
"""A row as it is stored: ``seq, at, actor, act, subject, detail, prev_hash, hash, key_id, signature``.

``at`` is in microseconds since the epoch, ``detail`` JSON text. What is not of its column's type (somebody edited it, a
disk lost a bit) is ``None``, or ``""`` in the last two, where ``None`` means unsigned.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One administrative act.

    Attributes:
        seq: its place in the chain, from 1, without gaps.
        at: when, timezone-aware UTC.
        actor: who did it.
        act: what was done, e.g. ``"plan.applied"``.
        subject: to what, e.g. the plan's id.
        detail: a JSON object; its integers are below 2**53 in size (RFC 8785).
        prev_hash: hex of the hash of the row before it, or :data:`GENESIS`.
        hash: hex of its hash.
        key_id, signature: of the Ed25519 signature over the hash, hex, where the store signs.
    """

    seq: int
    at: datetime
    actor: str
    act: str
    subject: str
    detail: dict[str, Any]
    prev_hash: str
    hash: str
    key_id: str | None = None
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: ``seq`` 0 and :data:`GENESIS` while it is empty."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A head that was written down, to compare the chain with later.

    Attributes:
        seq, hash: the head as it was.
        at: when, in microseconds since the epoch.
        key_id, signature: of the Ed25519 signature over the three, hex, where the store signs.
    """

    seq: int
    hash: str
    at: int
    key_id: str | None = None
    signature: str | None = None


class PublicKey(Protocol):
    """What tells a true signature from a forged one.

    Attributes:
        key_id: what rows signed with it carry.
    """

    @property
    def key_id(self) -> str: ...

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is this key's, on ``message``."""
        ...


@dataclass(frozen=True, slots=True)
class Trust:
    """What a verifier asks of signatures.

    Attributes:
        keys: by key id; signatures are checked once there is one.
        signed_from: from this row on all must be signed; by default from the first signed one on.
        unsigned_ok: accept unsigned rows anywhere.
    """

    keys: Mapping[str, PublicKey] = field(default_factory=lambda: MappingProxyType({}))
    signed_from: int | None = None
    unsigned_ok: bool = False


def row_message(hash: str) -> bytes:
    """What the signature of the row of that hash signs.

    Raises:
        ValueError: not hex.
    """
    return _ROW_DOMAIN + bytes.fromhex(hash)


def checkpoint_message(seq: int, hash: str, at: int) -> bytes:
    """What the signature of a checkpoint signs."""
    return _CHECKPOINT_DOMAIN + sha256(rfc8785.dumps({"at": at, "hash": hash, "seq": seq})).digest()
