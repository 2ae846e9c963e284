"""What people do with a plan: propose it, apply it, revert it.

Everybody locks in one order: the plan's row, the routing table, the audit chain's head.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from holdfast.audit import AuditLog, AuditRow, SqlAuditLog
from holdfast.clock import Clock, to_datetime
from holdfast.gateway import ProposedRoute, RouteSet, RoutingTable, SqlRoutingTable, routes_digest
from holdfast.plans.errors import DigestMismatch, InvalidState, PlanNotFound, StalePlan
from holdfast.plans.model import PlanRun, PlanStatus, new_plan, plan_digest
from holdfast.plans.sql import SqlPlanStore
from holdfast.plans.store import PlanStore
from holdfast.store import Transaction

APPLIED = "plan.applied"
REVERTED = "plan.reverted"
_TOLD = ("digest", "routes_before", "routes_after", "revision")
"""What the detail of such an audit row holds (PL-8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanAct:
    """What happened to the live routes, as the audit chain has it (PL-8).

    Attributes:
        plan_id: by which plan.
        digest: of the plan.
        routes_before, routes_after: digests of the live set.
        revision: of the routing table, afterwards.
        seq: the audit row's place in the chain.
        actor, at: by whom and when; timezone-aware UTC.
        repeated: it had happened before this call, whose first answer was lost (PL-5).
    """

    plan_id: UUID
    digest: str
    routes_before: str
    routes_after: str
    revision: int
    seq: int
    actor: str
    at: datetime
    repeated: bool = False


class Application(PlanAct):
    """A plan was applied."""


class Reversal(PlanAct):
    """A plan was reverted."""


A = TypeVar("A", bound=PlanAct)


class PlanPorts:
    """The ports of one transaction that plans need, and what is done through them.

    Args:
        plans, routes, audit: of one transaction.
        clock: where to read the time.
    """

    def __init__(self, plans: PlanStore, routes: RoutingTable, audit: AuditLog, clock: Clock) -> None:
        self.plans = plans
        self.routes = routes
        self.audit = audit
        self.clock = clock

    @classmethod
    def over(cls, tx: Transaction) -> PlanPorts:
        """Those of a Holdfast store."""
        return PlanPorts(SqlPlanStore(tx), SqlRoutingTable(tx), SqlAuditLog(tx), tx.clock)

    def apply(self, plan_id: UUID, *, reviewed: str | None = None) -> Application:
        """:func:`apply_plan` through these ports."""
        plan = self._plan(plan_id)
        if reviewed not in (None, plan.digest):
            raise DigestMismatch(plan_id, "What is stored", str(reviewed), plan.digest)
        if plan.status is PlanStatus.APPLIED:
            return _act(Application, plan, self._proof(plan, APPLIED), repeated=True)
        _expect(PlanStatus.PROJECTED, plan_id, plan.status)
        _check_content(plan)
        before = self.routes.locked()
        _check_revision(plan, plan.base_revision, before)
        previous = self.plans.mark_applied(plan_id, self._now(), plan.result.proposed_routes)
        _expect(PlanStatus.PROJECTED, plan_id, previous)
        return _act(Application, plan, self._append(APPLIED, plan, before))

    def revert(self, plan_id: UUID) -> Reversal:
        """:func:`revert_plan` through these ports."""
        plan = self._plan(plan_id)
        if plan.status is PlanStatus.REVERTED:
            return _act(Reversal, plan, self._proof(plan, REVERTED), repeated=True)
        _expect(PlanStatus.APPLIED, plan_id, plan.status)
        if plan.applied_revision is None or plan.inverse is None:
            raise InvalidState(plan_id, plan.status, " without an inverse")
        before = self.routes.locked()
        _check_revision(plan, plan.applied_revision, before)
        recorded, found = self._proof(plan, APPLIED).detail["routes_before"], routes_digest(plan.inverse)
        if found != recorded:
            raise DigestMismatch(plan_id, "The inverse", recorded, found)
        self.routes.replace_routes(plan.inverse, expected_revision=before.revision)
        _expect(PlanStatus.APPLIED, plan_id, self.plans.mark_reverted(plan_id, self._now()))
        return _act(Reversal, plan, self._append(REVERTED, plan, before))

    def _plan(self, plan_id: UUID) -> PlanRun:
        plan = self.plans.locked(plan_id)
        if plan is None:
            raise PlanNotFound(plan_id)
        return plan

    def _proof(self, plan: PlanRun, act: str) -> AuditRow:
        """The audit row without which nothing counts as done (PL-5).

        Raises:
            InvalidState: there is none.
            DigestMismatch: it tells of other content than the plan has now.
        """
        row = self.audit.last(str(plan.id), act)
        if row is None or not row.detail.keys() >= set(_TOLD):
            raise InvalidState(plan.id, plan.status, f", of which no audit row {act} tells")
        if row.detail["digest"] != plan.digest:
            raise DigestMismatch(plan.id, "What is stored", row.detail["digest"], plan.digest)
        return row

    def _append(self, act: str, plan: PlanRun, before: RouteSet) -> AuditRow:
        after = self.routes.current()
        detail = {
            "digest": plan.digest,
            "routes_before": before.digest,
            "routes_after": after.digest,
            "revision": after.revision,
        }
        return self.audit.append(act, str(plan.id), detail)

    def _now(self) -> datetime:
        return to_datetime(self.clock.micros())


def propose_plan(
    tx: Transaction,
    routes: Iterable[ProposedRoute],
    *,
    projection: dict[str, Any] | None = None,
    base_revision: int | None = None,
    id: UUID | None = None,
) -> PlanRun:
    """Store a plan to put ``routes`` live in the place of all others.

    Args:
        tx: the transaction.
        routes: the whole set.
        projection: what a replay says of it.
        base_revision: of the routing table that ``projection`` was made for; the present one by default.
        id: of the plan; a fresh one by default.

    Raises:
        PlanExists: the id is taken.
        InvalidRoute, DuplicateRoute, AmbiguousRoutes, InvalidPlan: it cannot be a plan.
    """
    base = SqlRoutingTable(tx).current().revision if base_revision is None else base_revision
    created_at = to_datetime(tx.clock.micros())
    plan = new_plan(base, routes, created_at=created_at, projection=projection, id=id)
    SqlPlanStore(tx).insert(plan)
    return plan


def apply_plan(tx: Transaction, plan_id: UUID, *, reviewed: str | None = None) -> Application:
    """Put a plan's stored routes live in the place of all others, and prove it in the audit chain: all or nothing, in
    this one transaction (PL-6 to PL-8).

    It needs no key to be run again: a plan that is applied already answers with the application that happened,
    ``repeated`` (PL-5).

    Args:
        tx: the transaction; its actor is who applies.
        plan_id: which plan.
        reviewed: the digest of what the actor reviewed, where it is known.

    Raises:
        PlanNotFound: unknown id.
        InvalidState: it is reverted or failed, or was marked applied without an audit row (PL-3).
        DigestMismatch: it is not what was reviewed, or its content was changed since (PL-7).
        StalePlan: the routing table has moved on since the plan was made (PL-7).
    """
    return PlanPorts.over(tx).apply(plan_id, reviewed=reviewed)


def revert_plan(tx: Transaction, plan_id: UUID) -> Reversal:
    """Restore the routes that were live before a plan, and prove it in the audit chain (PL-9). Repeated, it answers
    with the reversal that happened.

    Raises:
        PlanNotFound: unknown id.
        InvalidState: it was never applied.
        StalePlan: the routing table has moved on since it was applied: others build upon it.
        DigestMismatch: the stored inverse is not the set that the audit chain says was live before.
    """
    return PlanPorts.over(tx).revert(plan_id)


def _check_content(plan: PlanRun) -> None:
    found = plan_digest(plan.base_revision, plan.result)
    if found != plan.digest:
        raise DigestMismatch(plan.id, "What is stored", plan.digest, found)


def _check_revision(plan: PlanRun, known: int, live: RouteSet) -> None:
    if live.revision != known:
        raise StalePlan(plan.id, known, live.revision)


def _expect(wanted: PlanStatus, plan_id: UUID, previous: PlanStatus | None) -> None:
    """Raises:
    PlanNotFound, InvalidState: the plan was in another status, so that everything was left alone.
    """
    if previous is None:
        raise PlanNotFound(plan_id)
    if previous is not wanted:
        raise InvalidState(plan_id, previous)


def _act(kind: type[A], plan: PlanRun, row: AuditRow, *, repeated: bool = False) -> A:
    told = {name: row.detail[name] for name in _TOLD}
    return kind(plan_id=plan.id, **told, seq=row.seq, actor=row.actor, at=row.at, repeated=repeated)
