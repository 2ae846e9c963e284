"""A world of real files: a tree for each account and region, whose bodies are in the store."""

from __future__ import annotations

from holdfast.worlds.directory.errors import (
    DirectoryDenied,
    DirectoryFull,
    DirectoryUnusable,
    FileChanged,
    FileVanished,
    HoldsExcluded,
    InvalidMode,
    InvalidPath,
    InvalidPattern,
    LinkEscapes,
    NestedRoot,
    PathNotFound,
    PathTaken,
    PendingChange,
    StoreInside,
    UnsupportedFile,
    WrongKind,
)
from holdfast.worlds.directory.records import Entry, File, Folder, Link, Obstacle, Survey, TreeView
from holdfast.worlds.directory.service import DirectoryWorld

__all__ = [
    "DirectoryDenied",
    "DirectoryFull",
    "DirectoryUnusable",
    "DirectoryWorld",
    "Entry",
    "File",
    "FileChanged",
    "FileVanished",
    "Folder",
    "HoldsExcluded",
    "InvalidMode",
    "InvalidPath",
    "InvalidPattern",
    "Link",
    "LinkEscapes",
    "NestedRoot",
    "Obstacle",
    "PathNotFound",
    "PathTaken",
    "PendingChange",
    "StoreInside",
    "Survey",
    "TreeView",
    "UnsupportedFile",
    "WrongKind",
]
