"""The audit chain: a hash-chained record of administrative acts, one per store."""

from __future__ import annotations

from holdfast.audit.model import AuditRow, Head
from holdfast.audit.sql import SqlAuditLog
from holdfast.audit.store import AuditLog

__all__ = ["AuditLog", "AuditRow", "Head", "SqlAuditLog"]
