"""What views of SQS hold. Pure: no I/O."""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.worlds.aws.resource import Resource


class Queue(Resource, frozen=True, kw_only=True, tag="queue"):
    """A queue: ``queue/NAME``.

    Attributes:
        dead_letter_queue: name of the one that its redrive policy names.
        deleted_messages: receipt handles of what was deleted: deleting it again is no fault.
        created_timestamp, last_modified_timestamp, last_purged_at: seconds since 1970.
        delay_seconds, visibility_timeout, …: attributes of SQS, in its units.
    """

    name: str
    arn: str
    created_timestamp: float
    last_modified_timestamp: float
    last_purged_at: float | None
    tags: dict[str, str]
    permissions: dict[str, Any]
    policy: dict[str, Any]
    redrive_policy: dict[str, Any] | None
    dead_letter_queue: str | None
    deleted_messages: list[str | None]
    fifo_queue: bool
    content_based_deduplication: bool
    deduplication_scope: str
    fifo_throughput_limit: str
    delay_seconds: int
    kms_data_key_reuse_period_seconds: int
    kms_master_key_id: str | None
    maximum_message_size: int
    message_retention_period: int
    receive_message_wait_time_seconds: int
    visibility_timeout: int
    sqs_managed_sse_enabled: Any
    redrive_allow_policy: Any = msgspec.UNSET


class Message(Resource, frozen=True, kw_only=True, tag="message"):
    """A message: ``message/QUEUE/ID``.

    Attributes:
        in_flight: it was received and not deleted; visible again at ``visible_at``.
        visible_at, delayed_until, sent_timestamp, approximate_first_receive_timestamp: milliseconds since 1970.
        receipt_handles: those of earlier receipts.
    """

    id: str
    body: str
    in_flight: bool
    message_attributes: Any
    system_attributes: Any
    receipt_handle: str | None
    receipt_handles: list[str | None]
    sender_id: str
    sent_timestamp: int | None
    approximate_first_receive_timestamp: int | None
    approximate_receive_count: int
    deduplication_id: str | None
    group_id: str | None
    sequence_number: str | None
    visible_at: float
    delayed_until: float
    user_id: str | msgspec.UnsetType = msgspec.UNSET
