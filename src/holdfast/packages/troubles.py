"""Troubles: versions that cannot be loaded, and why. Their flows wait, and are never run on another version (PK-5)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from holdfast.clock import to_datetime
from holdfast.errors import HoldfastError
from holdfast.store import Row, Transaction, load_queries

_q = load_queries("holdfast.packages")
_MAX_TEXT = 20_000


class TroubleKind(StrEnum):
    """What sort of trouble a version is in."""

    STRANDED = "stranded"
    """It could not be loaded, or its process keeps dying; it is tried again."""
    QUARANTINED = "quarantined"
    """What is stored of it is damaged (PK-7)."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What keeps a version from being loaded.

    Attributes:
        content_hash: the version.
        error: ``{"code", "message", "remedy"}``.
        host: which machine says so.
        at: when it said so last.
    """

    content_hash: str
    kind: TroubleKind
    error: dict[str, Any]
    host: str
    at: datetime


def put_trouble(
    tx: Transaction,
    content_hash: str,
    error: HoldfastError,
    host: str,
    *,
    kind: TroubleKind = TroubleKind.STRANDED,
) -> None:
    """Say what keeps a version from being loaded, instead of what was said of it before."""
    row = {"content_hash": content_hash, "kind": str(kind), "host": host, "at": tx.clock.micros()}
    tx.execute(_q["put_trouble"], row | {"error": json.dumps(_described(error))})


def clear_trouble(tx: Transaction, content_hash: str) -> None:
    """Say that nothing does any more."""
    tx.execute(_q["delete_trouble"], {"content_hash": content_hash})


def troubles(tx: Transaction) -> list[Trouble]:
    """All of them, by hash."""
    return [trouble_of(row) for row in tx.fetch(_q["list_troubles"])]


def trouble_of(row: Row) -> Trouble:
    """The trouble in these columns: hash, kind, error, host, time."""
    return Trouble(row[0], TroubleKind(row[1]), json.loads(row[2]), row[3], to_datetime(row[4]))


def _described(error: HoldfastError) -> dict[str, str]:
    told = {"code": error.code, "message": error.message, "remedy": error.remedy}
    return {name: _printable(text) for name, text in told.items()}


def _printable(text: str) -> str:
    """A package's own error may say anything: what not every database can hold is spelt out."""
    return text[:_MAX_TEXT].encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
