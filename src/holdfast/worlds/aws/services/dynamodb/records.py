"""What views of DynamoDB hold. Pure: no I/O.

In names, TABLE is percent-encoded, and KEY is the primary key: its one or two values, each ``TYPE:VALUE``, the value
percent-encoded, between them a slash: ``item/orders/S:o-17/N:3``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.aws.services.given import UtcTime


class LocalIndex(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A local secondary index."""

    name: str
    key_schema: list[dict[str, str]]
    projection: dict[str, Any]


class GlobalIndex(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A global secondary index."""

    name: str
    key_schema: list[dict[str, str]]
    projection: dict[str, Any]
    status: str
    throughput: dict[str, Any]
    warm_throughput: dict[str, Any]


class Table(Resource, frozen=True, kw_only=True, tag="table"):
    """A table: ``table/TABLE``. Its items and its stream are resources of their own.

    Attributes:
        created_at, restore_date_time: UTC.
        hash_key_attr, hash_key_type, range_key_attr, range_key_type: the primary key, as it was when the table was
            made.
        source_table_arn, restore_date_time: of one that was restored; ``source_backup_arn``: from a backup.
    """

    name: str
    arn: str
    created_at: UtcTime
    attribute_definitions: list[dict[str, str]]
    key_schema: list[dict[str, str]]
    hash_key_attr: str
    hash_key_type: str
    range_key_attr: str | None
    range_key_type: str | None
    local_indexes: list[LocalIndex]
    global_indexes: list[GlobalIndex]
    billing_mode: str | None
    throughput: dict[str, Any]
    warm_throughput: dict[str, Any]
    tags: list[dict[str, Any]]
    ttl: dict[str, Any]
    continuous_backups: dict[str, Any]
    sse_specification: dict[str, Any] | None
    deletion_protection_enabled: Any
    source_table_arn: str | msgspec.UnsetType = msgspec.UNSET
    source_backup_arn: str | msgspec.UnsetType = msgspec.UNSET
    restore_date_time: UtcTime | msgspec.UnsetType = msgspec.UNSET


class Stream(Resource, frozen=True, kw_only=True, tag="stream"):
    """The stream of a table that has, or had, one: ``stream/TABLE``.

    Attributes:
        label: its ARN ends in it.
        shard_id, starting_sequence_number: of its one shard.
        created_on: UTC.
    """

    label: str
    specification: dict[str, bool | str]
    shard_id: str
    starting_sequence_number: str
    created_on: UtcTime


class StreamRecord(Resource, frozen=True, kw_only=True, tag="record"):
    """A record of a stream: ``record/TABLE/SEQUENCE_NUMBER``.

    Attributes:
        record: as ``GetRecords`` answers it; bytes and times as :func:`~holdfast.worlds.aws.shapes.lossless` has them.
    """

    record: Any


class Item(Resource, frozen=True, kw_only=True, tag="item", gc=False):
    """An item of a table: ``item/TABLE/KEY``, or of a backup: ``backup-item/TABLE/BACKUP/KEY``.

    Attributes:
        attributes: in DynamoDB's typed form, numbers as the text that was written, binary values in base64.
        hash_key, range_key: where they are not what the attributes say.
    """

    attributes: dict[str, dict[str, Any]]
    hash_key: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    range_key: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class Backup(Resource, frozen=True, kw_only=True, tag="backup"):
    """A backup of a table: ``backup/TABLE/BACKUP``. Its items are resources of their own.

    Attributes:
        table, stream: as they were then.
        creation_date_time: UTC.
    """

    identifier: str
    name: str
    status: str
    kind: str
    creation_date_time: UtcTime
    table: Table
    stream: Stream | None


class ResourcePolicy(Resource, frozen=True, kw_only=True, tag="policy"):
    """The policy of a table: ``policy/ARN``."""

    resource_arn: str
    policy_doc: str
    revision_id: str


class TableImport(Resource, frozen=True, kw_only=True, tag="import"):
    """An import of a table from S3, under way or done: ``import/ARN``."""

    arn: str
    status: str
    s3_source: dict[str, Any]
    compression_type: str | None
    table_name: str
    table_arn: str
    billing_mode: str
    throughput: dict[str, Any] | None
    key_schema: list[dict[str, str]]
    global_indexes: list[dict[str, Any]] | None
    attribute_definitions: list[dict[str, str]]
    failure_code: str | None
    failure_message: str | None
    processed_count: int
    processed_bytes: int
    error_count: int
    imported_count: int


class TableExport(Resource, frozen=True, kw_only=True, tag="export"):
    """An export of a table to S3, under way or done: ``export/ARN``.

    Attributes:
        bucket_owner: the account.
    """

    arn: str
    status: str
    table_arn: str
    s3_bucket: str
    s3_prefix: str
    bucket_owner: str
    export_format: str
    export_type: str
    failure_code: str | None
    failure_message: str | None
    item_count: int
    processed_bytes: int
    error_count: int


Record = Table | Stream | StreamRecord | Item | Backup | ResourcePolicy | TableImport | TableExport
