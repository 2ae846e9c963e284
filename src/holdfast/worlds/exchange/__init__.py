"""Worlds in files: all views of one moment, with the bodies they name, as one portable archive."""

from __future__ import annotations

from holdfast.worlds.exchange.layout import Contents, InvalidWorldArchive, UnreadableArchive
from holdfast.worlds.exchange.reading import Archive, open_archive
from holdfast.worlds.exchange.writing import write_archive

__all__ = ["Archive", "Contents", "InvalidWorldArchive", "UnreadableArchive", "open_archive", "write_archive"]
