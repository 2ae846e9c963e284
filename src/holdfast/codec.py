"""The one codec: typed Python values to JSON text and back. Nothing is ever pickled.

JSON types, dataclasses, ``msgspec`` structs, pydantic models, enums, datetimes, UUIDs, decimals, bytes and
sets are known. Reading is driven by the annotation: what was written as an ``Order`` reads back as an
``Order`` where the annotation says so, and as a ``dict`` where it says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from holdfast.errors import NotSerialisable, PayloadTooLarge

DEFAULT_MAX_BYTES = 4 * 1024 * 1024


def _encode_foreign(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    if dump is None:
        raise NotImplementedError(f"{type(value).__qualname__} has no JSON form")
    return dump(mode="json")


def _decode_foreign(kind: Any, value: Any) -> Any:
    validate = getattr(kind, "model_validate", None)
    if validate is not None:
        return validate(value)
    if isinstance(kind, type) and isinstance(value, kind):
        return value
    raise NotImplementedError(f"{kind!r} cannot be read from JSON")


_encoder = msgspec.json.Encoder(enc_hook=_encode_foreign, decimal_format="string")
_canonical = msgspec.json.Encoder(enc_hook=_encode_foreign, decimal_format="string", order="sorted")


@lru_cache(maxsize=4096)
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, dec_hook=_decode_foreign)


def _refusal(error: Exception, what: str) -> NotSerialisable:
    """Encode hooks are users' code: whatever they raise means the same here."""
    if isinstance(error, RecursionError):
        return NotSerialisable(f"{what} refers to itself, or is nested too deeply.")
    return NotSerialisable(f"{what} cannot be written as JSON: {error}.")


def _check(value: Any, data: bytes, what: str, max_bytes: int) -> None:
    """The rarer faults of what was encoded."""
    if len(data) > max_bytes:
        raise PayloadTooLarge(f"{what} takes {len(data):,} bytes as JSON, the limit is {max_bytes:,}.")
    try:
        _refuse_nan(value)
    except Exception as error:
        raise _refusal(error, what) from error


def _refuse_nan(value: Any) -> None:
    """JSON has no NaN or infinity and the encoder would write ``null``: a silent loss."""
    pending = [msgspec.to_builtins(value, enc_hook=_encode_foreign)]
    while pending:
        item = pending.pop()
        if isinstance(item, float) and not math.isfinite(item):
            raise ValueError(f"JSON has no {item}")
        if isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list | tuple | set | frozenset):
            pending.extend(item)


def encode(value: Any, *, what: str = "The value", max_bytes: int = DEFAULT_MAX_BYTES) -> str:
    """``value`` as JSON text.

    Args:
        value: anything this module knows.
        what: how an error names it, e.g. ``"The result of charge"``.
        max_bytes: size limit of the JSON, in bytes.

    Raises:
        NotSerialisable: it has no JSON form (NaN and infinity included).
        PayloadTooLarge: its JSON form is over ``max_bytes``.
    """
    try:
        data = _encoder.encode(value)
    except Exception as error:
        raise _refusal(error, what) from error
    if len(data) > max_bytes or b"null" in data:
        _check(value, data, what, max_bytes)
    return data.decode()


def decode(text: str, kind: Any = Any, *, what: str = "The value") -> Any:
    """The value that ``text`` holds, as the annotation ``kind``.

    Raises:
        NotSerialisable: ``text`` does not fit ``kind``.
    """
    try:
        return _decoder(kind).decode(text)
    except Exception as error:  # decode hooks are users' validators
        raise NotSerialisable(f"{what} does not read back as {kind!r}: {error}.") from error


def digest(value: Any, *, what: str = "The value", max_bytes: int = DEFAULT_MAX_BYTES) -> int:
    """A 64-bit digest of ``value``'s canonical JSON (sorted keys and sets), signed: it fits a database integer.

    Raises:
        NotSerialisable, PayloadTooLarge: as :func:`encode`.
    """
    return _digest(_encode_canonical(value, what, max_bytes))


def encode_canonical(value: Any, *, what: str = "The value", max_bytes: int = DEFAULT_MAX_BYTES) -> tuple[str, int]:
    """``value`` as canonical JSON text, and its :func:`digest`.

    Raises:
        NotSerialisable, PayloadTooLarge: as :func:`encode`.
    """
    data = _encode_canonical(value, what, max_bytes)
    return data.decode(), _digest(data)


def _encode_canonical(value: Any, what: str, max_bytes: int) -> bytes:
    try:
        data = _canonical.encode(value)
    except Exception as error:
        raise _refusal(error, what) from error
    if len(data) > max_bytes or b"null" in data:
        _check(value, data, what, max_bytes)
    return data


def _digest(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big", signed=True)


def record_type(name: str, fields: Mapping[str, Any]) -> type[msgspec.Struct]:
    """A type to :func:`decode` a JSON object into: a field each, all optional (``msgspec.UNSET``), others refused."""
    return msgspec.defstruct(
        name,
        [(field, kind | msgspec.UnsetType, msgspec.UNSET) for field, kind in fields.items()],
        forbid_unknown_fields=True,
    )


def schema(kind: Any) -> dict[str, Any]:
    """The JSON Schema (2020-12) of what :func:`decode` takes for ``kind``; of what has none, that of anything."""
    try:
        return msgspec.json.schema(kind, schema_hook=_schema_foreign)
    except TypeError:
        return {}


def _schema_foreign(kind: Any) -> dict[str, Any]:
    """A class of another library: its own shape is its own affair."""
    return {"title": getattr(kind, "__name__", str(kind))}


def present_fields(record: msgspec.Struct) -> dict[str, Any]:
    """The fields of a :func:`record_type` that were there."""
    return {name: value for name in record.__struct_fields__ if (value := getattr(record, name)) is not msgspec.UNSET}
