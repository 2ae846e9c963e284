"""What is wrong with a view of DynamoDB whose values are of the right types. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from holdfast.worlds.aws.adapter import Fault
from holdfast.worlds.aws.services.dynamodb.keys import escaped, key_text
from holdfast.worlds.aws.services.dynamodb.names import arn_text, backup_group
from holdfast.worlds.aws.services.dynamodb.records import (
    Backup,
    Item,
    Record,
    ResourcePolicy,
    Stream,
    StreamRecord,
    Table,
)
from holdfast.worlds.aws.services.dynamodb.tables import keys_in
from holdfast.worlds.aws.services.dynamodb.values import check_typed

_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, StopIteration)


def faults(resources: Mapping[str, Record]) -> Iterator[Fault]:
    """The faults of a view, a reference that leads nowhere among them."""
    for name, record in resources.items():
        if isinstance(record, Item):
            yield from _item_faults(name, record, resources)
        elif isinstance(record, StreamRecord):
            yield from _stream_record_faults(name, record, resources)
        elif isinstance(record, Stream):
            yield from _stream_faults(name, record, resources)
        elif name != _name_of(record):
            yield Fault(name, "name", f"it is that of {_name_of(record)!r}")
        elif isinstance(record, Table):
            yield from _table_faults(name, record)
        elif isinstance(record, Backup):
            yield from _table_faults(name, record.table, "table.")
            if record.stream is not None and not record.stream.starting_sequence_number.isdecimal():
                yield Fault(name, "stream.starting_sequence_number", "it is no number")


def _name_of(record: Record) -> str:
    if isinstance(record, Table):
        return f"table/{escaped(record.name)}"
    if isinstance(record, Backup):
        return "/".join(backup_group(record.table.name, record.identifier))
    if isinstance(record, ResourcePolicy):
        return f"policy/{arn_text(record.resource_arn)}"
    return f"{record.__struct_config__.tag}/{arn_text(record.arn)}"  # type: ignore[union-attr]


def _table_faults(name: str, table: Table, path: str = "") -> Iterator[Fault]:
    keys = {element.get("KeyType"): element.get("AttributeName") for element in table.key_schema}
    if keys.get("HASH") != table.hash_key_attr or keys.get("RANGE") != table.range_key_attr:
        yield Fault(name, f"{path}key_schema", "it is not that of the primary key")
    for field, indexes in (("local_indexes", table.local_indexes), ("global_indexes", table.global_indexes)):
        for index in indexes:
            if any({"KeyType", "AttributeName"} - element.keys() for element in index.key_schema):
                yield Fault(name, f"{path}{field}", f"the key schema of {index.name!r} lacks a name or a type")
    if (table.source_table_arn is msgspec.UNSET) != (table.restore_date_time is msgspec.UNSET):
        yield Fault(name, f"{path}restore_date_time", "a restored table has it and a source, any other neither")


def _stream_faults(name: str, stream: Stream, resources: Mapping[str, Record]) -> Iterator[Fault]:
    kind, _, table = name.partition("/")
    if kind != "stream" or not isinstance(resources.get(f"table/{table}"), Table):
        yield Fault(name, "label", f"there is no table {table!r}")
    if not stream.starting_sequence_number.isdecimal():
        yield Fault(name, "starting_sequence_number", "it is no number")


def _stream_record_faults(name: str, record: StreamRecord, resources: Mapping[str, Record]) -> Iterator[Fault]:
    kind, _, rest = name.partition("/")
    table, _, number = rest.partition("/")
    stream = resources.get(f"stream/{table}")
    if kind != "record" or not isinstance(stream, Stream):
        yield Fault(name, "record", f"the table {table!r} has no stream")
    elif not _is_next(number, stream, table, resources):
        yield Fault(name, "record", "there is none before it, and it is not the stream's first")
    elif not _told_as(record.record, number):
        yield Fault(name, "record", f"its SequenceNumber is not {number!r}")


def _is_next(number: str, stream: Stream, table: str, resources: Mapping[str, Record]) -> bool:
    if not (number.isascii() and number.isdecimal()):
        return False
    return number == stream.starting_sequence_number or f"record/{table}/{int(number) - 1}" in resources


def _told_as(record: object, number: str) -> bool:
    told = record.get("dynamodb") if isinstance(record, dict) else None
    return isinstance(told, dict) and told.get("SequenceNumber") == number


def _item_faults(name: str, item: Item, resources: Mapping[str, Record]) -> Iterator[Fault]:
    parts = name.split("/", 3 if name.startswith("backup-item/") else 2)
    owner: Record | Table | None = None
    if parts[0] == "item":
        owner = resources.get(f"table/{parts[1]}") if len(parts) > 2 else None
    elif parts[0] == "backup-item" and len(parts) > 3:
        backup = resources.get(f"backup/{parts[1]}/{parts[2]}")
        owner = backup.table if isinstance(backup, Backup) else None
    if not isinstance(owner, Table):
        yield Fault(name, "attributes", "there is nothing that it could be an item of")
        return
    try:
        for value in item.attributes.values():
            check_typed(value)
        keys = keys_in(owner, item)
        key = key_text(*keys)
        hash("=" in key and keys)  # what is neither text nor number nor binary may be unhashable
    except _MALFORMED as error:
        yield Fault(name, "attributes", f"it is no item of {owner.name!r}: {error!r:.200}")
        return
    if key != parts[-1]:
        yield Fault(name, "attributes", f"its key is {key!r}")
