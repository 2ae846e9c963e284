"""The key-value world: typed JSON values in the store."""

from __future__ import annotations

from holdfast.worlds.keyvalue.model import (
    ABSENT,
    Absent,
    Boolean,
    Integer,
    Item,
    List,
    Null,
    Number,
    Object,
    Text,
    Value,
)
from holdfast.worlds.keyvalue.sql import SqlValues
from holdfast.worlds.keyvalue.world import KeyValueWorld

__all__ = [
    "ABSENT",
    "Absent",
    "Boolean",
    "Integer",
    "Item",
    "KeyValueWorld",
    "List",
    "Null",
    "Number",
    "Object",
    "SqlValues",
    "Text",
    "Value",
]
