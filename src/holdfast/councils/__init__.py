"""Councils: teams of agents that turn a goal into a task graph and carry it out wave by wave."""

from __future__ import annotations

from holdfast.councils.graph import GraphLimits, NodeStatus, TaskGraph, TaskNode, validate
from holdfast.councils.model import CouncilRun, CouncilRunEvent, HitlMode, RunStatus, new_run
from holdfast.councils.sql import SqlCouncilRepository
from holdfast.councils.store import CouncilRepositoryPort

__all__ = [
    "CouncilRepositoryPort",
    "CouncilRun",
    "CouncilRunEvent",
    "GraphLimits",
    "HitlMode",
    "NodeStatus",
    "RunStatus",
    "SqlCouncilRepository",
    "TaskGraph",
    "TaskNode",
    "new_run",
    "validate",
]
