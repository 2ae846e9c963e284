"""What a change leaves alone, for it is excluded, and what is thrown away before one, for that was asked for."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from holdfast.worlds.directory.errors import FileChanged, HoldsExcluded, UnsupportedFile
from holdfast.worlds.directory.exclusions import Exclusions, patterns_of
from holdfast.worlds.directory.paths import parent
from holdfast.worlds.directory.records import Entry, Folder, TreeView
from holdfast.worlds.directory.scan import Tree
from holdfast.worlds.errors import InvalidView
from holdfast.worlds.model import Delta, path_of

log = logging.getLogger("holdfast.worlds")


def check_excluded(service: str, view: TreeView, exclusions: Exclusions) -> None:
    """Refuse a view that concerns what is excluded, or that left out what this world would take for removed.

    Raises:
        InvalidView: naming the path.
    """
    if exclusions:
        for name in view.resources:
            if covering := exclusions.covering(name):
                raise InvalidView(service, path_of(name), f"{covering!r} is excluded from this world")
    missing = [pattern for pattern in patterns_of(view.not_captured) if pattern not in exclusions.patterns]
    if missing:
        told = ", ".join(map(repr, missing))
        raise InvalidView(service, "$.not_captured", f"it was taken without {told}; exclude that here, too")


def without_holding(delta: Delta[Entry], holding: set[str]) -> Delta[Entry]:
    """``delta`` without the removal of folders that hold what is excluded.

    Raises:
        HoldsExcluded: one of them is to become something else.
    """
    staying = {change.resource for change in delta if change.after is None and change.resource in holding}
    if staying:
        log.warning("folders stay, for they hold what is excluded: %s", ", ".join(sorted(staying)))
    left = tuple(change for change in delta if change.resource not in staying)
    expect_not_holding(left, holding)
    return left


def expect_not_holding(delta: Delta[Entry], holding: set[str]) -> None:
    """Raises:
    HoldsExcluded: a folder that is to go, or to become something else, holds what is excluded.
    """
    for change in delta:
        if change.resource in holding and not isinstance(change.after, Folder):
            raise HoldsExcluded(change.resource)


def discard(tree: Tree, target: Mapping[str, Entry]) -> list[str]:
    """Remove what a lenient scan of ``tree`` has just met that no view can hold; returns the paths.

    Raises:
        UnsupportedFile: some of it is neither link, pipe nor socket, or ``target`` has something of that name; nothing
            was removed.
        FileChanged: something else took the place of one of them; nothing was removed.
    """
    kept = [item for path, item in tree.obstacles.items() if not item.disposable or path in target]
    if kept:
        raise UnsupportedFile(kept)
    paths = sorted(tree.obstacles)
    for path in paths:
        if not tree.knows(path):
            raise FileChanged(path)
    for path in paths:
        name, folder = tree.folders.of(path)
        os.unlink(name, dir_fd=folder)
        log.warning("discarded %s", path)
    for folder_path in {parent(path) for path in paths}:
        os.fsync(tree.folders.at(folder_path))
    return paths
