"""What the emulator's CloudWatch Logs hold, group by group."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any

import msgspec

from holdfast.worlds.aws.names import name_of
from holdfast.worlds.aws.services.logs import shapes
from holdfast.worlds.aws.services.logs.records import LogsRecord, MetricFilter
from holdfast.worlds.aws.services.logs.touches import BLOCK
from holdfast.worlds.aws.shapes import Shape, plain
from holdfast.worlds.aws.tagging import stray_tags, tags_of

Records = dict[str, LogsRecord]
_event_id = attrgetter("event_id")


def _owned(backend: Any) -> set[str]:
    """The ARNs of what holds its tags itself."""
    owners = (
        backend.groups,
        backend.destinations,
        backend.delivery_destinations,
        backend.delivery_sources,
        backend.deliveries,
    )
    return {one.arn for ones in owners for one in ones.values()}


def _group(backend: Any, name: str) -> Records:
    group = backend.groups.get(name)
    if group is None:
        return {}
    found: Records = {name_of("group", name): shapes.GROUP.capture(group, tags=tags_of(backend, group.arn))}
    for one in group.subscription_filters.values():
        found[name_of("subscription-filter", name, one.name)] = shapes.SUBSCRIPTION.capture(one)
    return found


def _stream_of(backend: Any, group: str, stream: str) -> Any:
    found = backend.groups.get(group)
    return found.streams.get(stream) if found else None


def _stream(backend: Any, group: str, stream: str) -> Records:
    found = _stream_of(backend, group, stream)
    if found is None:
        return {}
    return {name_of("stream", group, stream): shapes.STREAM.capture(found, log_group_name=group)}


def _events(backend: Any, group: str, stream: str, block: str) -> Records:
    found = _stream_of(backend, group, stream)
    if found is None:
        return {}
    first = int(block) * BLOCK
    start = bisect_left(found.events, first, key=_event_id)
    end = bisect_left(found.events, first + BLOCK, lo=start, key=_event_id)
    prefix = name_of("event", group, stream, "")
    records = map(shapes.EVENT.capture, found.events[start:end])
    return {f"{prefix}{record.event_id}/{record.digest}": record for record in records}


def _metric_filters(backend: Any) -> Records:
    found: Records = {}
    for one in backend.filters.metric_filters:
        record = MetricFilter(
            name=one["filterName"],
            log_group_name=one["logGroupName"],
            filter_pattern=one["filterPattern"],
            metric_transformations=plain(one["metricTransformations"]),
        )
        while name_of(*record.path) in found:
            record = msgspec.structs.replace(record, copy=record.copy + 1)
        found[name_of(*record.path)] = record
    return found


def _all_of(attribute: str, shape: Shape[Any]) -> Callable[[Any], Records]:
    """Those that have no tags, all together."""

    def read(backend: Any) -> Records:
        return _named(map(shape.capture, getattr(backend, attribute).values()))

    return read


def _deliveries(backend: Any) -> Records:
    return _named(_tagged(backend, shapes.DELIVERY, one) for one in backend.deliveries.values())


def _policy(backend: Any, name: str) -> Records:
    found = backend.resource_policies.get(name)
    return _named([shapes.POLICY.capture(found)]) if found else {}


def _destination(backend: Any, name: str) -> Records:
    found = [one for one in backend.destinations.values() if one.destination_name == name]
    return _named(_tagged(backend, shapes.DESTINATION, one) for one in found)


def _delivery_end(attribute: str, shape: Shape[Any]) -> Callable[[Any, str], Records]:
    def read(backend: Any, name: str) -> Records:
        found = getattr(backend, attribute).get(name)
        return _named([_tagged(backend, shape, found)]) if found else {}

    return read


def _tagged(backend: Any, shape: Shape[Any], found: Any) -> Any:
    return shape.capture(found, tags=tags_of(backend, found.arn))


def _named(records: Iterable[Any]) -> Records:
    return {name_of(*record.path): record for record in records}


READERS: Mapping[str, Callable[..., Records]] = {
    "group": _group,
    "stream": _stream,
    "events": _events,
    "metric-filters": _metric_filters,
    "resource-policy": _policy,
    "queries": _all_of("queries", shapes.QUERY),
    "export-tasks": _all_of("export_tasks", shapes.EXPORT),
    "destination": _destination,
    "delivery-destination": _delivery_end("delivery_destinations", shapes.DELIVERY_DESTINATION),
    "delivery-source": _delivery_end("delivery_sources", shapes.DELIVERY_SOURCE),
    "deliveries": _deliveries,
    "tags": lambda backend: _named(stray_tags(backend, _owned(backend))),
}
"""By the first part of a group, how it is read: of the backend and the other parts."""
