"""What views of SQS hold. Pure: no I/O."""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.worlds.aws.resource import Resource


class Queue(Resource, frozen=True, kw_only=True, tag="queue"):
    """A queue: ``queue/NAME``.

    Attributes:
        dead_letter_queue: name of the one that its redrive policy names.
        dead_letters_lost: that one was deleted; dead letters still go there, where nobody finds them.
        policy, redrive_policy: JSON text, as it is answered.
        created_timestamp, last_modified_timestamp, last_purged_at: seconds since 1970.
        delay_seconds, visibility_timeout, …: attributes of SQS, in its units; texts where a client misspelt their
            names, as the emulator takes them.
        others: attributes that SQS does not know, and the emulator keeps.
    """

    name: str
    arn: str
    created_timestamp: float
    last_modified_timestamp: float
    last_purged_at: float | None
    tags: dict[str, str]
    permissions: dict[str, Any]
    policy: str
    redrive_policy: str | None
    dead_letter_queue: str | None
    fifo_queue: bool | str
    content_based_deduplication: bool | str
    deduplication_scope: str
    fifo_throughput_limit: str
    delay_seconds: int | str
    kms_data_key_reuse_period_seconds: int | str
    kms_master_key_id: str | None
    maximum_message_size: int | str
    message_retention_period: int | str
    receive_message_wait_time_seconds: int | str
    visibility_timeout: int | str
    sqs_managed_sse_enabled: Any
    redrive_allow_policy: Any = msgspec.UNSET
    dead_letters_lost: bool = False
    others: dict[str, Any] = msgspec.field(default_factory=dict)


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


class Deletion(Resource, frozen=True, kw_only=True, tag="deletion"):
    """A receipt of a message that was deleted: ``deletion/QUEUE/HANDLE``. Deleting it again is no fault.

    Attributes:
        handle: of the receipt; ``None`` stands for the time before the first one.
    """

    handle: str | None


SqsRecord = Queue | Message | Deletion
