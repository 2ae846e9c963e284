"""The audit chain: a hash-chained record of administrative acts, one per store."""

from __future__ import annotations

from holdfast.audit.chain import checkpoint, export_chain, verify_chain, verify_store
from holdfast.audit.findings import Fault, Finding, Verification
from holdfast.audit.model import GENESIS, AuditRow, Checkpoint, Head, PublicKey, StoredRow, Trust
from holdfast.audit.sql import SqlAuditLog
from holdfast.audit.store import AuditLog
from holdfast.audit.verify import verify

__all__ = [
    "GENESIS",
    "AuditLog",
    "AuditRow",
    "Checkpoint",
    "Fault",
    "Finding",
    "Head",
    "PublicKey",
    "SqlAuditLog",
    "StoredRow",
    "Trust",
    "Verification",
    "checkpoint",
    "export_chain",
    "verify",
    "verify_chain",
    "verify_store",
]
