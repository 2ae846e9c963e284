"""Worlds: the mutable environments that runs act upon, which can be seen, put back, merged, compared and watched."""

from __future__ import annotations

from holdfast.worlds.base import ResourceService
from holdfast.worlds.checkpoints import Checkpoint, Moment
from holdfast.worlds.comparing import WorldDiff
from holdfast.worlds.merging import MergeConflict, MergeReport
from holdfast.worlds.model import Change, ChangeKind, Delta, Scope, StateView, diff
from holdfast.worlds.notifier import StateChange, StateChangeNotifier
from holdfast.worlds.service import MockService, Request, Response, StatefulService
from holdfast.worlds.world import World

__all__ = [
    "Change",
    "ChangeKind",
    "Checkpoint",
    "Delta",
    "MergeConflict",
    "MergeReport",
    "MockService",
    "Moment",
    "Request",
    "ResourceService",
    "Response",
    "Scope",
    "StateChange",
    "StateChangeNotifier",
    "StateView",
    "StatefulService",
    "World",
    "WorldDiff",
    "diff",
]
