"""Views of a world, and what can be said of two of them. Pure: no I/O.

A view is flat: it maps each resource's name to one typed record, so that diff, merge, deltas and storage work alike
for every service. Bodies are not in it: a record names its body by SHA-256.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar, get_args

import msgspec

from holdfast import codec
from holdfast.errors import NotSerialisable
from holdfast.text import is_storable
from holdfast.worlds.errors import InvalidScope, InvalidView, ViewVersion

R = TypeVar("R")
V = TypeVar("V", bound="StateView[Any]")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_PATH = re.compile(r" - at `(.*)`$", re.DOTALL)
_RECORD = "$.resources[...]"
"""What the decoder calls every record."""
_unlimited = 1 << 40


class Scope(NamedTuple):
    """What one state belongs to."""

    account_id: str
    region: str


class StateView(msgspec.Struct, Generic[R], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The state of one service in one scope, as typed values that go to JSON and back without loss (WO-1).

    Attributes:
        service: name of the service.
        version: of the form of ``resources`` (WO-7).
        resources: each resource's record by its name.
        not_captured: what the service holds but the view does not (WO-8).
    """

    service: str
    version: int
    resources: dict[str, R]
    not_captured: tuple[str, ...] = ()


class ChangeKind(StrEnum):
    """What happened to a resource."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Change(Generic[R]):
    """One resource that differs between two states; ``None`` is absence."""

    resource: str
    before: R | None
    after: R | None

    @property
    def kind(self) -> ChangeKind:
        if self.before is None:
            return ChangeKind.CREATED
        return ChangeKind.DELETED if self.after is None else ChangeKind.UPDATED


Delta = tuple[Change[R], ...]
"""What leads from one state to another: one change a resource, in the order of their names."""


def diff(before: Mapping[str, R], after: Mapping[str, R]) -> Delta[R]:
    """What leads from the resources ``before`` to those ``after``; empty when they are equal (WO-9)."""
    differing = [name for name, record in before.items() if after.get(name) != record]
    differing += after.keys() - before.keys()
    return tuple(Change(name, before.get(name), after.get(name)) for name in sorted(differing))


def apply_delta(resources: dict[str, R], delta: Iterable[Change[R]]) -> None:
    """Bring ``resources`` to the state after ``delta``."""
    for change in delta:
        _put(resources, change.resource, change.after)


def undo_delta(resources: dict[str, R], delta: Iterable[Change[R]]) -> None:
    """Bring ``resources`` to the state before ``delta``."""
    for change in delta:
        _put(resources, change.resource, change.before)


def _put(resources: dict[str, R], name: str, record: R | None) -> None:
    if record is None:
        resources.pop(name, None)
    else:
        resources[name] = record


def encode_view(view: StateView[Any]) -> str:
    """``view`` as canonical JSON (WO-7): equal views give equal text.

    Raises:
        InvalidView: it was made by hand and has no JSON form; names the path.
    """
    try:
        return codec.encode_canonical(view, max_bytes=_unlimited)[0]
    except NotSerialisable as error:
        raise InvalidView(view.service, _unwritable(view), error.message.rstrip(".")) from error


def _unwritable(view: StateView[Any]) -> str:
    """Where in ``view`` the first thing is that has no JSON form."""
    resources: object = view.resources
    if isinstance(resources, dict):
        for name, record in resources.items():
            try:
                codec.encode_canonical({name: record}, max_bytes=_unlimited)
            except NotSerialisable:
                return path_of(name)
    return "$"


def decode_view(kind: type[V], text: str | bytes, *, service: str, version: int) -> V:
    """The view that ``text`` holds.

    Args:
        kind: of the view, parametrised: ``StateView[File]``.
        service, version: what it must be of.

    Raises:
        InvalidView: not JSON, or not of that type or service; names the path.
        ViewVersion: of another version.
    """
    head: dict[str, msgspec.Raw] = {}
    try:
        head = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        if head.keys().isdisjoint(("service", "version", "resources")):
            raise InvalidView(service, "$", "it is not a view")
        found = msgspec.json.decode(head.get("version", msgspec.Raw(b"null")))
        if type(found) is not int or found != version:
            raise ViewVersion(service, found, version)
        view: V = msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidView(service, *_located(error, kind, head)) from error
    if view.service != service:
        raise InvalidView(service, "$.service", f"it is a view of {view.service!r}")
    return view


def path_of(name: object) -> str:
    """Where the record of that name is in a view, printable whatever the name."""
    text = str(name)
    return f"$.resources[{json.dumps(text, ensure_ascii=not is_storable(text))}]"


def _located(error: Exception, kind: Any, head: dict[str, msgspec.Raw]) -> tuple[str, str]:
    """Where and what the fault of a view is; ``head``: its fields, as far as they could be told apart."""
    path, fault = _path_and_fault(error)
    if not path.startswith(_RECORD):
        return path, fault
    (record,) = get_args(kind)
    for name, raw in msgspec.json.decode(head["resources"], type=dict[str, msgspec.Raw]).items():
        try:
            msgspec.json.decode(raw, type=record)
        except msgspec.DecodeError as found:
            path, fault = _path_and_fault(found)
            return path_of(name) + path.removeprefix("$"), fault
    return path, fault


def _path_and_fault(error: Exception) -> tuple[str, str]:
    fault = str(error)
    located = _PATH.search(fault)
    return (located.group(1), fault[: located.start()]) if located else ("$", fault)


def check_name(name: object, what: str) -> str:
    """``name``, which becomes part of paths and keys.

    Raises:
        InvalidScope: it cannot be the name of ``what``.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidScope(f"{name!r} cannot be the name of {what}.")
    return name


def to_scope(pair: object) -> Scope:
    """The scope that a pair of names is.

    Raises:
        InvalidScope: it is none.
    """
    if not isinstance(pair, tuple | list) or len(pair) != len(Scope._fields):
        raise InvalidScope(f"{pair!r} is no scope.", remedy="Give a pair: (account, region).")
    return check_scope(*pair)


def check_scope(account_id: str, region: str) -> Scope:
    """Raises:
    InvalidScope: one of them cannot be a name.
    """
    return Scope(check_name(account_id, "an account"), check_name(region, "a region"))
