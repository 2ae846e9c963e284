"""CloudWatch Logs: the emulator's objects into records, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from moto.logs import models

from holdfast.worlds.aws.adapter import Adapter, Fault, Group, Part
from holdfast.worlds.aws.names import name_of, parts_of
from holdfast.worlds.aws.services.given import twins
from holdfast.worlds.aws.services.logs import shapes
from holdfast.worlds.aws.services.logs.building import installed
from holdfast.worlds.aws.services.logs.reading import READERS
from holdfast.worlds.aws.services.logs.records import (
    Destination,
    LogEvent,
    LogsRecord,
    LogStream,
    MetricFilter,
    SubscriptionFilter,
)
from holdfast.worlds.aws.services.logs.touches import STRAY, TOUCHES, block_of, event_groups
from holdfast.worlds.model import StateView

_PARTS = {
    "group": 1,
    "subscription-filter": 2,
    "stream": 2,
    "event": 4,
    "metric-filter": 2,
    "resource-policy": 1,
    "query": 1,
    "export-task": 1,
    "destination": 1,
    "delivery-destination": 1,
    "delivery-source": 1,
    "delivery": 1,
    "tags": 1,
}
_EVENT = {"event": _PARTS["event"]}
_TOGETHER: Mapping[str, Group] = {
    "metric-filter": ("metric-filters",),
    "query": ("queries",),
    "export-task": ("export-tasks",),
    "delivery": ("deliveries",),
    "tags": STRAY,
}
"""Kinds that are read all together: the ids of new ones cannot be told beforehand."""


class LogsAdapter(Adapter[LogsRecord]):
    """Log groups, streams and what else there is, each a group; a stream's events by blocks of consecutive ids, in
    which order they are: what is put is read alone, however many there are already."""

    service_name = "logs"
    view_type = StateView[LogsRecord]
    coverage = shapes.COVERAGE
    touches = TOUCHES

    @property
    def backends(self) -> Any:
        return models.logs_backends

    def groups(self, backend: Any, region: str | None = None) -> Iterator[Group]:
        for group in backend.groups.values():
            yield "group", group.name
            for stream in group.streams:
                yield "stream", group.name, stream
                yield from event_groups(group, stream)
        yield from (("resource-policy", name) for name in backend.resource_policies)
        yield from (("destination", one.destination_name) for one in backend.destinations.values())
        yield from (("delivery-destination", name) for name in backend.delivery_destinations)
        yield from (("delivery-source", name) for name in backend.delivery_sources)
        yield from (group for group in _TOGETHER.values() if READERS[group[0]](backend))

    def read(self, backend: Any, group: Group) -> Part[LogsRecord] | None:
        found = READERS[group[0]](backend, *group[1:])
        return Part(backend.region_name, found) if found else None

    def group_of(self, name: str) -> Group:
        kind, *parts = parts_of(name, _PARTS)
        if kind in _TOGETHER:
            return _TOGETHER[kind]
        if kind == "event":
            return "events", parts[0], parts[1], block_of(int(parts[2]))
        return ("group", parts[0]) if kind == "subscription-filter" else (kind, *parts)

    def install(self, backend: Any, region: str, resources: Mapping[str, LogsRecord]) -> None:
        installed(backend, resources)

    def check(self, resources: Mapping[str, LogsRecord]) -> Iterator[Fault]:
        for name, record in resources.items():
            if isinstance(record, LogEvent):
                yield from _faults_of_event(name, record, resources)
                continue
            rightful = name_of(*record.path)
            if name != rightful:
                yield Fault(name, "name", f"it is that of {rightful!r}")
            elif isinstance(record, LogStream | SubscriptionFilter) and _group_name(record) not in resources:
                yield Fault(name, "log_group_name", f"there is no log group {record.log_group_name!r}")
            elif isinstance(record, MetricFilter) and not _has_place(record, resources):
                yield Fault(name, "copy", "there is none before it")
        destinations = ((name, record.arn) for name, record in resources.items() if isinstance(record, Destination))
        yield from (Fault(name, "arn", "another destination has it") for name in twins(destinations))


def _has_place(record: MetricFilter, resources: Mapping[str, LogsRecord]) -> bool:
    """Whether it is the first of its name, or there is one before it."""
    if record.copy == 0:
        return True
    before = msgspec.structs.replace(record, copy=record.copy - 1)
    return record.copy > 0 and name_of(*before.path) in resources


def _group_name(record: LogStream | SubscriptionFilter) -> str:
    return name_of("group", record.log_group_name)


def _faults_of_event(name: str, record: LogEvent, resources: Mapping[str, LogsRecord]) -> Iterator[Fault]:
    try:
        kind, group, stream, *rest = parts_of(name, _EVENT)
    except ValueError:
        kind, group, stream, rest = "", "", "", []
    if kind != "event" or rest != [str(record.event_id), record.digest] or name != name_of(kind, group, stream, *rest):
        yield Fault(name, "event_id", f"its name does not end in {record.event_id}/{record.digest}")
    elif name_of("stream", group, stream) not in resources:
        yield Fault(name, "event_id", f"there is no stream {stream!r} of a log group {group!r}")
