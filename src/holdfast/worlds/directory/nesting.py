"""Roots within roots: the outer world would take the inner one's files for its own, and put them back with its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from holdfast.worlds.directory.paths import RESERVED
from holdfast.worlds.directory.records import Obstacle


def outer_root(root: Path) -> Path | None:
    """The root of another world in which ``root`` lies, if any."""
    return next(filter(_is_root, root.resolve().parents), None)


def inner_root(tree: Path, obstacles: Iterable[Obstacle]) -> Path | None:
    """The root of another world that a scan of ``tree`` has met, if any."""
    private = (tree / obstacle.path for obstacle in obstacles if Path(obstacle.path).name == RESERVED)
    return next((folder.parent for folder in private if _is_root(folder.parent)), None)


def _is_root(folder: Path) -> bool:
    """Whether a world has used the folder as its root; only then are there locks in its private folder."""
    private = folder / RESERVED
    try:
        return any(private.glob("_/lock")) or any(private.glob("*/*/lock"))
    except OSError:  # not ours to look into
        return False
