"""Holdfast: your workflow or agent run survives ``kill -9``."""

from __future__ import annotations

from holdfast.app import Handle, Holdfast
from holdfast.errors import HoldfastError
from holdfast.flows.ambient import now, random, sleep, uuid
from holdfast.flows.definitions import Step, Workflow, current_step, step, workflow
from holdfast.flows.errors import FlowCancelled, FlowFailed, FlowHalted, NonDeterminism, StepFailed
from holdfast.store import Transaction

__version__ = "0.1.0"

__all__ = [
    "FlowCancelled",
    "FlowFailed",
    "FlowHalted",
    "Handle",
    "Holdfast",
    "HoldfastError",
    "NonDeterminism",
    "Step",
    "StepFailed",
    "Transaction",
    "Workflow",
    "current_step",
    "now",
    "random",
    "sleep",
    "step",
    "uuid",
    "workflow",
]
