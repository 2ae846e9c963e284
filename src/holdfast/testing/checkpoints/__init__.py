"""The conformance suite of worlds: checkpoints, restores and owners (WO-10, WO-13)."""

from __future__ import annotations

from importlib import import_module

from holdfast.testing.checkpoints.samples import suite
from holdfast.testing.checkpoints.subject import MakeWorld, SubjectOpener, WorldSubject, open_world

for checks in ("moments", "restoring", "dying", "crossing", "owning", "forking"):
    import_module(f"{__name__}.{checks}")  # each adds its checks to the suite

__all__ = ["MakeWorld", "SubjectOpener", "WorldSubject", "exercise_world", "open_world", "suite"]


def exercise_world(open: SubjectOpener) -> list[str]:
    """Run every check of checkpoints, restores and owners against a :class:`~holdfast.worlds.World`, or against a class
    of one's own in its place, over services that keep their state in the store::

        assert exercise_world(lambda: open_world("sqlite://")) == ["WO-10", "WO-13"]

    Args:
        open: gives a fresh, empty store for each check, with what makes worlds over it.

    Returns:
        The clauses held, in order.

    Raises:
        ConformanceFailure: some were broken; it names them and holds one exception for each check that failed.
    """
    return suite.exercise(open)
