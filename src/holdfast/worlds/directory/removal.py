"""Removing an account and region for good, with what is private to it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from holdfast.worlds.directory.folders import FOLDER_FLAGS
from holdfast.worlds.directory.paths import RESERVED
from holdfast.worlds.model import Scope


def remove_scope(root: Path, scope: Scope) -> None:
    """Remove the tree and the private folder of ``scope`` below ``root``; what is not there is gone already. To be
    called when nobody uses them any more. Killed midway, it is to be called again.

    Raises:
        OSError: something cannot be removed.
    """
    for way in (tuple(scope), (RESERVED, *scope)):
        with suppress(FileNotFoundError):
            _remove(root, way)


def _remove(root: Path, way: Sequence[str]) -> None:
    """Remove the folder to which ``way`` leads, following no link below the root."""
    *above, name = way
    with ExitStack() as ending:
        folder = os.open(root, FOLDER_FLAGS & ~os.O_NOFOLLOW)
        ending.callback(os.close, folder)
        for part in above:
            folder = os.open(part, FOLDER_FLAGS, dir_fd=folder)
            ending.callback(os.close, folder)
        shutil.rmtree(name, dir_fd=folder)
