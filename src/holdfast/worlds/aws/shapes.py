"""How an object of the emulator and its record become each other, and that nothing of it is forgotten (WO-8)."""

from __future__ import annotations

import ast
import inspect
import textwrap
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from json import dumps, loads
from math import isfinite
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

R = TypeVar("R", bound=msgspec.Struct)
_OF_EACH_BACKEND = ("region_name", "account_id", "partition")
_SCALARS = frozenset({str, int, float, bool, bytes, type(None)})


class Way(NamedTuple):
    """How one value goes into a record and back.

    Attributes:
        into: of the emulator's value, the record's. Never the same mutable object: the emulator changes its own.
        back: of the record's value, a new one for the emulator.
    """

    into: Callable[[Any], Any]
    back: Callable[[Any], Any]


def plain(value: Any) -> Any:
    """A copy of a JSON value; of anything else a :class:`TypeError`: it needs a :class:`Way`."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if isinstance(value, dict):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str):  # an enum, or a str of another make
        return str(value.value) if hasattr(value, "value") else str(value)
    raise TypeError(f"{value!r:.200} of {kind.__qualname__} is no JSON value")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{key!r:.200} is no name of a JSON object")
    return key


def lossless(value: Any) -> Any:
    """A JSON value that :func:`as_it_was` makes ``value`` of again: what JSON has no word for is an object of one name
    that begins with ``$``."""
    kind = type(value)
    if kind is float and not isfinite(value):
        return {"$float": repr(value)}
    if kind in _SCALARS and kind is not bytes:
        return value
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {str(key): lossless(item) for key, item in value.items()}
        return {"$dict": [[lossless(key), lossless(item)] for key, item in value.items()]}
    if isinstance(value, list):
        return [lossless(item) for item in value]
    for name, (types, into, _) in _WORDS.items():
        if isinstance(value, types):
            return {name: into(value)}
    raise TypeError(f"{value!r:.200} of {kind.__qualname__} cannot be put into a record")


def as_it_was(value: Any) -> Any:
    """What :func:`lossless` was given; of a malformed one a :class:`ValueError`."""
    if isinstance(value, list):
        return [as_it_was(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, item),) = value.items()
        if name == "$dict":
            return {as_it_was(key): as_it_was(one) for key, one in item}
        if name in _WORDS:
            return _WORDS[name][2](item)
    return {key: as_it_was(item) for key, item in value.items()}


def is_json_object(text: str) -> bool:
    """Whether the emulator can have written what :data:`TEXT` made a text of."""
    try:
        return isinstance(loads(text), dict)
    except (ValueError, RecursionError):
        return False


_WORDS: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "$bytes": (bytes, lambda value: b64encode(value).decode(), lambda item: b64decode(item, validate=True)),
    "$time": (datetime, datetime.isoformat, datetime.fromisoformat),
    "$date": (date, date.isoformat, date.fromisoformat),
    "$tuple": (tuple, lambda value: [lossless(item) for item in value], lambda item: tuple(map(as_it_was, item))),
    "$set": (set, lambda value: sorted(map(lossless, value)), lambda item: set(map(as_it_was, item))),
    "$decimal": (Decimal, str, Decimal),
    "$float": (float, repr, float),
}
PLAIN = Way(plain, plain)
LOSSLESS = Way(lossless, as_it_was)
"""What users wrote in any form; a record's field of it is ``Any``."""
PAIRS = Way(lambda found: [(str(key), value) for key, value in found.items()], dict)
"""An object of scalars that is answered as a list: a view's canonical form keeps the order of lists alone."""
TEXT = Way(lambda found: dumps(found, separators=(",", ":")), loads)
"""A JSON document whose order clients can see, as its text."""
SET = Way(sorted, set)
"""A set of texts, as a sorted list."""


_TIME = (datetime,)
"""Where a library that holds clocks still does not find it, to put a make of its own in its place."""


def _same(value: Any) -> Any:
    if isinstance(value, _TIME) and type(value) is not _TIME[0]:
        return _TIME[0].combine(value.date(), value.timetz())
    return value


SAME = Way(_same, lambda value: value)
"""What cannot change: datetimes, decimals, tuples of scalars."""


@dataclass(frozen=True)
class Coverage:
    """What becomes of each attribute of a class of the emulator.

    Attributes:
        model: the class.
        held: attributes that records hold.
        rebuilt: attributes that a restore makes anew from what records hold: back references, locks, caches.
        left: attributes that are not captured, each with the reason, as ``not_captured`` tells it.
    """

    model: type
    held: frozenset[str] = frozenset()
    rebuilt: frozenset[str] = frozenset()
    left: Mapping[str, str] = field(default_factory=dict)

    def unknown(self, *instances: object) -> set[str]:
        """Attributes that the class, or these instances, have and nothing is said of."""
        found = set(attributes_of(self.model)).union(*(vars(one) for one in instances))
        return found - self.held - self.rebuilt - set(self.left)


def backend_coverage(
    model: type, *, held: Iterable[str], rebuilt: Iterable[str] = (), left: Mapping[str, str] | None = None
) -> Coverage:
    """What becomes of a backend's attributes; ``held``: those in which its resources are."""
    return Coverage(model, frozenset(held), frozenset({*rebuilt, *_OF_EACH_BACKEND}), dict(left or {}))


class Shape(Generic[R]):
    """A class of the emulator, and the record that holds its objects' state.

    A record's field holds the attribute of its name. An attribute that an object may lack is a field
    ``X | msgspec.UnsetType = msgspec.UNSET``.

    Args:
        model: the class.
        record: of its objects; its field ``rank``, if it has one, is nobody's attribute.
        names: the attribute of a field, where their names differ.
        ways: of fields that are not plain JSON.
        extra: fields that are no attribute: ``capture`` is given them, ``build`` leaves them out.
        rebuilt, left: see :class:`Coverage`.
    """

    def __init__(
        self,
        model: type,
        record: type[R],
        *,
        names: Mapping[str, str] | None = None,
        ways: Mapping[str, Way] | None = None,
        extra: tuple[str, ...] = (),
        rebuilt: tuple[str, ...] = (),
        left: Mapping[str, str] | None = None,
    ) -> None:
        self.model = model
        self.record = record
        known = names or {}
        fields = [name for name in record.__struct_fields__ if name != "rank" and name not in extra]
        self._fields = [(name, known.get(name, name), (ways or {}).get(name, PLAIN)) for name in fields]
        held = frozenset(attribute for _, attribute, _ in self._fields)
        self.coverage = Coverage(model, held, frozenset(rebuilt), dict(left or {}))

    def capture(self, found: object, /, **extra: Any) -> R:
        """The record of an object; shares nothing with it that can change.

        Raises:
            TypeError: an attribute is of a type that no way was given for; names it.
        """
        values = vars(found)
        for name, attribute, way in self._fields:
            if attribute not in values:
                continue
            value = values[attribute]
            if way is PLAIN and type(value) in _SCALARS:
                extra[name] = value
                continue
            try:
                extra[name] = way.into(value)
            except (TypeError, ValueError, AttributeError, KeyError) as error:
                raise TypeError(f"{self.model.__qualname__}.{attribute}: {error}") from error
        return self.record(**extra)

    def build(self, record: R, /, **attributes: Any) -> Any:
        """A new object of the class with the record's state; its ``__init__`` is not called.

        Args:
            attributes: those that are rebuilt.
        """
        made: Any = object.__new__(self.model)
        values = vars(made)
        for name, attribute, way in self._fields:
            value = getattr(record, name)
            if value is msgspec.UNSET:
                continue
            values[attribute] = value if way is PLAIN and type(value) in _SCALARS else way.back(value)
        values.update(attributes)
        return made


@cache
def attributes_of(model: type) -> frozenset[str]:
    """The attributes that the source of a class, and of its bases, ever assigns to ``self``, or declares as those of a
    dataclass."""
    found: set[str] = set()
    for base in model.__mro__:
        if base is object or not base.__module__.startswith("moto."):
            continue
        found.update(getattr(base, "__dataclass_fields__", ()))
        found.update(_assigned(base))
    dunder = {name for name in found if name.startswith("__")}
    return frozenset(name for name in found - dunder if not isinstance(getattr(model, name, None), property))


def _assigned(base: type) -> Iterator[str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value):
            yield node.attr


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"
