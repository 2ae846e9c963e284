"""Gateway plans: reviewed proposals to change the live routes, applied atomically and audited."""

from __future__ import annotations

from holdfast.gateway import ProposedRoute
from holdfast.plans.apply import Application, PlanPorts, Reversal, apply_plan, propose_plan, revert_plan
from holdfast.plans.model import PlanResult, PlanRun, PlanStatus, new_plan, plan_digest
from holdfast.plans.sql import SqlPlanStore
from holdfast.plans.store import PlanStore

__all__ = [
    "Application",
    "PlanPorts",
    "PlanResult",
    "PlanRun",
    "PlanStatus",
    "PlanStore",
    "ProposedRoute",
    "Reversal",
    "SqlPlanStore",
    "apply_plan",
    "new_plan",
    "plan_digest",
    "propose_plan",
    "revert_plan",
]
