"""The emulator's classes of CloudWatch Logs, and the records that hold their objects' state."""

from __future__ import annotations

from moto.logs import metric_filters, models

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
_GIVEN_TAGS = {"tags_at_creation": "tags"}

GROUP = Shape(
    models.LogGroup,
    LogGroup,
    ways={"creation_time": SAME},
    extra=("tags",),
    rebuilt=("account_id", "region", "streams", "subscription_filters"),
)
SUBSCRIPTION = Shape(models.SubscriptionFilter, SubscriptionFilter, ways={"creation_time": SAME})
STREAM = Shape(
    models.LogStream,
    LogStream,
    ways={"creation_time": SAME, "last_ingestion_time": SAME},
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
POLICY = Shape(models.LogResourcePolicy, ResourcePolicy, ways={"last_updated_time": SAME})
QUERY = Shape(models.LogQuery, Query, ways={"create_time": SAME, "results": _LINES})
EXPORT = Shape(models.ExportTask, ExportTask)
DESTINATION = Shape(models.Destination, Destination, ways={"creation_time": SAME}, extra=("tags",))
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
