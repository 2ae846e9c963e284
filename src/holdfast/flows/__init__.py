"""Flows: durable executions of workflow functions."""

from __future__ import annotations

from holdfast.flows.model import Flow, FlowEvent, FlowStatus, FlowStep, Runtime, StepStatus
from holdfast.flows.sql import SqlFlowStore
from holdfast.flows.store import FlowStore

__all__ = [
    "Flow",
    "FlowEvent",
    "FlowStatus",
    "FlowStep",
    "FlowStore",
    "Runtime",
    "SqlFlowStore",
    "StepStatus",
]
