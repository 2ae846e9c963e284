"""What listeners of a mock AWS are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.model import ChangeKind
from holdfast.worlds.notifier import StateChange


class WorldEvent(NamedTuple):
    """One resource was created, updated or deleted (WO-5).

    Attributes:
        revision: counts the changes of this service in this account and region.
        resource: its name in views.
        before, after: its records; ``None`` is absence.
    """

    service: str
    account_id: str
    region: str
    revision: int
    resource: str
    kind: ChangeKind
    before: Resource | None
    after: Resource | None


def events_of(change: StateChange[Resource]) -> Iterator[WorldEvent]:
    """One event a resource."""
    place = change.service, change.scope.account_id, change.scope.region, change.revision
    for one in change.delta:
        yield WorldEvent(*place, one.resource, one.kind, one.before, one.after)
