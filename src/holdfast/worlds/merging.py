"""Merging a view into what is there (WO-3, WO-4). Pure: no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from holdfast import errors
from holdfast.worlds.errors import StateViewError
from holdfast.worlds.model import Delta, diff

R = TypeVar("R")
Policy = Literal["keep", "fail", "replace"]
Obstacle = Callable[[Mapping[str, R], str, R], str | None]
"""Of the present resources and a new one's name and record: the name of what it cannot stand beside, if anything."""


@dataclass(frozen=True, slots=True)
class Conflict(Generic[R]):
    """A resource of a merged view that an existing one stood in the way of (WO-4).

    Attributes:
        resource: the name in the view.
        obstacle: the name of what stood in the way: the same, or e.g. a file where a directory is needed.
        mine: what was there before the merge.
        theirs: what the view has.
        resolution: what was done about it.
    """

    resource: str
    obstacle: str
    mine: R
    theirs: R
    resolution: Literal["kept", "replaced"]


@dataclass(frozen=True, slots=True)
class MergeReport(Generic[R]):
    """What a merge did or, with ``dry_run``, would do (WO-4).

    Attributes:
        added: names of new resources.
        conflicts: all of them, whatever the policy.
    """

    added: tuple[str, ...] = ()
    conflicts: tuple[Conflict[R], ...] = ()
    policy: Policy = "keep"
    dry_run: bool = False
    delta: Delta[R] = field(default=(), repr=False)


class MergeConflict(StateViewError, errors.Conflict):
    """A merge by the policy ``fail`` met resources that differ (WO-4). Nothing was changed.

    Attributes:
        report: all conflicts.
    """

    code = "merge_conflict"
    remedy = "Look at the report's conflicts (dry_run=True gives it too), then merge with the policy keep or replace."

    def __init__(self, service: str, report: MergeReport[Any]) -> None:
        first = report.conflicts[0].resource
        super().__init__(f"{len(report.conflicts)} resources of {service} differ, first {first!r}.")
        self.report = report


def merge_resources(
    present: Mapping[str, R], view: Mapping[str, R], policy: Policy, obstacle_of: Obstacle[R], *, dry_run: bool
) -> MergeReport[R]:
    """What the merge of ``view`` into ``present`` does; additive, but for the leaves that ``replace`` replaces."""
    merged = dict(present)
    conflicts: list[Conflict[R]] = []
    for name, record in sorted(view.items()):
        obstacle = obstacle_of(merged, name, record)
        if obstacle is None:
            merged[name] = record
        elif obstacle != name or merged[name] != record:
            replaced = policy == "replace" and obstacle == name
            conflicts.append(Conflict(name, obstacle, merged[obstacle], record, "replaced" if replaced else "kept"))
            if replaced:
                merged[name] = record
    delta = diff(present, merged)
    added = tuple(change.resource for change in delta if change.before is None)
    return MergeReport(added, tuple(conflicts), policy, dry_run, delta)
