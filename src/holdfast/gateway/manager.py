"""What people do to the routing table without a plan."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.audit import SqlAuditLog
from holdfast.gateway.errors import RoutesCorrupt
from holdfast.gateway.model import Route, RouteSet
from holdfast.gateway.sql import SqlRoutingTable
from holdfast.store import Transaction

REPLACED = "routes.replaced"
SUBJECT = "gateway"


def replace_routes(tx: Transaction, routes: Iterable[Route], *, expected_revision: int | None = None) -> RouteSet:
    """Put ``routes`` live in the place of all others, without a projection; audited. It also mends a table that was
    edited by hand.

    Raises:
        InvalidRoute, DuplicateRoute, AmbiguousRoutes: the set is refused (PL-14).
        RoutesMoved: the table is not at ``expected_revision``.
    """
    table = SqlRoutingTable(tx)
    try:
        before = table.locked().digest
    except RoutesCorrupt as error:
        before = error.recorded
    table.replace_routes(routes, expected_revision=expected_revision)
    after = table.current()
    detail = {"revision": after.revision, "routes_before": before, "routes_after": after.digest}
    SqlAuditLog(tx).append(REPLACED, SUBJECT, detail)
    return after
