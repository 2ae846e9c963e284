"""The emulator's tables, streams and backups into records, and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec
from moto.dynamodb.models import table as models
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.dynamo_type import Item as MotoItem

from holdfast.worlds.aws.services.dynamodb.keys import values_in
from holdfast.worlds.aws.services.dynamodb.records import (
    Backup,
    GlobalIndex,
    Item,
    LocalIndex,
    ResourcePolicy,
    Stream,
    StreamRecord,
    Table,
)
from holdfast.worlds.aws.services.dynamodb.values import Sought, attributes_of, dynamo, item_of, same, typed
from holdfast.worlds.aws.shapes import LOSSLESS, SAME, Coverage, Shape, Way, backend_coverage, plain

_LAMBDA = "Lambda's event source mappings of tables"
_PLACE = ("account_id", "region_name")
_LOCAL = Shape(
    models.LocalSecondaryIndex,
    LocalIndex,
    names={"key_schema": "schema"},
    rebuilt=("table_key_attrs", "schema_key_attrs"),
)
_GLOBAL = Shape(
    models.GlobalSecondaryIndex,
    GlobalIndex,
    names={"key_schema": "schema"},
    rebuilt=("table_key_attrs", "schema_key_attrs"),
)


def _all_of(shape: Shape[Any]) -> Way:
    return Way(lambda found: list(map(shape.capture, found)), lambda held: list(map(shape.build, held)))


def _table(model: type) -> Shape[Table]:
    return Shape(
        model,
        Table,
        names={
            "arn": "table_arn",
            "attribute_definitions": "attr",
            "key_schema": "schema",
            "local_indexes": "indexes",
        },
        ways={
            "created_at": SAME,
            "restore_date_time": SAME,
            "local_indexes": _all_of(_LOCAL),
            "global_indexes": _all_of(_GLOBAL),
            "deletion_protection_enabled": LOSSLESS,
        },
        rebuilt=(*_PLACE, "table_key_attrs", "items", "stream_specification", "latest_stream_label", "stream_shard"),
        left={"lambda_event_source_mappings": _LAMBDA},
    )


_TABLES: dict[type, Shape[Table]] = {
    model: _table(model) for model in (models.Table, models.RestoredTable, models.RestoredPITTable)
}
_SHARD = Shape(
    models.StreamShard,
    Stream,
    names={"shard_id": "id"},
    ways={"starting_sequence_number": Way(str, int), "created_on": SAME},
    extra=("label", "specification"),
    rebuilt=("account_id", "table", "items"),
)
_RECORD = Shape(models.StreamRecord, StreamRecord, ways={"record": LOSSLESS})
_BACKUP = Shape(
    models.Backup,
    Backup,
    names={"kind": "type"},
    ways={"creation_date_time": SAME},
    extra=("table", "stream"),
    rebuilt=(*_PLACE, "table"),
)
POLICY = Shape(models.ResourcePolicy, ResourcePolicy)
_ITEM = backend_coverage(MotoItem, held=("hash_key", "range_key", "attrs"))
COVERAGE: tuple[Coverage, ...] = (
    _LOCAL.coverage,
    _GLOBAL.coverage,
    *(shape.coverage for shape in _TABLES.values()),
    _SHARD.coverage,
    _RECORD.coverage,
    _BACKUP.coverage,
    POLICY.coverage,
    _ITEM,
    backend_coverage(DynamoType, held=("type", "value")),
)
UNREAD = "stream records inside backups, which nothing reads"


def table_record(table: Any) -> Table:
    return _TABLES[type(table)].capture(table)


def stream_record(table: Any) -> Stream | None:
    """The stream of a table; ``None`` where it never had one."""
    if table.stream_shard is None:
        return None
    specification = plain(table.stream_specification)
    return _SHARD.capture(table.stream_shard, label=table.latest_stream_label, specification=specification)


def build_table(record: Table, backend: Any) -> Any:
    """A table without items and stream."""
    table = _TABLES[_model(record)].build(
        record,
        account_id=backend.account_id,
        region_name=backend.region_name,
        table_key_attrs=[key for key in (record.hash_key_attr, record.range_key_attr) if key is not None],
        items=defaultdict(dict),
        stream_specification={"StreamEnabled": False},
        latest_stream_label=None,
        stream_shard=None,
        lambda_event_source_mappings={},
    )
    for index in table.indexes + table.global_indexes:
        index.table_key_attrs = table.table_key_attrs
        index.schema_key_attrs = [key["AttributeName"] for key in index.schema]
    return table


def _model(record: Table) -> type:
    if record.source_backup_arn is not msgspec.UNSET:
        return models.RestoredTable
    return models.Table if record.source_table_arn is msgspec.UNSET else models.RestoredPITTable


def add_stream(table: Any, record: Stream) -> None:
    """Give a table its stream, without records."""
    table.stream_shard = _SHARD.build(record, account_id=table.account_id, table=table, items=[])
    table.stream_specification = dict(record.specification)
    table.latest_stream_label = record.label


def add_stream_record(table: Any, record: StreamRecord) -> None:
    table.stream_shard.items.append(_RECORD.build(record))


def stream_records(table: Any) -> Iterator[str]:
    """The sequence numbers of what is in a table's stream."""
    if table.stream_shard is not None:
        first = table.stream_shard.starting_sequence_number
        yield from map(str, range(first, first + len(table.stream_shard.items)))


def find_stream_record(table: Any, sequence_number: str) -> StreamRecord | None:
    shard = table.stream_shard
    place = int(sequence_number) - shard.starting_sequence_number if shard is not None else -1
    return _RECORD.capture(shard.items[place]) if shard is not None and 0 <= place < len(shard.items) else None


def items_of(table: Any) -> Iterator[Any]:
    """The items of a table in the order in which the emulator holds them."""
    if table.range_key_attr is None:
        return iter(list(table.items.values()))
    return (item for partition in list(table.items.values()) for item in list(partition.values()))


def find_item(table: Any, key: str) -> Any:
    """The item of a KEY; ``None`` where there is none. The emulator's own look-up would leave an empty partition."""
    try:
        found = table.items
        for kind, value in values_in(key):
            found = found.get(Sought(kind, value))
        return found
    except (ValueError, ArithmeticError, TypeError, AttributeError):
        return None


def item_record(table: Any, item: Any) -> Item:
    attrs, attributes = item.attrs, attributes_of(item)
    hash_key, range_key = item.hash_key, item.range_key
    if same(attrs.get(table.hash_key_attr), hash_key) and (
        range_key is None or same(attrs.get(table.range_key_attr), range_key)
    ):
        return Item(attributes=attributes)
    return Item(
        attributes=attributes,
        hash_key=typed(hash_key),
        range_key=msgspec.UNSET if range_key is None else typed(range_key),
    )


def keys_in(table: Any, record: Item) -> tuple[Any, Any]:
    """The emulator's values of an item's primary key; ``table``: of the emulator, or its record."""
    hash_key = record.attributes[table.hash_key_attr] if record.hash_key is msgspec.UNSET else record.hash_key
    if table.range_key_attr is None:
        return dynamo(hash_key), None
    range_key = record.attributes[table.range_key_attr] if record.range_key is msgspec.UNSET else record.range_key
    return dynamo(hash_key), dynamo(range_key)


def build_item(table: Any, record: Item) -> Any:
    """An item, not yet in its table."""
    return item_of(record.attributes, *keys_in(table, record))


def backup_record(backup: Any) -> Backup:
    return _BACKUP.capture(backup, table=table_record(backup.table), stream=stream_record(backup.table))


def build_backup(record: Backup, backend: Any) -> Any:
    """A backup without its items."""
    table = build_table(record.table, backend)
    if record.stream is not None:
        add_stream(table, record.stream)
    return _BACKUP.build(record, table=table, account_id=backend.account_id, region_name=backend.region_name)
