"""For tests, yours and Holdfast's own: a virtual clock, an effect ledger, and the conformance suites of the ports."""

from __future__ import annotations

from holdfast.testing.audit import exercise_audit_log
from holdfast.testing.checkpoints import exercise_world
from holdfast.testing.clock import VirtualClock
from holdfast.testing.conformance import ConformanceFailure, Violation
from holdfast.testing.councils import exercise_council_repository
from holdfast.testing.flows import exercise_flow_store
from holdfast.testing.ledger import EffectLedger
from holdfast.testing.packages import exercise_package_store
from holdfast.testing.plans import exercise_plan_store
from holdfast.testing.units import Opener, StoreUnits, UnitRunner
from holdfast.testing.worlds import exercise_stateful_service

__all__ = [
    "ConformanceFailure",
    "EffectLedger",
    "Opener",
    "StoreUnits",
    "UnitRunner",
    "Violation",
    "VirtualClock",
    "exercise_audit_log",
    "exercise_council_repository",
    "exercise_flow_store",
    "exercise_package_store",
    "exercise_plan_store",
    "exercise_stateful_service",
    "exercise_world",
]
