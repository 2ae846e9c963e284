"""What views of CloudWatch Logs hold. Pure: no I/O."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.aws.services.given import UtcTime
from holdfast.worlds.aws.tagging import StrayTags


class LogGroup(Resource, frozen=True, kw_only=True, tag="group"):
    """A log group: ``group/NAME``.

    Attributes:
        tags: ``None`` when it never had any.
    """

    name: str
    arn: str
    creation_time: UtcTime
    retention_in_days: int | str | None
    kms_key_id: str | None
    tags: dict[str, Any] | None

    @property
    def path(self) -> tuple[str, ...]:
        return "group", self.name


class SubscriptionFilter(Resource, frozen=True, kw_only=True, tag="subscription-filter"):
    """A subscription filter: ``subscription-filter/GROUP/NAME``."""

    name: str
    log_group_name: str
    filter_pattern: str | None
    destination_arn: str
    role_arn: str | None
    creation_time: UtcTime

    @property
    def path(self) -> tuple[str, ...]:
        return "subscription-filter", self.log_group_name, self.name


class LogStream(Resource, frozen=True, kw_only=True, tag="stream"):
    """A log stream: ``stream/GROUP/NAME``. Its size, its first and its last time follow from its events.

    Attributes:
        upload_sequence_token: how often events were put there.
    """

    log_group_name: str
    log_stream_name: str
    arn: str
    creation_time: UtcTime
    last_ingestion_time: UtcTime | None
    upload_sequence_token: int

    @property
    def path(self) -> tuple[str, ...]:
        return "stream", self.log_group_name, self.log_stream_name


class LogEvent(Resource, frozen=True, kw_only=True, tag="event"):
    """An event of a stream: ``event/GROUP/STREAM/ID/DIGEST``. Ids rise in the order of arrival; two worlds may give one
    id to two events, which the digest tells apart.

    Attributes:
        timestamp, ingestion_time: milliseconds since 1970.
    """

    event_id: int
    ingestion_time: int
    timestamp: int | float
    message: str

    @property
    def digest(self) -> str:
        """Of all but the id."""
        text = f"{self.ingestion_time} {self.timestamp} {self.message}"
        return blake2b(text.encode(errors="surrogatepass"), digest_size=8).hexdigest()


class MetricFilter(Resource, frozen=True, kw_only=True, tag="metric-filter"):
    """A metric filter: ``metric-filter/GROUP/NAME``.

    Attributes:
        copy: 0, but for the second and later ones of that name, which the emulator takes: that of ``NAME:COPY``.
    """

    name: str
    log_group_name: str
    filter_pattern: str
    metric_transformations: list[dict[str, Any]]
    copy: int = 0

    @property
    def path(self) -> tuple[str, ...]:
        return "metric-filter", self.log_group_name, f"{self.name}:{self.copy}" if self.copy else self.name


class ResourcePolicy(Resource, frozen=True, kw_only=True, tag="resource-policy"):
    """A resource policy: ``resource-policy/NAME``."""

    policy_name: str
    policy_document: Any
    last_updated_time: UtcTime

    @property
    def path(self) -> tuple[str, ...]:
        return "resource-policy", self.policy_name


class Query(Resource, frozen=True, kw_only=True, tag="query"):
    """A query with its results: ``query/ID``.

    Attributes:
        start_time, end_time: seconds since 1970.
        results: of each line found, its fields in their order.
    """

    query_id: str
    start_time: int | None
    end_time: int | None
    query: str
    log_group_names: list[str]
    create_time: UtcTime
    status: str
    results: list[list[tuple[str, Any]]]

    @property
    def path(self) -> tuple[str, ...]:
        return "query", self.query_id


class ExportTask(Resource, frozen=True, kw_only=True, tag="export-task"):
    """An export task: ``export-task/ID``. What it exported is in S3.

    Attributes:
        from_time, to: milliseconds since 1970.
    """

    task_id: str
    task_name: str | None
    log_group_name: str
    destination: str
    destination_prefix: str | None
    from_time: int
    to: int
    status: dict[str, str]

    @property
    def path(self) -> tuple[str, ...]:
        return "export-task", self.task_id


class Destination(Resource, frozen=True, kw_only=True, tag="destination"):
    """A destination of subscriptions: ``destination/NAME``.

    Attributes:
        tags: ``None`` when it never had any.
    """

    destination_name: str
    arn: str
    role_arn: str | None
    target_arn: str | None
    access_policy: str | None
    creation_time: UtcTime
    tags: dict[str, Any] | None

    @property
    def path(self) -> tuple[str, ...]:
        return "destination", self.destination_name


class DeliveryDestination(Resource, frozen=True, kw_only=True, tag="delivery-destination"):
    """A delivery destination: ``delivery-destination/NAME``.

    Attributes:
        tags: as they are; ``None`` when it never had any.
        tags_at_creation: as they were given with it, and as it is described.
    """

    name: str
    arn: str
    output_format: str | None
    delivery_destination_configuration: dict[str, Any]
    policy: Any
    tags: dict[str, Any] | None
    tags_at_creation: dict[str, Any] | None
    delivery_destination_type: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def path(self) -> tuple[str, ...]:
        return "delivery-destination", self.name


class DeliverySource(Resource, frozen=True, kw_only=True, tag="delivery-source"):
    """A delivery source: ``delivery-source/NAME``; ``tags``, ``tags_at_creation``: as of a
    :class:`DeliveryDestination`."""

    name: str
    arn: str
    resource_arns: list[str]
    service: str
    log_type: str
    tags: dict[str, Any] | None
    tags_at_creation: dict[str, Any] | None

    @property
    def path(self) -> tuple[str, ...]:
        return "delivery-source", self.name


class Delivery(Resource, frozen=True, kw_only=True, tag="delivery"):
    """A delivery: ``delivery/ID``; ``tags``, ``tags_at_creation``: as of a :class:`DeliveryDestination`."""

    id: str
    arn: str
    delivery_source_name: str
    delivery_destination_arn: str
    destination_type: str
    record_fields: list[str]
    field_delimiter: str | None
    s3_delivery_configuration: dict[str, Any]
    tags: dict[str, Any] | None
    tags_at_creation: dict[str, Any] | None

    @property
    def path(self) -> tuple[str, ...]:
        return "delivery", self.id


LogsRecord = (
    LogGroup
    | SubscriptionFilter
    | LogStream
    | LogEvent
    | MetricFilter
    | ResourcePolicy
    | Query
    | ExportTask
    | Destination
    | DeliveryDestination
    | DeliverySource
    | Delivery
    | StrayTags
)
