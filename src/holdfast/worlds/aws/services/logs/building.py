"""CloudWatch Logs' records into the emulator's objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from moto.logs import models
from moto.logs.metric_filters import MetricFilters

from holdfast.worlds.aws.names import parts_of
from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.aws.services.logs import shapes
from holdfast.worlds.aws.services.logs.records import (
    Delivery,
    DeliveryDestination,
    DeliverySource,
    Destination,
    ExportTask,
    LogEvent,
    LogGroup,
    LogsRecord,
    LogStream,
    MetricFilter,
    Query,
    ResourcePolicy,
    SubscriptionFilter,
)
from holdfast.worlds.aws.shapes import plain
from holdfast.worlds.aws.tagging import StrayTags

R = TypeVar("R", bound=Resource)
_EVENT = {"event": 4}


def installed(backend: Any, resources: Mapping[str, LogsRecord]) -> None:
    """Make these, in the order given, the whole state of a backend."""
    groups = _groups(backend, resources)
    policies = {one.policy_name: shapes.POLICY.build(one) for one in _of(resources, ResourcePolicy)}
    queries = {one.query_id: shapes.QUERY.build(one) for one in _of(resources, Query)}
    exports = {one.task_id: shapes.EXPORT.build(one) for one in _of(resources, ExportTask)}
    destinations = {one.arn: shapes.DESTINATION.build(one) for one in _of(resources, Destination)}
    ends = {one.name: shapes.DELIVERY_DESTINATION.build(one) for one in _of(resources, DeliveryDestination)}
    sources = {one.name: shapes.DELIVERY_SOURCE.build(one) for one in _of(resources, DeliverySource)}
    deliveries = {one.id: shapes.DELIVERY.build(one) for one in _of(resources, Delivery)}
    filters = MetricFilters()
    filters.metric_filters = list(map(_metric_filter, _of(resources, MetricFilter)))
    tags = _tags(resources)

    backend.groups, backend.filters, backend.queries = groups, filters, queries
    backend.resource_policies, backend.destinations, backend.export_tasks = policies, destinations, exports
    backend.delivery_destinations, backend.delivery_sources, backend.deliveries = ends, sources, deliveries
    backend.tagger.tags = tags


def _of(resources: Mapping[str, LogsRecord], kind: type[R]) -> list[R]:
    return [record for record in resources.values() if isinstance(record, kind)]


def _groups(backend: Any, resources: Mapping[str, LogsRecord]) -> dict[str, Any]:
    place = {"account_id": backend.account_id, "region": backend.region_name}
    groups: dict[str, Any] = {}
    for group in _of(resources, LogGroup):
        groups[group.name] = shapes.GROUP.build(group, **place, streams={}, subscription_filters={})
    for one in _of(resources, SubscriptionFilter):
        groups[one.log_group_name].subscription_filters[one.name] = shapes.SUBSCRIPTION.build(one)
    for stream in _of(resources, LogStream):
        group = groups[stream.log_group_name]
        group.streams[stream.log_stream_name] = shapes.STREAM.build(stream, **place, log_group=group, events=[])
    for name, record in resources.items():
        if isinstance(record, LogEvent):
            _, group_name, stream_name, *_ = parts_of(name, _EVENT)
            groups[group_name].streams[stream_name].events.append(shapes.EVENT.build(record))
    for made in groups.values():
        for one in made.streams.values():
            _complete(one)
    return groups


def _complete(stream: Any) -> None:
    """What follows from a stream's events, which are in the order of their ids; no later event gets one of these."""
    stream.events.sort(key=lambda event: event.event_id)
    stream.stored_bytes = sum(len(event.message) for event in stream.events)
    stream._update()
    if stream.events:
        models.LogEvent._event_id = max(models.LogEvent._event_id, stream.events[-1].event_id + 1)


def _metric_filter(record: MetricFilter) -> dict[str, Any]:
    return {
        "filterName": record.name,
        "filterPattern": record.filter_pattern,
        "logGroupName": record.log_group_name,
        "metricTransformations": plain(record.metric_transformations),
    }


def _tags(resources: Mapping[str, LogsRecord]) -> dict[str, dict[str, Any]]:
    tagged = LogGroup | Destination | DeliveryDestination | DeliverySource | Delivery | StrayTags
    records = [record for record in resources.values() if isinstance(record, tagged)]
    return {record.arn: dict(record.tags) for record in records if record.tags is not None}
