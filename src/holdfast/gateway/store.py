"""The port of the routing table: what the live gateway reads (PL-1, PL-8, PL-9, PL-14)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from holdfast.gateway.model import Route, RouteSet


class RoutingTable(Protocol):
    """The live gateway routes, within one transaction.

    They change as a whole and carry one revision, which starts at 0 and only ever grows: also when the set becomes
    empty, and when an earlier set comes back (PL-8).
    """

    def current(self) -> RouteSet:
        """The whole table as of one commit, never part of a change (PL-1).

        Raises:
            RoutesCorrupt: the rows are not those that were written.
            RoutesLost: the row that holds the revision is gone.
        """
        ...

    def locked(self) -> RouteSet:
        """:meth:`current`, and nobody changes it until this transaction ends (PL-7). Whoever also needs a plan's row
        or the audit chain's head takes the plan before and the head after.

        Raises:
            RoutesCorrupt, RoutesLost: as :meth:`current`.
        """
        ...

    def replace_routes(self, routes: Iterable[Route], *, expected_revision: int | None = None) -> int:
        """Put ``routes`` in the place of all that are live; empty means empty (PL-8, PL-9). Returns the new revision.

        Args:
            routes: the new set.
            expected_revision: what it replaces; ``None``: whatever is there.

        Raises:
            InvalidRoute, DuplicateRoute, AmbiguousRoutes: the set is refused, nothing is written (PL-14).
            RoutesMoved: the table is at another revision, nothing is written.
            RoutesLost: as :meth:`current`.
        """
        ...
