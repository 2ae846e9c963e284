"""Holdfast: your workflow or agent run survives ``kill -9``."""

from __future__ import annotations

from holdfast.app import Handle, Holdfast
from holdfast.errors import HoldfastError
from holdfast.flows.ambient import now, random, sleep, uuid
from holdfast.flows.children import Child, run_child, start_child
from holdfast.flows.combining import First, all_of, any_of, map_steps
from holdfast.flows.errors import FlowCancelled, FlowFailed, FlowHalted, NonDeterminism, StepFailed, WaitTimedOut
from holdfast.flows.inbox.model import Decision
from holdfast.flows.queues import Queue, Rate
from holdfast.flows.step_context import current_step
from holdfast.flows.steps import Step, step
from holdfast.flows.waiting import approval, continue_as_new, state, update_state, wait_for_event, wait_for_signal
from holdfast.flows.workflows import Workflow, workflow
from holdfast.rewind import WorldHandle, aws, directory, open_world
from holdfast.store import Transaction

__version__ = "0.1.0"

__all__ = [
    "Child",
    "Decision",
    "First",
    "FlowCancelled",
    "FlowFailed",
    "FlowHalted",
    "Handle",
    "Holdfast",
    "HoldfastError",
    "NonDeterminism",
    "Queue",
    "Rate",
    "Step",
    "StepFailed",
    "Transaction",
    "WaitTimedOut",
    "Workflow",
    "WorldHandle",
    "all_of",
    "any_of",
    "approval",
    "aws",
    "continue_as_new",
    "current_step",
    "directory",
    "map_steps",
    "now",
    "open_world",
    "random",
    "run_child",
    "sleep",
    "start_child",
    "state",
    "step",
    "update_state",
    "uuid",
    "wait_for_event",
    "wait_for_signal",
    "workflow",
]
