"""DynamoDB: the emulator's tables and items into records, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from moto.dynamodb import models

from holdfast.worlds.aws.adapter import Adapter, Fault, Group, Part
from holdfast.worlds.aws.services.dynamodb import tables as shapes
from holdfast.worlds.aws.services.dynamodb import transfers
from holdfast.worlds.aws.services.dynamodb.building import Construction
from holdfast.worlds.aws.services.dynamodb.checks import faults
from holdfast.worlds.aws.services.dynamodb.keys import escaped, key_of, unescaped
from holdfast.worlds.aws.services.dynamodb.names import arn_text, backup_group, group_of
from holdfast.worlds.aws.services.dynamodb.records import (
    Item,
    Record,
    ResourcePolicy,
    Stream,
    StreamRecord,
    Table,
    TableExport,
    TableImport,
)
from holdfast.worlds.aws.services.dynamodb.touches import TOUCHES
from holdfast.worlds.aws.shapes import backend_coverage
from holdfast.worlds.model import StateView

_BACKEND = backend_coverage(
    models.DynamoDBBackend, held=("tables", "backups", "table_imports", "table_exports", "resource_policies")
)


class DynamoDbAdapter(Adapter[Record]):
    """Tables, each item and each record of a stream a group of its own."""

    service_name = "dynamodb"
    view_type = StateView[Record]
    coverage = (*shapes.COVERAGE, *transfers.COVERAGE, _BACKEND)
    touches: ClassVar = TOUCHES
    extra_not_captured = (shapes.UNREAD, "iterators of streams' shards")

    @property
    def backends(self) -> Any:
        return models.dynamodb_backends

    def groups(self, backend: Any, region: str | None = None) -> Iterator[Group]:
        for name, table in list(backend.tables.items()):
            quoted = escaped(name)
            yield "table", quoted
            if table.stream_shard is not None:
                yield "stream", quoted
            for item in shapes.items_of(table):
                yield "item", quoted, key_of(item)
            for number in shapes.stream_records(table):
                yield "record", quoted, number
        for backup in list(backend.backups.values()):
            yield backup_group(backup.table.name, backup.identifier)
        yield from (("policy", arn_text(arn)) for arn in backend.resource_policies)
        yield from (("import", arn_text(arn)) for arn in backend.table_imports)
        yield from (("export", arn_text(arn)) for arn in backend.table_exports)

    def read(self, backend: Any, group: Group) -> Part[Record] | None:
        if group[0] == "backup":
            found = _backup(backend, group)
            return Part(backend.region_name, found) if found else None
        record = _READERS[group[0]](backend, *group[1:])
        return None if record is None else Part(backend.region_name, {"/".join(group): record})

    def group_of(self, name: str) -> Group:
        return group_of(name)

    def install(self, backend: Any, region: str, resources: Mapping[str, Record]) -> None:
        Construction(backend, resources).put_in_place()

    def check(self, resources: Mapping[str, Record]) -> Iterator[Fault]:
        return faults(resources)


def _table_of(backend: Any, quoted: str) -> Any:
    return backend.tables.get(unescaped(quoted))


def _read_table(backend: Any, quoted: str) -> Table | None:
    table = _table_of(backend, quoted)
    return None if table is None else shapes.table_record(table)


def _read_stream(backend: Any, quoted: str) -> Stream | None:
    table = _table_of(backend, quoted)
    return None if table is None else shapes.stream_record(table)


def _read_item(backend: Any, quoted: str, key: str) -> Item | None:
    table = _table_of(backend, quoted)
    item = None if table is None else shapes.find_item(table, key)
    return None if item is None else shapes.item_record(table, item)


def _read_stream_record(backend: Any, quoted: str, number: str) -> StreamRecord | None:
    table = _table_of(backend, quoted)
    return None if table is None else shapes.find_stream_record(table, number)


def _read_policy(backend: Any, arn: str) -> ResourcePolicy | None:
    found = backend.resource_policies.get(unescaped(arn))
    return None if found is None else shapes.POLICY.capture(found)


def _read_import(backend: Any, arn: str) -> TableImport | None:
    found = backend.table_imports.get(unescaped(arn))
    return None if found is None else transfers.import_record(found)


def _read_export(backend: Any, arn: str) -> TableExport | None:
    found = backend.table_exports.get(unescaped(arn))
    return None if found is None else transfers.export_record(found)


_READERS: Mapping[str, Any] = {
    "table": _read_table,
    "stream": _read_stream,
    "item": _read_item,
    "record": _read_stream_record,
    "policy": _read_policy,
    "import": _read_import,
    "export": _read_export,
}


def _backup(backend: Any, group: Group) -> dict[str, Record]:
    """A backup with its items."""
    _, table, identifier = group
    backups = (one for one in backend.backups.values() if one.identifier == unescaped(identifier))
    backup = next((one for one in backups if one.table.name == unescaped(table)), None)
    if backup is None:
        return {}
    found: dict[str, Record] = {"/".join(group): shapes.backup_record(backup)}
    for item in shapes.items_of(backup.table):
        found[f"backup-item/{table}/{identifier}/{key_of(item)}"] = shapes.item_record(backup.table, item)
    return found
