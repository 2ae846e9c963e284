"""What leaves the store: a checkpoint as a JSON object, the chain as JSON lines. Read back, they are hostile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from holdfast.audit.canonical import MAX_INTEGER
from holdfast.audit.errors import CheckpointInvalid, ExportInvalid, RowDamaged
from holdfast.audit.files import open_file
from holdfast.audit.model import Checkpoint, StoredRow
from holdfast.clock import to_micros

_MAX_LINE = 4 * 1024 * 1024
_MAX_CHECKPOINT = 4096
_PAGE = 1000


class RowLine(msgspec.Struct, forbid_unknown_fields=True):
    """A line of an exported chain: the columns as they are hashed; ``detail`` is the text as it is stored."""

    seq: int
    at: int
    actor: str
    act: str
    subject: str
    detail: str
    prev_hash: str
    hash: str
    key_id: str | None
    signature: str | None


class CheckpointFile(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A checkpoint as a JSON object; ``at`` in microseconds since the epoch, or as the command line shows times."""

    seq: int
    hash: str
    at: int | datetime
    key_id: str | None = None
    signature: str | None = None


_line = msgspec.json.Decoder(RowLine)
_checkpoint = msgspec.json.Decoder(CheckpointFile)
_encode = msgspec.json.Encoder().encode


def checkpoint_document(point: Checkpoint) -> bytes:
    """A checkpoint as a JSON object and a line end."""
    return _encode(CheckpointFile(point.seq, point.hash, point.at, point.key_id, point.signature)) + b"\n"


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a file.

    Raises:
        CheckpointInvalid: it holds none.
        FileUnusable: it cannot be read.
    """
    with open_file(path) as file:
        body = file.read(_MAX_CHECKPOINT)
    try:
        found = _checkpoint.decode(body)
        at = to_micros(found.at) if isinstance(found.at, datetime) else found.at
    except ValueError as error:
        raise CheckpointInvalid(f"{path} holds no checkpoint: {error}.") from error
    if not 0 <= found.seq <= MAX_INTEGER or not -MAX_INTEGER <= at <= MAX_INTEGER:
        raise CheckpointInvalid(f"{path} holds no checkpoint: a number is out of range.")
    return Checkpoint(seq=found.seq, hash=found.hash, at=at, key_id=found.key_id, signature=found.signature)


def row_lines(rows: Sequence[StoredRow]) -> bytes:
    """Rows as JSON lines.

    Raises:
        RowDamaged: one does not read back from the store.
    """
    for row in rows:
        if None in row[:8]:
            raise RowDamaged(f"Row {row[0]} of the audit chain does not read back.")
    lines = [RowLine(*cast(Any, row)) for row in rows]
    return b"".join(_encode(line) + b"\n" for line in lines)


def read_rows(path: Path) -> Iterator[list[StoredRow]]:
    """Pages of the rows in an exported file, in its order.

    Raises:
        ExportInvalid: a line that is no row.
        FileUnusable: it cannot be read.
    """
    with open_file(path) as file:
        rows = _file_rows(file, path)
        while page := list(islice(rows, _PAGE)):
            yield page


def _file_rows(file: BinaryIO, path: Path) -> Iterator[StoredRow]:
    for number, text in enumerate(iter(lambda: file.readline(_MAX_LINE), b""), 1):
        try:
            yield cast(StoredRow, msgspec.structs.astuple(_line.decode(text)))
        except ValueError as error:
            raise ExportInvalid(f"Line {number} of {path} is no row of a chain: {error}.") from error
