"""EventBridge: the emulator's objects into records, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec
from moto.events import models
from moto.events.exceptions import InvalidEventPatternException

from holdfast.worlds.aws.adapter import Adapter, Fault, Group, Part
from holdfast.worlds.aws.names import name_of, parts_of
from holdfast.worlds.aws.services.events import shapes
from holdfast.worlds.aws.services.events.building import installed
from holdfast.worlds.aws.services.events.records import (
    Archive,
    ArchivedEvent,
    EventsRecord,
    Permission,
    Rule,
    Target,
    minute_of,
)
from holdfast.worlds.aws.services.events.touches import STRAY, TOUCHES, archived_groups
from holdfast.worlds.aws.services.given import is_lossless, is_object
from holdfast.worlds.aws.shapes import LOSSLESS, Shape
from holdfast.worlds.aws.tagging import stray_tags, tags_of
from holdfast.worlds.model import StateView

_PARTS = {
    "bus": 1,
    "permission": 2,
    "rule": 2,
    "target": 3,
    "archive": 1,
    "archived": 3,
    "replay": 1,
    "connection": 1,
    "api-destination": 1,
    "partner-source": 1,
    "source": 1,
    "tags": 1,
}
_SIMPLE: Mapping[str, tuple[str, Shape[Any]]] = {
    "archive": ("archives", shapes.ARCHIVE),
    "replay": ("replays", shapes.REPLAY),
    "connection": ("connections", shapes.CONNECTION),
    "api-destination": ("destinations", shapes.DESTINATION),
    "partner-source": ("partner_event_sources", shapes.PARTNER_SOURCE),
    "source": ("event_sources", shapes.SOURCE),
}
"""Kinds of one object a resource: the backend's attribute that has them by name, and their shape."""


class EventsAdapter(Adapter[EventsRecord]):
    """Buses with their policies, rules with their targets and so on, each a group; an archive's events by the minute:
    what is put is read alone."""

    service_name = "events"
    view_type = StateView[EventsRecord]
    coverage = shapes.COVERAGE
    touches = TOUCHES
    always = (("bus", "default"),)

    @property
    def backends(self) -> Any:
        return models.events_backends

    def groups(self, backend: Any, region: str | None = None) -> Iterator[Group]:
        for bus in backend.event_buses.values():
            yield "bus", bus.name
            yield from (("rule", bus.name, rule) for rule in bus.rules)
        for kind, (attribute, _) in _SIMPLE.items():
            for name in getattr(backend, attribute):
                yield kind, name
                if kind == "archive":
                    yield from archived_groups(backend, name)
        if stray_tags(backend, _owned(backend)):
            yield STRAY

    def read(self, backend: Any, group: Group) -> Part[EventsRecord] | None:
        kind, *parts = group
        reader = _READERS.get(kind)
        found = reader(backend, *parts) if reader else _simple(backend, kind, *parts)
        return Part(backend.region_name, {name_of(*record.path): record for record in found}) if found else None

    def group_of(self, name: str) -> Group:
        kind, *parts = parts_of(name, _PARTS)
        if kind == "tags":
            return STRAY
        if kind == "permission":
            return "bus", parts[0]
        return ("rule" if kind == "target" else kind, *parts[:2]) if len(parts) > 1 else (kind, parts[0])

    def install(self, backend: Any, region: str, resources: Mapping[str, EventsRecord]) -> None:
        installed(backend, resources.values())

    def check(self, resources: Mapping[str, EventsRecord]) -> Iterator[Fault]:
        for name, record in resources.items():
            rightful = name_of(*record.path)
            if name != rightful:
                yield Fault(name, "name", f"it is that of {rightful!r}")
            elif (owner := _owner(record)) is not None and name_of(*owner) not in resources:
                yield Fault(name, owner[0], f"there is no {owner[0]} {owner[-1]!r}")
            elif isinstance(record, Rule | Archive) and not _is_pattern(record.event_pattern):
                yield Fault(name, "event_pattern", "it is no event pattern")
            elif isinstance(record, ArchivedEvent) and not _is_event(record):
                yield Fault(name, "event", "it is not the event of that id and time")
            elif isinstance(record, ArchivedEvent) and not _has_place(record, resources):
                yield Fault(name, "copy", "there is none before it")
            elif isinstance(record, Target) and not _is_target(record.settings):
                yield Fault(name, "settings", "they are not those of a target")


def _owner(record: EventsRecord) -> tuple[str, ...] | None:
    """What a resource cannot be without."""
    if isinstance(record, Permission):
        return "bus", record.bus
    if isinstance(record, Rule):
        return "bus", record.event_bus_name
    if isinstance(record, Target):
        return "rule", record.bus, record.rule
    return ("archive", record.archive) if isinstance(record, ArchivedEvent) else None


def _is_pattern(text: str | None) -> bool:
    try:
        models.EventPattern.load(text)
    except (InvalidEventPatternException, AttributeError, RecursionError):
        return False
    return True


def _is_event(record: ArchivedEvent) -> bool:
    try:
        event = LOSSLESS.back(record.event)
        known = event["id"] == record.id and event["ingestion-time"] == record.ingestion_time
        return bool(known and is_lossless(record.event))
    except (TypeError, ValueError, KeyError, ArithmeticError, AttributeError, RecursionError):
        return False


def _has_place(record: ArchivedEvent, resources: Mapping[str, EventsRecord]) -> bool:
    """Whether it is the first of its id, or there is one before it."""
    if record.copy == 0:
        return True
    before = msgspec.structs.replace(record, copy=record.copy - 1)
    return record.copy > 0 and name_of(*before.path) in resources


def _is_target(settings: dict[str, Any]) -> bool:
    """Whether the emulator takes such a target."""
    if not is_object(settings):
        return False
    parts = [LOSSLESS.back(settings).get(part, {}) for part in ("InputTransformer", "SqsParameters")]
    names = (settings.get("Id"), settings.get("Arn"))
    return all(isinstance(part, dict) for part in parts) and all(isinstance(one, str) for one in names)


def _owned(backend: Any) -> set[str]:
    """The ARNs of what holds its tags itself."""
    buses = backend.event_buses.values()
    return {bus.arn for bus in buses} | {rule.arn for bus in buses for rule in bus.rules.values()}


def _bus(backend: Any, name: str) -> list[EventsRecord]:
    bus = backend.event_buses.get(name)
    if bus is None:
        return []
    record = shapes.BUS.capture(bus, tags=tags_of(backend, bus.arn))
    return [record, *(shapes.PERMISSION.capture(statement, bus=name) for statement in bus._statements.values())]


def _rule(backend: Any, bus: str, name: str) -> list[EventsRecord]:
    found = backend.event_buses.get(bus)
    rule = found.rules.get(name) if found else None
    if rule is None:
        return []
    record = shapes.RULE.capture(rule, tags=tags_of(backend, rule.arn))
    return [record, *(Target(bus=bus, rule=name, settings=LOSSLESS.into(target)) for target in rule.targets)]


def _archived(backend: Any, archive: str, minute: str) -> list[EventsRecord]:
    found = backend.archives.get(archive)
    events = found.events if found else ()
    records: list[EventsRecord] = []
    copies: dict[str, int] = {}
    for event in events:
        if minute_of(event["ingestion-time"]) != minute:
            continue
        ident, time = event["id"], event["ingestion-time"]
        copy = copies[ident] = copies.get(ident, -1) + 1
        event = LOSSLESS.into(event)
        records.append(ArchivedEvent(archive=archive, id=ident, ingestion_time=time, event=event, copy=copy))
    return records


def _simple(backend: Any, kind: str, name: str) -> list[EventsRecord]:
    attribute, shape = _SIMPLE[kind]
    found = getattr(backend, attribute).get(name)
    return [] if found is None else [shape.capture(found)]


_READERS: Mapping[str, Callable[..., Iterable[EventsRecord]]] = {
    "bus": _bus,
    "rule": _rule,
    "archived": _archived,
    "tags": lambda backend: stray_tags(backend, _owned(backend)),
}
