"""A region's DynamoDB, built beside what is there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from moto.dynamodbstreams.models import dynamodbstreams_backends

from holdfast.worlds.aws.services.dynamodb import tables as shapes
from holdfast.worlds.aws.services.dynamodb import transfers
from holdfast.worlds.aws.services.dynamodb.keys import escaped
from holdfast.worlds.aws.services.dynamodb.records import (
    Backup,
    Item,
    Record,
    ResourcePolicy,
    Stream,
    StreamRecord,
    Table,
    TableExport,
    TableImport,
)


class Construction:
    """Tables and all that belongs to them, not yet in their backend.

    Args:
        backend: where they will be.
        resources: checked, in the order in which the emulator is to hold them.
    """

    def __init__(self, backend: Any, resources: Mapping[str, Record]) -> None:
        self._backend = backend
        self._tables: dict[str, Any] = OrderedDict()
        self._backups: dict[str, Any] = OrderedDict()
        self._policies: dict[str, Any] = {}
        self._imports: dict[str, Any] = {}
        self._exports: dict[str, Any] = {}
        self._holders: dict[str, Any] = {}
        self._partitions: dict[str, dict[Any, Any]] = {}
        for record in resources.values():
            self._found(record)
        told: list[tuple[int, str, StreamRecord]] = []
        for name, record in resources.items():
            if isinstance(record, Item):
                self._add_item(name, record)
            elif isinstance(record, StreamRecord):
                _, table, number = name.split("/", 2)
                told.append((int(number), table, record))
            else:
                self._add(name, record)
        for _, table, record in sorted(told, key=lambda one: one[0]):
            shapes.add_stream_record(self._holders[f"item/{table}"], record)

    def put_in_place(self) -> None:
        """Make it what the backend holds."""
        backend = self._backend
        self._lead_iterators()
        backend.tables, backend.backups, backend.resource_policies = self._tables, self._backups, self._policies
        backend.table_imports, backend.table_exports = self._imports, self._exports

    def _found(self, record: Record) -> None:
        """What others are put into."""
        if isinstance(record, Table):
            table = self._tables[record.name] = shapes.build_table(record, self._backend)
            self._holders[f"item/{escaped(record.name)}"] = table
        elif isinstance(record, Backup):
            backup = shapes.build_backup(record, self._backend)
            self._backups[backup.arn] = backup
            self._holders[f"backup-item/{escaped(record.table.name)}/{escaped(record.identifier)}"] = backup.table

    def _add(self, name: str, record: Record) -> None:
        if isinstance(record, Stream):
            shapes.add_stream(self._holders[f"item/{name.partition('/')[2]}"], record)
        elif isinstance(record, ResourcePolicy):
            self._policies[record.resource_arn] = shapes.POLICY.build(record)
        elif isinstance(record, TableImport):
            self._imports[record.arn] = transfers.build_import(record, self._backend, self._tables)
        elif isinstance(record, TableExport):
            self._exports[record.arn] = transfers.build_export(record, self._backend, self._tables)

    def _add_item(self, name: str, record: Item) -> None:
        partition, _, _ = name.rpartition("/")
        table = self._holders.get(partition)
        if table is not None:
            item = shapes.build_item(table, record)
            table.items[item.hash_key] = item
            return
        table = self._holders[partition.rpartition("/")[0]]
        item = shapes.build_item(table, record)
        items = self._partitions.get(partition)
        if items is None:
            items = self._partitions[partition] = table.items[item.hash_key]
        items[item.range_key] = item

    def _lead_iterators(self) -> None:
        """Have those who read a stream by an iterator go on in the new one."""
        backend = self._backend
        streams = dynamodbstreams_backends[backend.account_id][backend.region_name]
        for iterator in list(streams.shard_iterators.values()):
            table = self._tables.get(iterator.stream_shard.table.name)
            if table is not None and table.stream_shard is not None:
                iterator.stream_shard = table.stream_shard
