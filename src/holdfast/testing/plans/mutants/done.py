"""Mutants that do, or prove, the wrong thing through sound stores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from holdfast.audit import AuditRow, SqlAuditLog
from holdfast.clock import to_datetime
from holdfast.errors import HoldfastError
from holdfast.plans import Application, PlanStatus, Reversal
from holdfast.plans.errors import ApplyError, InvalidState
from holdfast.testing.plans.mutants.base import Mutant, Table


class KnowsNoRepetition(Mutant):
    """Refuses whoever asks again, as the seed does."""

    breaks = "PL-5"

    def apply(self, plan_id: UUID, *, reviewed: str | None = None) -> Application:
        done = super().apply(plan_id, reviewed=reviewed)
        if done.repeated:
            raise InvalidState(plan_id, PlanStatus.APPLIED)
        return done


class AuditsEveryCall(Mutant):
    """Adds a row whenever it is asked, though nothing happens any more."""

    breaks = "PL-5"

    def apply(self, plan_id: UUID, *, reviewed: str | None = None) -> Application:
        done = super().apply(plan_id, reviewed=reviewed)
        if done.repeated:
            self.audit.append("plan.applied", str(plan_id), {"digest": done.digest})
        return done


class SucceedsWithoutProof(Mutant):
    """Writes the missing audit row of a plan that somebody marked, and calls that a success."""

    breaks = "PL-5"

    def apply(self, plan_id: UUID, *, reviewed: str | None = None) -> Application:
        plan = self.plans.get(plan_id)
        if plan and plan.status is PlanStatus.APPLIED and not self.audit.last(str(plan_id), "plan.applied"):
            live = self.routes.current()
            told = {"routes_before": live.digest, "routes_after": live.digest, "revision": live.revision}
            self.audit.append("plan.applied", str(plan_id), {"digest": plan.digest, **told})
        return super().apply(plan_id, reviewed=reviewed)


class GoesOnUnaudited(Mutant):
    """Takes an audit log that fails for no reason to stop: the routes are live, with no proof."""

    breaks = "PL-6"

    def apply(self, plan_id: UUID, *, reviewed: str | None = None) -> Application:
        try:
            return super().apply(plan_id, reviewed=reviewed)
        except ApplyError:
            raise
        except HoldfastError as error:
            told = self.routes.current()
            return Application(
                plan_id=plan_id,
                digest=error.code,
                routes_before=told.digest,
                routes_after=told.digest,
                revision=told.revision,
                seq=self.audit.head().seq,
                actor="nobody",
                at=to_datetime(self.clock.micros()),
            )


class AuditsFailures(Mutant):
    """Writes the row of an act that was refused."""

    breaks = "PL-3"

    def apply(self, plan_id: UUID, *, reviewed: str | None = None) -> Application:
        try:
            return super().apply(plan_id, reviewed=reviewed)
        except InvalidState:
            self.audit.append("plan.applied", str(plan_id), {"refused": True})
            raise


class AuditsTwice(Mutant):
    """Writes a row before the act and another one after it."""

    breaks = "PL-6"

    class Log(SqlAuditLog):
        def append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
            super().append(act, subject, detail)
            return super().append(act, subject, detail)


class IgnoresTheReview(Mutant):
    """Does not ask what the caller reviewed."""

    breaks = "PL-7"

    def apply(self, plan_id: UUID, *, reviewed: str | None = None) -> Application:
        return super().apply(plan_id)


class RevertGoesBackInTime(Mutant):
    """Gives the restored routes the revision that they had."""

    breaks = "PL-9"

    def revert(self, plan_id: UUID) -> Reversal:
        done = super().revert(plan_id)
        if not done.repeated:
            assert isinstance(self.routes, Table)
            self.routes.tx.execute("UPDATE routing_head SET revision = revision - 2")
        return done


class RevertsInSilence(Mutant):
    """Does not audit a revert."""

    breaks = "PL-9"

    class Log(SqlAuditLog):
        def append(self, act: str, subject: str, detail: dict[str, Any]) -> AuditRow:
            if act == "plan.applied":
                return super().append(act, subject, detail)
            row = self.last(subject, "plan.applied")
            assert row is not None
            return replace(row, act=act, detail=detail)
