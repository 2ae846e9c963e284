"""The records of a key-value world: JSON of any type, each type told apart. Pure: no I/O."""

from __future__ import annotations

from enum import Enum
from types import NoneType
from typing import Any, Final, NamedTuple

import msgspec

from holdfast import codec
from holdfast.text import is_storable
from holdfast.worlds.keyvalue.errors import InvalidKey

MAX_KEY_BYTES = 1024
MAX_VALUE_BYTES = codec.DEFAULT_MAX_BYTES


class Absent(Enum):
    """What stands for no value, where ``None`` is one: JSON's null."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return self.name


ABSENT: Final = Absent.ABSENT


class _Value(msgspec.Struct, frozen=True, eq=False, tag_field="type", forbid_unknown_fields=True):
    """Two are equal when their canonical JSON is: Python takes 1, 1.0 and True for equal, and 0.0 and -0.0."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Value) and type(self) is type(other) and text_of(self) == text_of(other)

    def __ne__(self, other: object) -> bool:  # structs have one of their own, that tells identity
        return not self == other

    def __hash__(self) -> int:
        return hash(text_of(self))


class Text(_Value, tag="text", eq=False, frozen=True):
    """A string."""

    value: str


class Integer(_Value, tag="integer", eq=False, frozen=True):
    """A whole number of any size."""

    value: int


class Number(_Value, tag="number", eq=False, frozen=True):
    """A double, neither NaN nor infinite."""

    value: float


class Boolean(_Value, tag="boolean", eq=False, frozen=True):
    """True or false."""

    value: bool


class Null(_Value, tag="null", eq=False, frozen=True):
    """JSON's null: a value, unlike absence."""

    value: None


class List(_Value, tag="list", eq=False, frozen=True):
    """Values in their order."""

    value: list[Any]


class Object(_Value, tag="object", eq=False, frozen=True):
    """Values by name; the order of the names is not part of the state."""

    value: dict[str, Any]


Value = Text | Integer | Number | Boolean | Null | List | Object
_KINDS: dict[type, type[Value]] = {
    str: Text,
    int: Integer,
    float: Number,
    bool: Boolean,
    NoneType: Null,
    list: List,
    dict: Object,
}


class Item(NamedTuple):
    """A key and its value."""

    key: str
    value: Any


def value_of(text: str) -> Value:
    """The record of the value that the JSON ``text`` holds."""
    value = codec.decode(text)
    return _KINDS[type(value)](value)


def text_of(record: _Value) -> str:
    """The canonical JSON of a record's value.

    Raises:
        NotSerialisable: it holds what has no JSON form.
        PayloadTooLarge: it is over ``MAX_VALUE_BYTES``.
    """
    return codec.encode_canonical(record.value, max_bytes=MAX_VALUE_BYTES)[0]


def record_of(key: str, value: Any) -> Value:
    """The record of ``value``, which is anything that the codec knows.

    Raises:
        NotSerialisable: it has no JSON form.
        PayloadTooLarge: its JSON is over ``MAX_VALUE_BYTES``.
    """
    return value_of(codec.encode_canonical(value, what=f"The value of {key!r}", max_bytes=MAX_VALUE_BYTES)[0])


def check_key(key: object) -> str:
    """``key`` itself.

    Raises:
        InvalidKey: it cannot be one.
    """
    if not isinstance(key, str):
        raise InvalidKey(f"A key is a text, not {type(key).__name__}.")
    if not key or not is_storable(key):
        raise InvalidKey(f"{key!r} cannot be a key.")
    if len(key.encode()) > MAX_KEY_BYTES:
        raise InvalidKey(f"A key of {len(key.encode()):,} bytes is too long; it begins with {key[:32]!r}.")
    return key
