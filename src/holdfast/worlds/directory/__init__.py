"""A world of real files: a tree for each account and region, whose bodies are in the store."""

from __future__ import annotations

from holdfast.worlds.directory.errors import (
    DirectoryDenied,
    DirectoryFull,
    DirectoryUnusable,
    FileChanged,
    FileVanished,
    InvalidMode,
    InvalidPath,
    LinkEscapes,
    PathNotFound,
    PathTaken,
    PendingChange,
    StoreInside,
    UndecodableName,
    UnsupportedFile,
    WrongKind,
)
from holdfast.worlds.directory.records import Entry, File, Folder, Link, TreeView
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
    "InvalidMode",
    "InvalidPath",
    "Link",
    "LinkEscapes",
    "PathNotFound",
    "PathTaken",
    "PendingChange",
    "StoreInside",
    "TreeView",
    "UndecodableName",
    "UnsupportedFile",
    "WrongKind",
]
