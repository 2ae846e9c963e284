"""The port of the audit chain."""

from __future__ import annotations

from typing import Any, Protocol

from holdfast.audit.model import AuditRow, Head
from holdfast.pages import Page


class AuditLog(Protocol):
    """The chain of administrative acts, within one transaction.

    Verbs append in the transaction of the act itself (PL-6), as its last statement: the head is locked last, so that
    acts which wait for each other wait for their own records first.
    """

    def append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
        """Add a row for an act of the transaction's actor; concurrent appenders queue, the chain never forks.

        Raises:
            InvalidInput: a text or a detail that cannot be stored as canonical JSON.
        """
        ...

    def head(self) -> Head:
        """The end of the chain."""
        ...

    def last(self, subject: str, act: str) -> AuditRow | None:
        """The newest row of that act on that subject, or ``None``."""
        ...

    def list(self, *, subject: str | None = None, limit: int | None = None, after: str | None = None) -> Page[AuditRow]:
        """Rows, of one subject or of all, newest first.

        Raises:
            ValueError: a negative limit or a malformed cursor.
        """
        ...
