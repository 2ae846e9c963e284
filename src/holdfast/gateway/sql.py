"""The one adapter of :class:`~holdfast.gateway.store.RoutingTable`, for both dialects."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast import codec
from holdfast.errors import NotSerialisable
from holdfast.gateway.errors import RoutesCorrupt, RoutesLost, RoutesMoved
from holdfast.gateway.model import Route, RouteSet, route_order, routes_digest
from holdfast.gateway.validation import validate
from holdfast.store import Transaction, as_transaction, load_queries

_q = load_queries("holdfast.gateway")


class SqlRoutingTable:
    """:class:`~holdfast.gateway.store.RoutingTable` over a transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = as_transaction(tx)

    def current(self) -> RouteSet:
        rows = self._tx.fetch(_q["current"])  # one statement: under READ COMMITTED two could see two commits
        if not rows:
            raise RoutesLost
        revision, recorded, _ = rows[0]
        try:
            routes = sorted((codec.decode(text, Route) for *_, text in rows if text is not None), key=route_order)
        except NotSerialisable as error:
            raise RoutesCorrupt(revision, recorded, "of no routes at all") from error
        found = routes_digest(routes)
        if found != recorded:
            raise RoutesCorrupt(revision, recorded, found)
        return RouteSet(revision=revision, routes=tuple(routes), digest=found)

    def locked(self) -> RouteSet:
        self._lock()  # alone: having waited for a lock, a statement has an old view of the rest
        return self.current()

    def replace_routes(self, routes: Iterable[Route], *, expected_revision: int | None = None) -> int:
        checked = validate(routes)
        actual = self._lock()
        if expected_revision not in (None, actual):
            raise RoutesMoved(expected_revision, actual)
        ((revision,),) = self._tx.fetch(_q["move_head"], {"digest": routes_digest(checked)})
        self._tx.execute(_q["clear_routes"])
        self._tx.execute(_q["insert_routes"], rows=[(route.id, codec.encode(route)) for route in checked])
        return int(revision)

    def _lock(self) -> int:
        """Wait for whoever changes the table; gives its revision."""
        row = self._tx.fetch_one(_q["lock_head"])
        if row is None:
            raise RoutesLost
        return int(row[0])
