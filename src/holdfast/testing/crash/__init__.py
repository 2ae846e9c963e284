"""The crash explorers: kill at each write point in turn, go on, compare with the undisturbed run.

:mod:`.flows` kills whole workflows, :mod:`.units` kills operations that have several effects.
"""

from __future__ import annotations

from holdfast.testing.crash.fuse import Killed
from holdfast.testing.crash.units import Operation, Visit, explore_operation

__all__ = ["Killed", "Operation", "Visit", "explore_operation"]
