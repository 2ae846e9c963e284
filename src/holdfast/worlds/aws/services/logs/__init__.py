"""CloudWatch Logs: log groups, streams with their events, filters, queries, destinations, deliveries."""

from __future__ import annotations

from holdfast.worlds.aws.services.logs.adapter import LogsAdapter
from holdfast.worlds.aws.services.logs.records import (
    Delivery,
    DeliveryDestination,
    DeliverySource,
    Destination,
    ExportTask,
    LogEvent,
    LogGroup,
    LogStream,
    MetricFilter,
    Query,
    ResourcePolicy,
    SubscriptionFilter,
)

__all__ = [
    "Delivery",
    "DeliveryDestination",
    "DeliverySource",
    "Destination",
    "ExportTask",
    "LogEvent",
    "LogGroup",
    "LogStream",
    "LogsAdapter",
    "MetricFilter",
    "Query",
    "ResourcePolicy",
    "SubscriptionFilter",
]
