"""How ``holdfast world`` shows what differs, and what a merge has done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from holdfast.cli.output import clean
from holdfast.cli.world_place import OpenedPlace, Seen
from holdfast.worlds import MergeReport, Scope
from holdfast.worlds.checkpoints import Checkpoint
from holdfast.worlds.comparing import Part, WorldDiff, describe_change, printable
from holdfast.worlds.model import Change

_STYLES = {"+": "green", "-": "red", "~": "yellow", "!": "yellow", "?": "yellow"}


def shown_diff(opened: OpenedPlace, found: WorldDiff, seen: Seen | None = None) -> list[RenderableType]:
    """What differs, one line a resource: ``+`` new, ``~`` changed, ``-`` gone, ``?`` what no view can hold."""
    lines = [*_diff_lines(opened, found), *(seen.lines() if seen else ())]
    return [_styled(line) for line in lines] or ["No differences."]


def shown_merge(opened: OpenedPlace, part: Part, report: MergeReport[Any]) -> list[RenderableType]:
    """What a merge has added, and what stood in its way."""
    return [_styled(_placed(line, opened.prefix(part))) for line in _merge_lines(report)]


def merge_object(part: Part, report: MergeReport[Any]) -> dict[str, Any]:
    """The same, for programs."""
    service, scope = part
    return {
        "service": service,
        "account_id": scope.account_id,
        "region": scope.region,
        "added": report.added,
        "conflicts": report.conflicts,
    }


def resources_of(checkpoint: Checkpoint) -> int:
    """How many resources a checkpoint holds."""
    return sum(state.resources for state in checkpoint.states)


def _diff_lines(opened: OpenedPlace, found: WorldDiff) -> Iterator[str]:
    parts = [(opened.prefix((part.service, Scope(part.account_id, part.region))), part) for part in found.parts]
    if any(prefix is None for prefix, _ in parts):
        yield from found.lines()
        return
    for prefix, part in parts:
        for change in part.changes:
            yield _placed(describe_change(change), prefix)


def _merge_lines(report: MergeReport[Any]) -> Iterator[str]:
    for name in report.added:
        yield f"+ {printable(name)}"
    for conflict in report.conflicts:
        described = describe_change(Change(conflict.resource, conflict.mine, conflict.theirs))
        yield f"! {described.removeprefix('~ ')} ({conflict.resolution})"


def _placed(line: str, prefix: str | None) -> str:
    """``line`` with ``prefix`` behind its sign."""
    return line if prefix is None else f"{line[0]} {prefix}{line[1:]}"


def _styled(line: str) -> Text:
    return Text(clean(line), style=_STYLES.get(line[0], "bold"))
