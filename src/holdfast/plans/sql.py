"""The one adapter of :class:`~holdfast.plans.store.PlanStore`, for both dialects."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from holdfast import codec
from holdfast.clock import to_datetime, to_micros
from holdfast.errors import NotSerialisable, reason
from holdfast.gateway import ProposedRoute, Route, RoutingTable, SqlRoutingTable, validate
from holdfast.ids import parse_id
from holdfast.pages import EVERYTHING, Page, page_of, parse_cursor, rows_wanted
from holdfast.plans.errors import InvalidPlan, PlanDamaged, PlanExists
from holdfast.plans.model import PlanResult, PlanRun, PlanStatus, check_base, plan_digest
from holdfast.store import Row, Transaction, as_transaction, load_queries
from holdfast.text import check_texts

_q = load_queries("holdfast.plans")
_CREATED = 6
"""Where this column is in the part ``plan`` of the queries."""
_BIRTH = (PlanStatus.PROJECTED, PlanStatus.FAILED)


class SqlPlanStore:
    """:class:`~holdfast.plans.store.PlanStore` over a transaction.

    Args:
        tx: the transaction.
        routes: the routing table that the live gateway reads, in the same transaction; the store's own by default.
    """

    def __init__(self, tx: Transaction, routes: RoutingTable | None = None) -> None:
        self._tx = as_transaction(tx)
        self._routes = routes or SqlRoutingTable(tx)

    def insert(self, run: PlanRun) -> None:
        if not self._tx.execute(_q["insert_plan"], check_texts(_born(run))):
            raise PlanExists(run.id)

    def get(self, plan_id: UUID) -> PlanRun | None:
        row = self._tx.fetch_one(_q["get_plan"], {"id": str(parse_id(plan_id))})
        return _plan(row) if row else None

    def locked(self, plan_id: UUID) -> PlanRun | None:
        row = self._tx.fetch_one(_q["lock_plan"], {"id": str(parse_id(plan_id))})
        return _plan(row) if row else None

    def list(
        self, status: PlanStatus | None = None, *, limit: int | None = None, after: str | None = None
    ) -> Page[PlanRun]:
        at, num = parse_cursor(after, 2, EVERYTHING)
        params: dict[str, Any] = {"at": at, "num": num, "limit": rows_wanted(limit)}
        if status is None:
            rows = self._tx.fetch(_q["list_plans"], params)
        else:
            rows = self._tx.fetch(_q["list_by_status"], params | {"status": str(status)})
        return page_of(rows, limit, _plan, lambda row: f"{row[_CREATED]}.{row[-1]}")

    def mark_applied(self, plan_id: UUID, applied_at: datetime, routes: Sequence[ProposedRoute]) -> PlanStatus | None:
        at, checked = to_micros(applied_at), validate(routes)  # what can be refused is refused before any writing
        plan = self.locked(plan_id)
        if plan is None or plan.status is not PlanStatus.PROJECTED:
            return plan.status if plan else None
        before = self._routes.locked()
        inverse = codec.encode(before.routes, what="What was live before")
        revision = self._routes.replace_routes(checked) if checked else before.revision
        moved = {"id": str(plan.id), "at": at, "revision": revision, "inverse": inverse}
        self._tx.execute(_q["mark_applied"], moved)
        return plan.status

    def mark_reverted(self, plan_id: UUID, reverted_at: datetime) -> PlanStatus | None:
        at = to_micros(reverted_at)
        plan = self.locked(plan_id)
        self._tx.execute(_q["mark_reverted"], {"id": str(parse_id(plan_id)), "at": at})
        return plan.status if plan else None


def _born(run: PlanRun) -> dict[str, Any]:
    """The columns that a plan begins with.

    Raises:
        InvalidPlan, InvalidRoute, DuplicateRoute, AmbiguousRoutes, PayloadTooLarge: it cannot begin so.
    """
    check_base(run.base_revision)
    validate(run.result.proposed_routes)
    plan_digest(run.base_revision, run.result)
    run = _read_back(run)
    later = (run.applied_at, run.applied_revision, run.inverse, run.reverted_at)
    if run.status not in _BIRTH or any(value is not None for value in later):
        raise InvalidPlan(f"The plan {run.id} cannot begin as {run.status}: it is applied by apply_plan alone.")
    return {
        "id": str(parse_id(run.id)),
        "status": str(run.status),
        "base_revision": run.base_revision,
        "digest": run.digest,
        "result": codec.encode(run.result, what="The plan's result"),
        "error": codec.encode(run.error, what="The plan's error") if run.error is not None else None,
        "created_at": to_micros(run.created_at),
    }


def _read_back(run: PlanRun) -> PlanRun:
    """The plan as it will be read, so that no field of a wrong type spoils the lists it would be in.

    Raises:
        InvalidPlan, PayloadTooLarge: nobody could read it.
    """
    try:
        found: PlanRun = codec.decode(codec.encode(run, what="The plan"), PlanRun, what="The plan")
    except NotSerialisable as error:
        raise InvalidPlan(error.message) from error
    return found


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else to_datetime(micros)


def _plan(row: Row) -> PlanRun:
    """Raises:
    PlanDamaged: it does not read back.
    """
    try:
        return _made(row)
    except (ValueError, OverflowError) as error:  # NotSerialisable is a ValueError
        raise PlanDamaged(f"The plan {row[0]} does not read back: {reason(error)}") from error


def _made(row: Row) -> PlanRun:
    return PlanRun(
        id=UUID(row[0]),
        status=PlanStatus(row[1]),
        base_revision=row[2],
        digest=row[3],
        result=codec.decode(row[4], PlanResult),
        error=codec.decode(row[5]) if row[5] else None,
        created_at=to_datetime(row[_CREATED]),
        applied_at=_moment(row[7]),
        applied_revision=row[8],
        inverse=codec.decode(row[9], list[Route]) if row[9] else None,
        reverted_at=_moment(row[10]),
    )
