"""Typed values in frames. Records grow at their end only: fields that this side does not know are cut off, and those
that the other side does not know get their defaults, so that different versions of Holdfast understand each other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from holdfast.hosting.errors import ProtocolError


class Shape:
    """What a value in a frame has to look like.

    Args:
        type: of the value; named tuples, sequences, mappings and scalars, of each other.
    """

    def __init__(self, type: Any) -> None:
        self._type = type
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(type)

    def read(self, raw: msgspec.Raw) -> Any:
        """The value.

        Raises:
            ProtocolError: ``raw`` is something else.
        """
        try:
            return self._decoder.decode(raw)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return self._read_newer(raw)

    def _read_newer(self, raw: msgspec.Raw) -> Any:
        """The same where records may have more fields than are known here."""
        try:
            return msgspec.convert(_cut(self._type)(msgspec.msgpack.decode(raw)), self._type)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, TypeError) as error:
            raise ProtocolError(f"A value in a frame is not what it has to be: {error}.") from error


@cache
def _cut(type: Any) -> Callable[[Any], Any]:
    """What cuts surplus fields off the records in a value of ``type``; anything malformed is left as it is."""
    if hasattr(type, "_fields"):
        return _cut_record(list(get_type_hints(type).values()))
    inner = [_cut(part) for part in get_args(type) if part not in (Ellipsis, NoneType)]
    origin = get_origin(type)
    if origin is UnionType:
        return inner[0] if len(inner) == 1 else lambda raw: raw
    if origin is tuple and len(inner) == len(get_args(type)):
        return lambda raw: [cut(part) for cut, part in zip(inner, raw, strict=False)] if _is_list(raw) else raw
    if len(inner) == 1:
        return lambda raw: [inner[0](part) for part in raw] if _is_list(raw) else raw
    if len(inner) == 2 and hasattr(origin, "keys"):
        return lambda raw: {key: inner[1](part) for key, part in raw.items()} if isinstance(raw, dict) else raw
    return lambda raw: raw


def _cut_record(fields: list[Any]) -> Callable[[Any], Any]:
    inner = [_cut(field) for field in fields]
    return lambda raw: [cut(part) for cut, part in zip(inner, raw, strict=False)] if _is_list(raw) else raw


def _is_list(raw: Any) -> bool:
    return isinstance(raw, list)
