"""What mutants are made of."""

from __future__ import annotations

from typing import ClassVar

from holdfast.audit import SqlAuditLog
from holdfast.packages import PackagePorts, SqlPackageStore
from holdfast.store import Transaction


class Mutant(SqlPackageStore, PackagePorts):
    """A backend with a fault: a package store that is also the ports which it and an audit log make.

    Attributes:
        breaks: the clause that it violates.
        log: its audit log.
    """

    breaks: ClassVar[str]
    log: ClassVar[type[SqlAuditLog]] = SqlAuditLog

    def __init__(self, tx: Transaction) -> None:
        SqlPackageStore.__init__(self, tx)
        PackagePorts.__init__(self, self, self.log(tx))
        self.tx = tx


def is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()
