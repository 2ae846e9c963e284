"""SSM: parameters with their history, documents, commands, maintenance windows, patch baselines."""

from __future__ import annotations

from holdfast.worlds.aws.services.ssm.adapter import SsmAdapter
from holdfast.worlds.aws.services.ssm.records import (
    Baseline,
    Command,
    Document,
    DocumentVersion,
    ParameterVersion,
    PatchGroup,
    Permission,
    Tags,
    Window,
    WindowTarget,
    WindowTask,
)

__all__ = [
    "Baseline",
    "Command",
    "Document",
    "DocumentVersion",
    "ParameterVersion",
    "PatchGroup",
    "Permission",
    "SsmAdapter",
    "Tags",
    "Window",
    "WindowTarget",
    "WindowTask",
]
