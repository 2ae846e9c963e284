"""Cells of rows, and parameters, in frames: what databases have and MessagePack has not keeps its type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from holdfast.hosting.errors import ProtocolError

_CODES: Mapping[type, int] = {Decimal: 1, UUID: 2, datetime: 3, date: 4, time: 5, timedelta: 6}
_READERS: Mapping[int, Callable[[str], Any]] = {
    1: Decimal,
    2: UUID,
    3: datetime.fromisoformat,
    4: date.fromisoformat,
    5: time.fromisoformat,
    6: lambda text: timedelta(microseconds=int(text)),
}


def packed(cell: Any) -> Any:
    """A cell as it goes into a frame."""
    if isinstance(cell, list):
        return [packed(part) for part in cell]
    code = _CODES.get(type(cell))
    return cell if code is None else msgspec.msgpack.Ext(code, _text(cell).encode())


def unpacked(cell: Any) -> Any:
    """A cell as it came out of one.

    Raises:
        ProtocolError: it is none.
    """
    if isinstance(cell, list):
        return [unpacked(part) for part in cell]
    if not isinstance(cell, msgspec.msgpack.Ext):
        return cell
    try:
        return _READERS[cell.code](bytes(cell.data).decode())
    except (LookupError, ValueError, ArithmeticError) as error:
        raise ProtocolError(f"A cell in a frame is not what it has to be: {error!r:.200}.") from error


def _text(cell: Any) -> str:
    if isinstance(cell, timedelta):
        return str(cell // timedelta(microseconds=1))
    return cell.isoformat() if isinstance(cell, date | time) else str(cell)
