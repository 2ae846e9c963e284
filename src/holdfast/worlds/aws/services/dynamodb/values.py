"""Attribute values: as the emulator has them, and in DynamoDB's typed form: ``{"S": …}``, ``{"N": …}``, ``{"M": …}``.

In a record, binary values are base64 texts. What no client of AWS sends but the emulator takes, such as a text for
binary, is ``{TYPE: {"$": …}}``.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict

from holdfast.worlds.aws.shapes import as_it_was, lossless

_ODD = "$"
_TEXTS = frozenset({"S", "N"})
_TEXT_SETS = frozenset({"SS", "NS"})
_OF_VALUES = frozenset({"L", "M"})
_ONLY_TEXT, _ONLY_BYTES = frozenset({str}), frozenset({bytes})
_make: Any = object.__new__
_make_dict: Any = dict.__new__


def base64(held: bytes) -> str:
    """Bytes as a record has them."""
    return b2a_base64(held, newline=False).decode()


def unbase64(text: str) -> bytes:
    """Raises:
    ValueError: ``text`` is no base64.
    """
    return a2b_base64(text, strict_mode=True)


def typed(value: Any) -> dict[str, Any]:
    """The typed form of the emulator's value; shares nothing with it that can change."""
    kind, held = value.type, value.value
    form = type(held)
    if form is str:
        return {kind: held} if kind in _TEXTS else {kind: {_ODD: held}}
    if form is bool:
        return {kind: held}
    if form is dict and kind == "M":
        return {kind: {name: typed(item) for name, item in held.items()}}
    if form is list:
        if kind == "L":
            return {kind: [typed(item) for item in held]}
        if kind in _TEXT_SETS and _ONLY_TEXT.issuperset(map(type, held)):
            return {kind: held.copy()}
        if kind == "BS" and _ONLY_BYTES.issuperset(map(type, held)):
            return {kind: list(map(base64, held))}
    if form is bytes and kind == "B":
        return {kind: base64(held)}
    return {kind: {_ODD: lossless(held)}}


def dynamo(value: Mapping[str, Any]) -> Any:
    """The emulator's value of the typed form that a record has.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is none.
    """
    ((kind, held),) = value.items()
    made = _make(DynamoType)
    made.type = kind
    form = type(held)
    if form is str:
        made.value = unbase64(held) if kind == "B" else held
    elif form is dict:
        made.value = {name: dynamo(item) for name, item in held.items()} if kind == "M" else as_it_was(held[_ODD])
    elif form is list:
        made.value = _members(kind, held)
    else:
        made.value = held
    return made


def _members(kind: str, held: list[Any]) -> list[Any]:
    if kind == "L":
        return [dynamo(item) for item in held]
    return list(map(unbase64, held)) if kind == "BS" else held.copy()


def check_typed(value: Mapping[str, Any]) -> None:
    """Raises:
    ValueError, TypeError, KeyError, AttributeError: :func:`typed` has not made it.
    """
    ((kind, held),) = value.items()
    form = type(held)
    if (form is str and kind in _TEXTS) or (form is bool and kind not in _OF_VALUES):
        return
    if form is dict and kind == "M":
        for item in held.values():
            check_typed(item)
    elif form is list and kind == "L":
        for item in held:
            check_typed(item)
    elif kind in _OF_VALUES or typed(dynamo(value)) != value:
        raise ValueError(f"no value of the type {kind!r} is written so")


def attributes_of(item: Any) -> dict[str, dict[str, Any]]:
    """The typed forms of an item's attributes."""
    return {
        name: {value.type: value.value} if type(value.value) is str and value.type in _TEXTS else typed(value)
        for name, value in item.attrs.items()
    }


def same(one: Any, other: Any) -> bool:
    """Whether two of the emulator's values are written alike; to it, 1 and 1.0 are equal."""
    return (
        one is not None and one.type == other.type and type(one.value) is type(other.value) and one.value == other.value
    )


class Sought(DynamoType):
    """A key that is looked for: hashed and compared with the emulator's own, without its detours."""

    def __init__(self, kind: str, value: Any) -> None:
        self.type = kind
        self.value = value
        self._cast = value if kind == "S" else Decimal(value) if kind == "N" else self.cast_value

    def __hash__(self) -> int:
        return hash((self.type, self._cast))

    def __eq__(self, other: Any) -> bool:
        if self.type != other.type:
            return False
        return bool(self.value == other.value or (self.type != "S" and self._cast == other.cast_value))


def item_of(attributes: Mapping[str, Any], hash_key: Any, range_key: Any) -> Any:
    """The emulator's item; the emulator's limit of its size was looked at when it was written.

    Args:
        attributes: in typed form.
        hash_key, range_key: the emulator's values.
    """
    made = _make(Item)
    made.hash_key = hash_key
    made.range_key = range_key
    made.attrs = attrs = _make_dict(LimitedSizeDict)
    dict.update(attrs, {name: dynamo(value) for name, value in attributes.items()})
    return made
