"""Names of DynamoDB's resources, and the groups that they tell of. Pure: no I/O."""

from __future__ import annotations

from holdfast.worlds.aws.adapter import Group
from holdfast.worlds.aws.services.dynamodb.keys import escaped

_SLASHES = {"table": 1, "stream": 1, "item": 2, "record": 2, "policy": 1, "import": 1, "export": 1}
"""How many there are before the last part of a group, in which there may be more."""


def arn_text(arn: str) -> str:
    """An ARN as the last part of a name."""
    return escaped(arn, safe=":/")


def backup_group(table: str, identifier: str) -> Group:
    """The group of a backup, and of its items, by the name of its table."""
    return "backup", escaped(table), escaped(identifier)


def group_of(name: str) -> Group:
    """The group of the resource of that name."""
    kind = name.partition("/")[0]
    if kind in _SLASHES:
        return tuple(name.split("/", _SLASHES[kind]))
    return "backup", *name.split("/", 3)[1:3]
