"""The port of the audit chain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from holdfast.audit.model import AuditRow, Checkpoint, Head, StoredRow
from holdfast.pages import Page


class AuditLog(Protocol):
    """The chain of administrative acts, within one transaction.

    Verbs append in the transaction of the act itself (PL-6), as its last statement: the head is locked last, so that
    acts which wait for each other wait for their own records first (AU-4).
    """

    def append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
        """Add a row for an act of the transaction's actor, signed where the store signs (AU-1, AU-2, AU-3).

        Concurrent appenders queue from the first row on; a transaction that fails afterwards leaves no gap (AU-4).

        Raises:
            InvalidInput: a text or a detail that cannot be stored as canonical JSON.
            ChainBroken: the head was tampered with.
        """
        ...

    def head(self) -> Head:
        """The end of the chain.

        Raises:
            ChainBroken: the head was tampered with.
        """
        ...

    def last(self, subject: str, act: str) -> AuditRow | None:
        """The newest row of that act on that subject, or ``None`` (AU-8).

        Raises:
            RowDamaged: it does not read back.
        """
        ...

    def list(self, *, subject: str | None = None, limit: int | None = None, after: str | None = None) -> Page[AuditRow]:
        """Rows, of one subject or of all, newest first (AU-8).

        Raises:
            ValueError: a negative limit or a malformed cursor.
            RowDamaged: one does not read back.
        """
        ...

    def pages(self) -> Iterator[Sequence[StoredRow]]:
        """All rows as they are stored, by ``seq``, a page at a time; for verification. Raises nothing for damage."""
        ...

    def page(self, seq: int) -> Sequence[StoredRow]:
        """The page of :meth:`pages` that begins with the row ``seq``, or the next one there is."""
        ...

    def stored_head(self) -> Head:
        """:meth:`head` as it is stored, for verification; a head that does not read back equals no chain's."""
        ...

    def add_checkpoint(self, point: Checkpoint) -> None:
        """Keep a checkpoint (AU-6)."""
        ...

    def list_checkpoints(self, *, limit: int | None = None, after: str | None = None) -> Page[Checkpoint]:
        """Checkpoints, the furthest first.

        Raises:
            ValueError: a negative limit or a malformed cursor.
        """
        ...

    def stored_checkpoints(self) -> Sequence[Checkpoint]:
        """All checkpoints as they are stored, in no order, for verification."""
        ...
