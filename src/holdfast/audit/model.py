"""Records of the audit chain, and how one is hashed. Pure: no I/O.

``hash = SHA-256(prev_hash ‖ JCS(row))``: ``prev_hash`` is the 32 bytes of the previous row's hash (zeros before the
first), ``JCS`` the canonical JSON of RFC 8785. The hash covers neither itself nor the signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import rfc8785

GENESIS = "0" * 64
"""What stands for the previous hash of the first row."""


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
        hash: hex of its hash.
        key_id, signature: of the Ed25519 signature over the hash, hex, where the store signs.
    """

    seq: int
    at: datetime
    actor: str
    act: str
    subject: str
    detail: dict[str, Any]
    hash: str
    key_id: str | None = None
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: ``seq`` 0 and :data:`GENESIS` while it is empty."""

    seq: int
    hash: str


def chain_hash(prev_hash: str, *, seq: int, at: int, actor: str, act: str, subject: str, detail: Any) -> str:
    """The hash of a row that follows the row of ``prev_hash``, both in hex; ``at`` in microseconds since the epoch."""
    row = {"act": act, "actor": actor, "at": at, "detail": detail, "seq": seq, "subject": subject}
    return sha256(bytes.fromhex(prev_hash) + rfc8785.dumps(row)).hexdigest()
