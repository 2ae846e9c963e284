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
from holdfast.worlds.aws.services.given import NOT_WRITTEN, is_lossless

_UNITS = frozenset({"ReadCapacityUnits", "WriteCapacityUnits", "ReadUnitsPerSecond", "WriteUnitsPerSecond"})
_MOST_DIGITS = 40
"""Of a sequence number, as DynamoDB has it."""
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, StopIteration, RecursionError)


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
            if record.stream is not None:
                yield from _faults_of_stream(name, record.stream, "stream.")


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
    for field, units in (("throughput", table.throughput), ("warm_throughput", table.warm_throughput)):
        if not all(_is_count(units[unit]) for unit in _UNITS & units.keys()):
            yield Fault(name, f"{path}{field}", "it is told in numbers")
    if any("AttributeName" not in definition for definition in table.attribute_definitions):
        yield Fault(name, f"{path}attribute_definitions", "one of them lacks a name")
    if not is_lossless(table.deletion_protection_enabled):
        yield Fault(name, f"{path}deletion_protection_enabled", NOT_WRITTEN)
    if (table.source_table_arn is msgspec.UNSET) != (table.restore_date_time is msgspec.UNSET):
        yield Fault(name, f"{path}restore_date_time", "a restored table has it and a source, any other neither")


def _is_count(found: object) -> bool:
    """Whether the emulator can answer with it as a number; templates have texts."""
    return isinstance(found, int) or (isinstance(found, str) and found.isascii() and found.isdecimal())


def _stream_faults(name: str, stream: Stream, resources: Mapping[str, Record]) -> Iterator[Fault]:
    kind, _, table = name.partition("/")
    if kind != "stream" or not isinstance(resources.get(f"table/{table}"), Table):
        yield Fault(name, "label", f"there is no table {table!r}")
    yield from _faults_of_stream(name, stream)


def _faults_of_stream(name: str, stream: Stream, path: str = "") -> Iterator[Fault]:
    if not _is_number(stream.starting_sequence_number):
        yield Fault(name, f"{path}starting_sequence_number", "it is no number")
    if not isinstance(stream.specification.get("StreamEnabled"), bool):
        yield Fault(name, f"{path}specification", "it does not tell whether the stream is enabled")


def _stream_record_faults(name: str, record: StreamRecord, resources: Mapping[str, Record]) -> Iterator[Fault]:
    kind, _, rest = name.partition("/")
    table, _, number = rest.partition("/")
    stream = resources.get(f"stream/{table}")
    if kind != "record" or not isinstance(stream, Stream):
        yield Fault(name, "record", f"the table {table!r} has no stream")
    elif not _is_next(number, stream, table, resources):
        yield Fault(name, "record", "there is none before it, and it is not the stream's first")
    elif not is_lossless(record.record):
        yield Fault(name, "record", NOT_WRITTEN)
    elif not _told_as(record.record, number):
        yield Fault(name, "record", f"its SequenceNumber is not {number!r}")


def _is_next(number: str, stream: Stream, table: str, resources: Mapping[str, Record]) -> bool:
    if not _is_number(number):
        return False
    return number == stream.starting_sequence_number or f"record/{table}/{int(number) - 1}" in resources


def _is_number(text: str) -> bool:
    """Whether it is a sequence number, as the emulator writes it."""
    return text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS and str(int(text)) == text


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
        for given in (item.hash_key, item.range_key):
            if given is not msgspec.UNSET:
                check_typed(given)
        keys = keys_in(owner, item)
        key = key_text(*keys)
        hash("=" in key and keys)  # what is neither text nor number nor binary may be unhashable
    except _MALFORMED as error:
        yield Fault(name, "attributes", f"it is no item of {owner.name!r}: {error!r:.200}")
        return
    if key != parts[-1]:
        yield Fault(name, "attributes", f"its key is {key!r}")
