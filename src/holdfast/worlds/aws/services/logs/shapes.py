"""The emulator's classes of CloudWatch Logs, and the records that hold their objects' state."""

from __future__ import annotations

from datetime import datetime, timedelta

from moto.core.utils import unix_time_millis
from moto.logs import metric_filters, models
from packaging.version import Version

from holdfast.worlds.aws.emulator import check_emulator
from holdfast.worlds.aws.services.logs.records import (
    Delivery,
    DeliveryDestination,
    DeliverySource,
    Destination,
    ExportTask,
    LogEvent,
    LogGroup,
    LogStream,
    Query,
    ResourcePolicy,
    SubscriptionFilter,
)
from holdfast.worlds.aws.shapes import SAME, Coverage, Shape, Way, backend_coverage, plain
from holdfast.worlds.aws.tagging import TAGGING

_LINES = Way(
    lambda lines: [[(name, plain(value)) for name, value in line.items()] for line in lines],
    lambda lines: [{name: plain(value) for name, value in line} for line in lines],
)
"""Objects whose fields are answered as a list, in their order."""


def _from_milliseconds(value: float | None) -> datetime | None:
    return None if value is None else datetime(1970, 1, 1) + timedelta(microseconds=round(value * 1000))


def _to_milliseconds(value: datetime | None) -> int | None:
    return None if value is None else round(unix_time_millis(value))


_COUNTED = check_emulator() < Version("5.2.5")
"""Up to then the emulator had times as milliseconds since 1970, in queries with their fraction."""
_TIME = Way(_from_milliseconds, _to_milliseconds) if _COUNTED else SAME
_FINE_TIME = Way(_from_milliseconds, unix_time_millis) if _COUNTED else SAME
_GIVEN_TAGS = {"tags_at_creation": "tags"}

GROUP = Shape(
    models.LogGroup,
    LogGroup,
    ways={"creation_time": _TIME},
    extra=("tags",),
    rebuilt=("account_id", "region", "streams", "subscription_filters"),
)
SUBSCRIPTION = Shape(models.SubscriptionFilter, SubscriptionFilter, ways={"creation_time": _TIME})
STREAM = Shape(
    models.LogStream,
    LogStream,
    ways={"creation_time": _TIME, "last_ingestion_time": _TIME},
    extra=("log_group_name",),
    rebuilt=(
        "account_id",
        "region",
        "log_group",
        "events",
        "stored_bytes",
        "first_event_timestamp",
        "last_event_timestamp",
    ),
)
EVENT = Shape(models.LogEvent, LogEvent)
POLICY = Shape(models.LogResourcePolicy, ResourcePolicy, ways={"last_updated_time": _TIME})
QUERY = Shape(models.LogQuery, Query, ways={"create_time": _FINE_TIME, "results": _LINES})
EXPORT = Shape(models.ExportTask, ExportTask)
DESTINATION = Shape(models.Destination, Destination, ways={"creation_time": _TIME}, extra=("tags",))
DELIVERY_DESTINATION = Shape(models.DeliveryDestination, DeliveryDestination, names=_GIVEN_TAGS, extra=("tags",))
DELIVERY_SOURCE = Shape(models.DeliverySource, DeliverySource, names=_GIVEN_TAGS, extra=("tags",))
DELIVERY = Shape(models.Delivery, Delivery, names=_GIVEN_TAGS, extra=("tags",))

COVERAGE = (
    GROUP.coverage,
    SUBSCRIPTION.coverage,
    STREAM.coverage,
    EVENT.coverage,
    POLICY.coverage,
    QUERY.coverage,
    EXPORT.coverage,
    DESTINATION.coverage,
    DELIVERY_DESTINATION.coverage,
    DELIVERY_SOURCE.coverage,
    DELIVERY.coverage,
    Coverage(metric_filters.MetricFilters, held=frozenset({"metric_filters"})),
    TAGGING,
    backend_coverage(
        models.LogsBackend,
        held=(
            "groups",
            "filters",
            "queries",
            "resource_policies",
            "destinations",
            "tagger",
            "export_tasks",
            "delivery_destinations",
            "delivery_sources",
            "deliveries",
        ),
    ),
)
