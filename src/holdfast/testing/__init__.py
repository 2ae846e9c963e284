"""For tests, yours and Holdfast's own: a virtual clock, an effect ledger, and the conformance suites of the ports."""

from __future__ import annotations

from holdfast.testing.audit import AuditPorts, SqlAuditPorts, exercise_audit_log
from holdfast.testing.checkpoints import WorldSubject, exercise_world, open_world
from holdfast.testing.clock import VirtualClock
from holdfast.testing.conformance import ConformanceFailure, Failure, Violation
from holdfast.testing.councils import (
    CouncilPorts,
    Leases,
    SqlLeases,
    council_units,
    exercise_council_repository,
    open_councils,
)
from holdfast.testing.flows import exercise_flow_store
from holdfast.testing.ledger import EffectLedger
from holdfast.testing.packages import exercise_package_store
from holdfast.testing.plans import exercise_plan_store
from holdfast.testing.shapes import BackendUnusable
from holdfast.testing.units import Opener, StoreUnits, UnitRunner
from holdfast.testing.worlds import ServiceSubject, exercise_stateful_service, key_value_subject

__all__ = [
    "AuditPorts",
    "BackendUnusable",
    "ConformanceFailure",
    "CouncilPorts",
    "EffectLedger",
    "Failure",
    "Leases",
    "Opener",
    "ServiceSubject",
    "SqlAuditPorts",
    "SqlLeases",
    "StoreUnits",
    "UnitRunner",
    "Violation",
    "VirtualClock",
    "WorldSubject",
    "council_units",
    "exercise_audit_log",
    "exercise_council_repository",
    "exercise_flow_store",
    "exercise_package_store",
    "exercise_plan_store",
    "exercise_stateful_service",
    "exercise_world",
    "key_value_subject",
    "open_councils",
    "open_world",
]
