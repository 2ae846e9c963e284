"""The port of the plans' persistence: the clauses PL-1 to PL-4 of the contract."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from holdfast.gateway import ProposedRoute
from holdfast.pages import Page
from holdfast.plans.model import PlanRun, PlanStatus


class PlanStore(Protocol):
    """Gateway plans, within one transaction, beside the routing table that the live gateway reads.

    Plans are kept as they were handed over; whether they still are what was reviewed is judged when they are applied.
    """

    def insert(self, run: PlanRun) -> None:
        """Add a plan that is projected or failed.

        Raises:
            PlanExists: its id is taken.
            InvalidPlan: another status, a field that only a later status has, or a projection without JSON.
            InvalidRoute, DuplicateRoute, AmbiguousRoutes: no set of routes to apply (PL-14).
        """
        ...

    def get(self, plan_id: UUID) -> PlanRun | None:
        """The plan, or ``None``."""
        ...

    def locked(self, plan_id: UUID) -> PlanRun | None:
        """:meth:`get`, and nobody changes the plan until this transaction ends (PL-7)."""
        ...

    def list(
        self, status: PlanStatus | None = None, *, limit: int | None = None, after: str | None = None
    ) -> Page[PlanRun]:
        """Plans, of one status or of all, newest first.

        Raises:
            ValueError: a negative limit or a malformed cursor.
        """
        ...

    def mark_applied(self, plan_id: UUID, applied_at: datetime, routes: Sequence[ProposedRoute]) -> PlanStatus | None:
        """Move a plan from ``projected`` to ``applied`` and put ``routes`` live in the place of all others: both or
        neither (PL-1, PL-8). It records ``applied_at``, the table's revision and the set that was live before (PL-9).

        A plan in any other status is left alone, and so is the table (PL-3). With no ``routes`` the status moves and
        the table is left alone (PL-4). The plan's row is locked before the table (PL-7).

        Returns:
            The status before; ``None`` when there is no such plan (PL-2).

        Raises:
            InvalidRoute, DuplicateRoute, AmbiguousRoutes: the set is refused, nothing is written (PL-14).
        """
        ...

    def mark_reverted(self, plan_id: UUID, reverted_at: datetime) -> PlanStatus | None:
        """Move a plan from ``applied`` to ``reverted``; a plan in any other status is left alone. The routes are
        restored by :meth:`~holdfast.gateway.RoutingTable.replace_routes` (PL-9).

        Returns:
            The status before; ``None`` when there is no such plan.
        """
        ...
