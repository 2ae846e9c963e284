"""DynamoDB: tables with their indexes and streams, items, backups, resource policies, imports and exports."""

from __future__ import annotations

from holdfast.worlds.aws.services.dynamodb.adapter import DynamoDbAdapter
from holdfast.worlds.aws.services.dynamodb.records import (
    Backup,
    Item,
    ResourcePolicy,
    Stream,
    StreamRecord,
    Table,
    TableExport,
    TableImport,
)

__all__ = [
    "Backup",
    "DynamoDbAdapter",
    "Item",
    "ResourcePolicy",
    "Stream",
    "StreamRecord",
    "Table",
    "TableExport",
    "TableImport",
]
