"""What the methods of the emulator's DynamoDB may change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from holdfast.worlds.aws.adapter import Group, Touch
from holdfast.worlds.aws.services.dynamodb.keys import escaped, key_in, key_of
from holdfast.worlds.aws.services.dynamodb.names import arn_text, backup_group
from holdfast.worlds.aws.services.dynamodb.tables import items_of, stream_records

_RECORDS_OF_ONE_WRITE = 2
"""An update that makes an item tells of it twice."""
_NO_KEY = (KeyError, ValueError, ArithmeticError, TypeError, AttributeError, StopIteration)


def _named(backend: Any, name: Any) -> Any:
    """The table of that name or ARN; ``None`` where there is none."""
    found = backend.tables.get(name)
    return found or next((table for table in list(backend.tables.values()) if table.table_arn == name), None)


def _written(backend: Any, table_name: Any, attributes: Any) -> Iterator[Group]:
    """One item, and what the stream tells of it."""
    table = _named(backend, table_name)
    if table is None:
        return
    try:
        key = key_in(attributes, table.hash_key_attr, table.range_key_attr)
    except _NO_KEY:
        return
    yield "item", escaped(table.name), key
    yield from _told(table, _RECORDS_OF_ONE_WRITE)


def _told(table: Any, count: int) -> Iterator[Group]:
    """The next ``count`` records of a table's stream; a function of Lambda's that is told of them takes all out."""
    shard, name = table.stream_shard, escaped(table.name)
    if shard is None:
        return
    if table.lambda_event_source_mappings:
        yield from (("record", name, number) for number in stream_records(table))
    first = shard.starting_sequence_number + len(shard.items)
    yield from (("record", name, str(number)) for number in range(first, first + count))


def _transaction(backend: Any, transact_items: list[dict[str, Any]]) -> Iterator[Group]:
    writes = [operation for item in transact_items for operation in item.values()]
    for operation in writes:
        yield from _written(backend, operation.get("TableName"), operation.get("Item") or operation.get("Key"))
    for name in dict.fromkeys(operation.get("TableName") for operation in writes):
        table = _named(backend, name)
        if table is not None:
            yield from _told(table, _RECORDS_OF_ONE_WRITE * len(writes))


def _table(backend: Any, table_name: str, *_: Any, **__: Any) -> Iterator[Group]:
    table = _named(backend, table_name)
    if table is not None:
        yield "table", escaped(table.name)


def _table_and_stream(backend: Any, name: str, *_: Any, **__: Any) -> Iterator[Group]:
    """A new stream begins empty."""
    table = _named(backend, name)
    yield from (("table", escaped(name)), ("stream", escaped(name))) if table is None else _around(table)


def _around(table: Any) -> Iterator[Group]:
    name = escaped(table.name)
    yield from (("table", name), ("stream", name))
    yield from (("record", name, number) for number in stream_records(table))


def _whole_table(backend: Any, name: str, *_: Any, **__: Any) -> Iterator[Group]:
    table = _named(backend, name)
    if table is not None:
        yield from _around(table)
        yield from (("item", escaped(table.name), key_of(item)) for item in items_of(table))


def _import(backend: Any, import_arn: str, *_: Any, **__: Any) -> Iterator[Group]:
    """It goes on by itself: whoever asks how far it is sees what it has done."""
    yield "import", arn_text(import_arn)
    found = backend.table_imports.get(import_arn)
    if found is not None:
        yield from _whole_table(backend, found.table_name)


def _backup(backend: Any, backup_arn: str, *_: Any, **__: Any) -> Iterator[Group]:
    found = backend.backups.get(backup_arn)
    if found is not None:
        yield backup_group(found.table.name, found.identifier)


def _policy(backend: Any, resource_arn: str, *_: Any, **__: Any) -> Iterator[Group]:
    yield "policy", arn_text(resource_arn)


def _nothing(*_: Any, **__: Any) -> Iterable[Group]:
    return ()


TOUCHES: dict[str, Touch] = {
    "put_item": lambda backend, table_name, item_attrs, *_, **__: _written(backend, table_name, item_attrs),
    "update_item": lambda backend, table_name, key, *_, **__: _written(backend, table_name, key),
    "delete_item": lambda backend, table_name, key, *_, **__: _written(backend, table_name, key),
    "transact_write_items": _transaction,
    "create_table": _table_and_stream,
    "update_table": _table_and_stream,
    "delete_table": _whole_table,
    "tag_resource": lambda backend, arn, *_, **__: _table(backend, arn),
    "untag_resource": lambda backend, arn, *_, **__: _table(backend, arn),
    "update_time_to_live": _table,
    "update_continuous_backups": _table,
    "delete_backup": _backup,
    "put_resource_policy": _policy,
    "delete_resource_policy": _policy,
    "describe_import": _import,
    "describe_export": lambda backend, export_arn, *_, **__: [("export", arn_text(export_arn))],
    "list_exports": lambda backend, *_, **__: [("export", arn_text(arn)) for arn in backend.table_exports],
    **dict.fromkeys(
        (
            "query",
            "scan",
            "batch_get_item",
            "batch_write_item",
            "transact_get_items",
            "update_table_streams",  # of update_table
            "update_table_global_indexes",
            "owns_arn",
            "default_vpc_endpoint_service",
            "default_vpc_endpoint_service_factory",
            "vpce_random_number",
        ),
        _nothing,
    ),
}
"""Where a method is not among them, such as ``execute_statement``, it may change anything."""
