"""Mutants whose plan store is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from holdfast.errors import InvalidInput
from holdfast.gateway import ProposedRoute
from holdfast.gateway.errors import AmbiguousRoutes
from holdfast.plans import Application, PlanRun, PlanStatus, plan_digest
from holdfast.plans.errors import InvalidPlan, InvalidState, PlanNotFound
from holdfast.testing.plans.mutants.base import Mutant, Plans


class MovesTheStatusAnyway(Mutant):
    """Moves the status though the routes are refused."""

    breaks = "PL-1"

    class Store(Plans):
        def mark_applied(
            self, plan_id: UUID, applied_at: datetime, routes: Sequence[ProposedRoute]
        ) -> PlanStatus | None:
            try:
                return super().mark_applied(plan_id, applied_at, routes)
            except InvalidInput:
                super().mark_applied(plan_id, applied_at, [])
                raise


class StampsItsOwnTime(Mutant):
    """Takes the time of the mark from its own clock."""

    breaks = "PL-1"

    class Store(Plans):
        def mark_applied(
            self, plan_id: UUID, applied_at: datetime, routes: Sequence[ProposedRoute]
        ) -> PlanStatus | None:
            previous = super().mark_applied(plan_id, applied_at, routes)
            now = {"at": self.tx.clock.micros(), "id": str(plan_id)}
            self.tx.execute("UPDATE plan_runs SET applied_at = :at WHERE id = :id AND status = 'applied'", now)
            return previous


class SaysTheNewStatus(Mutant):
    """Answers with the status that the plan has now."""

    breaks = "PL-2"

    class Store(Plans):
        def mark_applied(
            self, plan_id: UUID, applied_at: datetime, routes: Sequence[ProposedRoute]
        ) -> PlanStatus | None:
            previous = super().mark_applied(plan_id, applied_at, routes)
            return PlanStatus.APPLIED if previous is PlanStatus.PROJECTED else previous

    def apply(self, plan_id: UUID, *, reviewed: str | None = None) -> Application:
        try:
            return super().apply(plan_id, reviewed=reviewed)
        except InvalidState as error:
            if error.status != PlanStatus.APPLIED:
                raise
            raise PlanNotFound(plan_id) from error


class RaisesForAbsence(Mutant):
    """Raises where None is due."""

    breaks = "PL-2"

    class Store(Plans):
        def mark_applied(
            self, plan_id: UUID, applied_at: datetime, routes: Sequence[ProposedRoute]
        ) -> PlanStatus | None:
            if self.get(plan_id) is None:
                raise PlanNotFound(plan_id)
            return super().mark_applied(plan_id, applied_at, routes)


class WritesRoutesFirst(Mutant):
    """Writes the routes, then looks at the status."""

    breaks = "PL-3"

    class Store(Plans):
        def mark_applied(
            self, plan_id: UUID, applied_at: datetime, routes: Sequence[ProposedRoute]
        ) -> PlanStatus | None:
            plan = self.get(plan_id)
            if plan and plan.status is not PlanStatus.PROJECTED and routes:
                self.routes.replace_routes(routes)
            return super().mark_applied(plan_id, applied_at, routes)


class AppliesRevertedPlans(Mutant):
    """Takes a reverted plan for one that can be applied again."""

    breaks = "PL-3"

    class Store(Plans):
        def mark_applied(
            self, plan_id: UUID, applied_at: datetime, routes: Sequence[ProposedRoute]
        ) -> PlanStatus | None:
            again = "UPDATE plan_runs SET status = 'projected' WHERE id = :id AND status = 'reverted'"
            reverted = self.tx.execute(again, {"id": str(plan_id)})
            previous = super().mark_applied(plan_id, applied_at, routes)
            return PlanStatus.REVERTED if reverted else previous


class EmptyWipesTheTable(Mutant):
    """Takes no routes for the order to have none."""

    breaks = "PL-4"

    class Store(Plans):
        def mark_applied(
            self, plan_id: UUID, applied_at: datetime, routes: Sequence[ProposedRoute]
        ) -> PlanStatus | None:
            previous = super().mark_applied(plan_id, applied_at, routes)
            if previous is PlanStatus.PROJECTED and not routes:
                self.routes.replace_routes([])
            return previous


class DigestsWhatItFinds(Mutant):
    """Makes the digest anew of whatever is stored, so that it always fits."""

    breaks = "PL-7"

    class Store(Plans):
        def locked(self, plan_id: UUID) -> PlanRun | None:
            plan = super().locked(plan_id)
            return plan and replace(plan, digest=plan_digest(plan.base_revision, plan.result))


class LastWriterWins(Mutant):
    """Applies a plan to whatever is live."""

    breaks = "PL-7"

    class Store(Plans):
        def locked(self, plan_id: UUID) -> PlanRun | None:
            plan = super().locked(plan_id)
            if plan is None or plan.digest != plan_digest(plan.base_revision, plan.result):
                return plan
            base = self.routes.current().revision
            return replace(plan, base_revision=base, digest=plan_digest(base, plan.result))


class AppliesNothingToAnything(Mutant):
    """Takes a plan that changes no route for one that fits whatever is live."""

    breaks = "PL-7"

    class Store(Plans):
        def locked(self, plan_id: UUID) -> PlanRun | None:
            plan = super().locked(plan_id)
            if plan is None or plan.result.proposed_routes or plan.digest != plan_digest(0, plan.result):
                return plan
            base = self.routes.current().revision
            return replace(plan, base_revision=base, digest=plan_digest(base, plan.result))


class KeepsWhatCannotBeRead(Mutant):
    """Does not look at the types of a plan's fields."""

    breaks = "PL-7"

    class Store(Plans):
        def insert(self, run: PlanRun) -> None:
            try:
                super().insert(run)
            except InvalidPlan:
                if isinstance(run.digest, str):
                    raise
                super().insert(replace(run, digest=""))


class AppliesTheNewestRoutes(Mutant):
    """Puts the routes of the plan proposed last live, whichever plan is applied."""

    breaks = "PL-7"

    class Store(Plans):
        def mark_applied(
            self, plan_id: UUID, applied_at: datetime, routes: Sequence[ProposedRoute]
        ) -> PlanStatus | None:
            newest = self.list(PlanStatus.PROJECTED, limit=1).items
            found = newest[0].result.proposed_routes if newest and routes else routes
            return super().mark_applied(plan_id, applied_at, found)


class RevertsUnderOthers(Mutant):
    """Reverts a plan on which others build."""

    breaks = "PL-9"

    class Store(Plans):
        def locked(self, plan_id: UUID) -> PlanRun | None:
            plan = super().locked(plan_id)
            if plan is None or plan.status is not PlanStatus.APPLIED:
                return plan
            return replace(plan, applied_revision=self.routes.current().revision)


class ProposesTies(Mutant):
    """Takes a plan with an ambiguous tie, to refuse it when it is too late."""

    breaks = "PL-14"

    class Store(Plans):
        def insert(self, run: PlanRun) -> None:
            with suppress(AmbiguousRoutes):
                return super().insert(run)
            super().insert(replace(run, result=replace(run.result, proposed_routes=[])))
            raise AmbiguousRoutes("first", "second", 0)
