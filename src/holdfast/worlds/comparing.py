"""What differs between two states of a world, for programs and for people (WO-9)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from holdfast import codec
from holdfast.worlds.model import Change, ChangeKind, Delta, Scope, StateView, diff

Part = tuple[str, Scope]
"""A service and a scope."""
Views = Mapping[Part, StateView[Any]]
_SIGNS = {ChangeKind.CREATED: "+", ChangeKind.UPDATED: "~", ChangeKind.DELETED: "-"}
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHOWN = 40
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class ServiceDiff:
    """What differs in one service and scope.

    Attributes:
        changes: one a resource; never empty.
    """

    service: str
    account_id: str
    region: str
    changes: Delta[Any]

    def to_object(self) -> dict[str, Any]:
        """For programs: each change with its kind."""
        changes = [
            {"resource": change.resource, "kind": change.kind, "before": change.before, "after": change.after}
            for change in self.changes
        ]
        return {"service": self.service, "account_id": self.account_id, "region": self.region, "changes": changes}


@dataclass(frozen=True, slots=True)
class WorldDiff:
    """What leads from one state of a world to another; false when they are equal."""

    parts: tuple[ServiceDiff, ...]

    def __bool__(self) -> bool:
        return bool(self.parts)

    def to_object(self) -> dict[str, Any]:
        """For programs."""
        return {"equal": not self.parts, "parts": [part.to_object() for part in self.parts]}

    def lines(self) -> Iterator[str]:
        """For people: ``+ new``, ``~ changed mode 644→600``, ``- gone``; under a heading where there are several
        services or scopes."""
        for part in self.parts:
            if len(self.parts) > 1:
                yield f"{part.service} {part.account_id}/{part.region}"
            yield from map(describe_change, part.changes)


def compare(before: Views, after: Views) -> WorldDiff:
    """What leads from ``before`` to ``after``. What only one of them has counts as empty in the other."""
    return WorldDiff(tuple(_compared(before, after)))


def _compared(before: Views, after: Views) -> Iterator[ServiceDiff]:
    for service, scope in sorted(before.keys() | after.keys()):
        old, new = before.get((service, scope)), after.get((service, scope))
        changes = diff(old.resources if old else {}, new.resources if new else {})
        if changes:
            yield ServiceDiff(service, scope.account_id, scope.region, changes)


def describe_change(change: Change[Any]) -> str:
    """One change in one line."""
    line = f"{_SIGNS[change.kind]} {printable(change.resource)}"
    if change.kind is not ChangeKind.UPDATED:
        return line
    return f"{line} {', '.join(_differences(change.before, change.after))}"


def printable(text: str) -> str:
    """``text`` on one line, with nothing in it that a terminal would obey: a name cannot pass for another line."""
    return "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode() for ch in text)


def _differences(before: Any, after: Any) -> Iterable[str]:
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [f"{_short(old)}→{_short(new)}"]
    return _fields("", old, new)


def _fields(path: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """The fields that differ, each by its path: what values have in common is left out."""
    for name in {**old, **new}:
        a, b = old.get(name, _ABSENT), new.get(name, _ABSENT)
        if a != b and isinstance(a, dict) and isinstance(b, dict) and any(a[key] == b.get(key, _ABSENT) for key in a):
            yield from _fields(f"{path}{printable(name)}.", a, b)
        elif a != b:
            yield f"{path}{printable(name)} {_field(name, old)}→{_field(name, new)}"


def _field(name: str, record: dict[str, Any]) -> str:
    value = record.get(name, _ABSENT)
    if value is _ABSENT:
        return "(absent)"
    return f"{value:o}" if name == "mode" and type(value) is int else _short(value)


def _short(value: Any) -> str:
    if isinstance(value, str) and _DIGEST.fullmatch(value):
        return value[:8]
    text = printable(value) if isinstance(value, str) else codec.encode(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
