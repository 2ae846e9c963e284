"""What a unit of the audit chain's suite is given: a log and a verifier, so that wrong ones of either can be put in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from holdfast.audit import (
    AuditLog,
    Checkpoint,
    Head,
    SqlAuditLog,
    StoredRow,
    Trust,
    Verification,
    checkpoint,
    verify,
)
from holdfast.store import Transaction


class AuditPorts(Protocol):
    """The audit chain within one transaction.

    Attributes:
        actor: the transaction's.
        log: the chain.
    """

    @property
    def actor(self) -> str: ...

    @property
    def log(self) -> AuditLog: ...

    def checkpoint(self) -> Checkpoint:
        """Write down the chain's head."""
        ...

    def verify(
        self,
        pages: Iterable[Sequence[StoredRow]],
        *,
        head: Head | None = None,
        checkpoints: Iterable[Checkpoint] = (),
        trust: Trust | None = None,
    ) -> Verification:
        """Verify these rows."""
        ...


class SqlAuditPorts:
    """:class:`AuditPorts` over a Holdfast transaction."""

    def __init__(self, tx: Transaction) -> None:
        self.tx = tx
        self.actor = tx.actor
        self.log: AuditLog = SqlAuditLog(tx)

    def checkpoint(self) -> Checkpoint:
        return checkpoint(self.tx)

    def verify(
        self,
        pages: Iterable[Sequence[StoredRow]],
        *,
        head: Head | None = None,
        checkpoints: Iterable[Checkpoint] = (),
        trust: Trust | None = None,
    ) -> Verification:
        return verify(pages, head=head, checkpoints=checkpoints, trust=trust)
