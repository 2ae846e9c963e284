"""What mutants are made of."""

from __future__ import annotations

from typing import ClassVar

from holdfast.audit import SqlAuditLog
from holdfast.gateway import SqlRoutingTable
from holdfast.plans import PlanPorts, SqlPlanStore
from holdfast.store import Transaction


class Plans(SqlPlanStore):
    """A plan store whose transaction and table a fault can get at."""

    def __init__(self, tx: Transaction, routes: SqlRoutingTable) -> None:
        super().__init__(tx, routes)
        self.tx = tx
        self.routes = routes


class Table(SqlRoutingTable):
    """A routing table whose transaction a fault can get at."""

    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx)
        self.tx = tx


class Mutant(PlanPorts):
    """A backend with a fault: in its plan store, its routing table, its audit log, or in what is done through them.

    Attributes:
        breaks: the clause that it violates.
    """

    breaks: ClassVar[str]
    Store: ClassVar[type[Plans]] = Plans
    Routing: ClassVar[type[Table]] = Table
    Log: ClassVar[type[SqlAuditLog]] = SqlAuditLog

    def __init__(self, tx: Transaction) -> None:
        routes = self.Routing(tx)
        super().__init__(self.Store(tx, routes), routes, self.Log(tx), tx.clock)
