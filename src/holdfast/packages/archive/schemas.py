"""Whether what one JSON Schema accepts, another one accepts as well. Pure.

Only what codecs write is understood; of anything else the answer is that it cannot be told, which counts as a no.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

Schema = dict[str, Any] | bool
_ROOT = "$"
_MAX_STEPS: Final = 20_000
_MAX_DEPTH: Final = 60
_LEAST = ("minLength", "minItems", "minProperties", "minimum", "exclusiveMinimum")
_MOST = ("maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum")
_ANNOTATIONS = frozenset(
    {
        *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "discriminator"),
        *("$defs", "definitions", "$schema", "$id", "$comment", "contentMediaType"),
    }
)
_OBJECT = ("properties", "required", "additionalProperties")
_ARRAY = ("items", "prefixItems")
_COMPARED = _ANNOTATIONS.union(("type", "enum", "const"), _OBJECT, _ARRAY, _LEAST, _MOST)
"""Keywords that are seen to; of any other, another value than before is a narrowing."""


class Narrowing(NamedTuple):
    """A place where values that were accepted no longer are.

    Attributes:
        path: in the value: ``$.order.lines[*].amount``.
        problem: what changed.
    """

    path: str
    problem: str


def narrowings(old: Schema, new: Schema, *, surplus: bool = False) -> tuple[Narrowing, ...]:
    """Where ``new`` does not accept what ``old`` did; empty: it accepts all of it.

    Args:
        old, new: schemas with their own ``$defs``.
        surplus: properties that ``new`` does not know are accepted (the reader of a result ignores them); otherwise
            such a one was removed.
    """
    comparison = _Comparison(old, new, surplus)
    try:
        return tuple(dict.fromkeys(comparison.compare(old, new, _ROOT)))
    except (_Untold, RecursionError) as refused:
        return (Narrowing(_ROOT, f"cannot be compared: {refused}"),)


class _Untold(Exception):
    """The schemas are no good, or too much work."""


class _Comparison:
    def __init__(self, old: Schema, new: Schema, surplus: bool) -> None:
        self._old, self._new = old, new
        self._surplus = surplus
        self._steps = 0
        self._open: set[tuple[int, int]] = set()

    def compare(self, old: Any, new: Any, path: str) -> list[Narrowing]:
        """The narrowings from ``old`` to ``new`` at ``path``."""
        old, new = _resolve(old, self._old), _resolve(new, self._new)
        if new is True or old is False:
            return []
        if new is False:
            return [Narrowing(path, "nothing is accepted any more")]
        known = list(self._alternatives(new, self._new))
        return [
            found for each in self._alternatives(old, self._old, values=True) for found in self._fit(each, known, path)
        ]

    def _alternatives(self, schema: Any, root: Schema, *, values: bool = False) -> Iterator[dict[str, Any]]:
        """The schemas without references and unions that ``schema`` is the union of.

        Args:
            values: split enumerations, too.
        """
        self._steps += 1
        if self._steps > _MAX_STEPS:
            raise _Untold("they are too large")
        schema = _resolve(schema, root)
        if schema is False:
            return
        schema = _merged({} if schema is True else schema, root)
        union = schema.get("anyOf", schema.get("oneOf"))
        if isinstance(union, list):
            if len(schema.keys() - _ANNOTATIONS) > 1:
                raise _Untold("a union has further conditions")
            for each in union:
                yield from self._alternatives(each, root, values=values)
        elif values and isinstance(schema.get("enum"), list):
            yield from ({"const": value} for value in schema["enum"])
        elif isinstance(schema.get("type"), list) and "enum" not in schema:
            yield from ({**schema, "type": kind} for kind in schema["type"])
        else:
            yield schema

    def _fit(self, old: dict[str, Any], known: list[dict[str, Any]], path: str) -> list[Narrowing]:
        """Nothing where one of ``known`` accepts all of ``old``; else what keeps the nearest one from it."""
        nearest: list[Narrowing] | None = None
        for new in known:
            found = self._within(old, new, path)
            if not found:
                return []
            if _same_kind(old, new) and (nearest is None or len(found) < len(nearest)):
                nearest = found
        return nearest or [Narrowing(path, f"{_told(old)} is no longer accepted")]

    def _within(self, old: dict[str, Any], new: dict[str, Any], path: str) -> list[Narrowing]:
        """What :meth:`_narrowed` finds; of a type within itself nothing: the comparison that is under way tells."""
        pair = id(old), id(new)
        if pair in self._open:
            return []
        if len(self._open) > _MAX_DEPTH:
            raise _Untold("they are too deep")
        self._open.add(pair)
        try:
            return list(self._narrowed(old, new, path))
        finally:
            self._open.discard(pair)

    def _narrowed(self, old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Narrowing]:
        self._steps += 1
        if "const" in old:
            value = old["const"]
            if not _lists(new, value):
                yield Narrowing(path, f"{_told(old)} is no longer accepted")
            old = _schema_of(value)
            new = {key: part for key, part in new.items() if key not in ("enum", "const")}
        elif "const" in new or "enum" in new:
            yield Narrowing(path, "only certain values are accepted now")
        if "type" in new and not _type_fits(old.get("type"), new["type"]):
            yield Narrowing(path, f"{_told(old)} is no longer accepted, only {_told(new)}")
            return
        yield from _bounds(old, new, path)
        if old.get("type") in (None, "object"):
            yield from self._object(old, new, path)
        if old.get("type") in (None, "array"):
            yield from self._array(old, new, path)

    def _object(self, old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Narrowing]:
        before, after = _part(old, "properties", dict), _part(new, "properties", dict)
        rest_before = old.get("additionalProperties", True)
        rest_after = new.get("additionalProperties", True)
        yield from _required(old, new, path)
        for name, schema in before.items():
            if name in after:
                yield from self.compare(schema, after[name], f"{path}.{name}")
            elif isinstance(rest_after, dict) or "properties" not in new:
                yield from self.compare(schema, rest_after, f"{path}.{name}")
            elif rest_after is False or not self._surplus:
                yield Narrowing(f"{path}.{name}", "was removed")
        if isinstance(rest_before, dict) or "properties" not in old:  # further properties meant something
            for name in sorted(after.keys() - before.keys()):
                yield from self.compare(rest_before, after[name], f"{path}.{name}")
            if isinstance(rest_after, dict):
                yield from self.compare(rest_before, rest_after, f"{path}.*")
        if rest_after is False and rest_before is not False:
            yield Narrowing(f"{path}.*", "further properties are refused now")

    def _array(self, old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Narrowing]:
        before, after = _part(old, "prefixItems", list), _part(new, "prefixItems", list)
        rest_before, rest_after = old.get("items", True), new.get("items", True)
        for place in range(max(len(before), len(after))):
            was = before[place] if place < len(before) else rest_before
            wanted = after[place] if place < len(after) else rest_after
            yield from self.compare(was, wanted, f"{path}[{place}]")
        yield from self.compare(rest_before, rest_after, f"{path}[*]")


def _bounds(old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Narrowing]:
    """Conditions that are a keyword each."""
    for key in _LEAST:
        if key in new and not (key in old and _number(old, key) >= _number(new, key)):
            yield Narrowing(path, f"{key} is {new[key]!r:.40} now")
    for key in _MOST:
        if key in new and not (key in old and _number(old, key) <= _number(new, key)):
            yield Narrowing(path, f"{key} is {new[key]!r:.40} now")
    for key in new.keys() - _COMPARED:
        if old.get(key) != new[key]:
            yield Narrowing(path, f"{key} is {new[key]!r:.40} now")


def _required(old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[Narrowing]:
    before = _part(old, "required", list)
    for name in _part(new, "required", list):
        if name not in before:
            yield Narrowing(f"{path}.{name}", "is required now")


def _resolve(schema: Any, root: Schema) -> Schema:
    """What ``schema`` refers to, or itself."""
    seen = 0
    while isinstance(schema, dict) and "$ref" in schema:
        found: Any = root
        for part in _pointer(schema["$ref"]):
            found = found.get(part) if isinstance(found, dict) else None
        schema, seen = found, seen + 1
        if seen > _MAX_DEPTH:
            raise _Untold("a reference goes in circles")
    if not isinstance(schema, dict | bool):
        raise _Untold("a reference, or a part of them, is no schema")
    return schema


def _pointer(reference: object) -> list[str]:
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise _Untold(f"the reference {reference!r:.80} leads out of them")
    return [part.replace("~1", "/").replace("~0", "~") for part in reference[1:].split("/")[1:]]


def _merged(schema: dict[str, Any], root: Schema) -> dict[str, Any]:
    """``schema`` with the one schema of its ``allOf`` in it."""
    if "allOf" not in schema:
        return schema
    parts = schema["allOf"]
    rest = {key: part for key, part in schema.items() if key not in _ANNOTATIONS and key != "allOf"}
    if rest or not isinstance(parts, list) or len(parts) != 1:
        raise _Untold("allOf has several parts")
    only = _resolve(parts[0], root)
    if isinstance(only, bool):
        raise _Untold("allOf holds no conditions")
    return _merged(only, root)


def _part(schema: dict[str, Any], key: str, kind: type[Any]) -> Any:
    found = schema.get(key, kind())
    if not isinstance(found, kind):
        raise _Untold(f"{key} is not what it should be")
    return found


def _number(schema: dict[str, Any], key: str) -> float:
    found = schema[key]
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise _Untold(f"{key} is no number")
    return found


def _type_fits(old: object, new: object) -> bool:
    return old == new or (old, new) == ("integer", "number")


def _same_kind(old: dict[str, Any], new: dict[str, Any]) -> bool:
    kind = _schema_of(old["const"]) if "const" in old else old
    return "type" not in new or _type_fits(kind.get("type"), new["type"])


def _lists(schema: dict[str, Any], value: Any) -> bool:
    """Whether its enumeration, if there is one, has ``value``; JSON tells ``true`` from ``1``."""
    if "const" in schema:
        return _is_same(schema["const"], value)
    return "enum" not in schema or any(_is_same(each, value) for each in _part(schema, "enum", list))


def _is_same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _schema_of(value: Any) -> dict[str, Any]:
    """The narrowest schema known here that accepts ``value``."""
    if value is None or isinstance(value, bool):
        return {"type": "null" if value is None else "boolean"}
    if isinstance(value, str):
        return {"type": "string", "minLength": len(value), "maxLength": len(value)}
    if isinstance(value, int | float):
        kind = "integer" if isinstance(value, int) else "number"
        return {"type": kind, "minimum": value, "maximum": value}
    return {"type": "array" if isinstance(value, list) else "object"}


def _told(schema: dict[str, Any]) -> str:
    if "const" in schema:
        return f"{schema['const']!r:.40}"
    return f"a value of type {schema['type']}" if "type" in schema else "any value"
