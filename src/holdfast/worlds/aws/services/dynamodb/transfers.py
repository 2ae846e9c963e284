"""The emulator's imports and exports of tables into records, and back."""

from __future__ import annotations

from threading import Thread
from typing import Any

from moto.dynamodb.models import table as models
from moto.dynamodb.models import table_export as exports
from moto.dynamodb.models import table_import as imports

from holdfast.worlds.aws.services.dynamodb.records import TableExport, TableImport
from holdfast.worlds.aws.shapes import Shape

_make: Any = object.__new__
_THREADS = dict.fromkeys(vars(Thread()), "the rest of imports and exports of tables that are under way")
_IMPORT = Shape(
    imports.TableImport,
    TableImport,
    names={"attribute_definitions": "attrs"},
    rebuilt=("partition", "account_id", "region_name", "table"),
    left=_THREADS,
)
_EXPORT = Shape(
    exports.TableExport,
    TableExport,
    names={"bucket_owner": "account_id"},
    extra=("table_arn",),
    rebuilt=("partition", "region_name", "table"),
    left=_THREADS,
)
COVERAGE = (_IMPORT.coverage, _EXPORT.coverage)


def import_record(found: Any) -> TableImport:
    return _IMPORT.capture(found)


def export_record(found: Any) -> TableExport:
    return _EXPORT.capture(found, table_arn=found.table.table_arn)


def build_import(record: TableImport, backend: Any, tables: dict[str, Any]) -> Any:
    """An import that goes no further; ``tables``: all there are, by name."""
    place = {"partition": backend.partition, "account_id": backend.account_id, "region_name": backend.region_name}
    return _ended(_IMPORT.build(record, **place, table=tables.get(record.table_name)))


def build_export(record: TableExport, backend: Any, tables: dict[str, Any]) -> Any:
    """An export that goes no further. Its table may be gone since: then nothing but its ARN is asked for."""
    table = next((table for table in tables.values() if table.table_arn == record.table_arn), None)
    if table is None:
        table = _make(models.Table)
        table.table_arn = record.table_arn
    place = {"partition": backend.partition, "region_name": backend.region_name}
    return _ended(_EXPORT.build(record, **place, table=table))


def _ended(transfer: Any) -> Any:
    Thread.__init__(transfer)
    return transfer
