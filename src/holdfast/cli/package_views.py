"""Versions of packages, and what was done with them, for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from holdfast.audit import AuditRow
from holdfast.cli.output import clean, counted, table
from holdfast.packages import Version
from holdfast.packages.archive import PackageDiff
from holdfast.packages.errors import shown
from holdfast.packages.ports import MANY, UNLOADED

VERSION_COLUMNS = ("workflow", "version", "package", "label", "at", "new flows", "pinned", "ended", "trouble")
_SHORT = 12
_MARKS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}


def version_row(version: Version) -> tuple[Any, ...]:
    """A version in the :data:`VERSION_COLUMNS`."""
    trouble = version.trouble
    return (
        version.workflow_type,
        version.content_hash[:_SHORT],
        version.package,
        version.label,
        version.deployed_at,
        f"{version.percent:g} %" if version.percent else "",
        _many(version.pinned),
        _many(version.ended),
        Text(clean(f"{trouble.kind}: {trouble.error['message']}"), style="red") if trouble else None,
    )


def told_act(row: AuditRow) -> Text:
    """What an act did to a workflow type, in a line."""
    detail, name = row.detail, clean(row.subject)
    if row.act == UNLOADED:
        forsaken = detail.get("forsaken")
        told = f"; {_flows(forsaken)} cannot be rewound any more" if forsaken else ""
        return Text(f"{name}: {shown(detail['version'])} is deleted{told}.")
    parts = [_routed(name, detail["from"], detail["to"])]
    if "percent" in detail:
        parts.append(f"{detail['percent']:g} % of new flows start on {shown(detail['version'])}")
    elif "ended_split" in detail:
        parts.append(f"the split to {shown(detail['ended_split']['version'])} has ended")
    return Text(", ".join(parts) + ".")


def told_diff(found: PackageDiff, *, text: bool) -> Iterator[RenderableType]:
    """What differs between two packages; with the lines of their files where ``text`` is wanted."""
    yield f"{shown(found.old)} → {shown(found.new)}"
    for change in found.files:
        mark, style = _MARKS[change.change]
        yield Text(f"{mark} {clean(change.path)}", style=style)
        if text and change.text:
            yield Text(clean(change.text))
    dependencies = [(each.name, ", ".join(each.old), ", ".join(each.new)) for each in found.dependencies]
    if dependencies:
        yield table("dependency", "old", "new", rows=dependencies)
    yield from _workflows(found)
    for each in found.declarations:
        mark, style = _MARKS[each.change]
        yield Text(f"{mark} {each.kind} {clean(each.name)}", style=style)
    verdict = ("compatible", "green") if found.compatible else ("not compatible", "bold red")
    yield Text.assemble("The new one is ", verdict, " with those who start its workflows and read their results.")


def _workflows(found: PackageDiff) -> Iterator[RenderableType]:
    for name in found.workflows_added:
        yield Text(f"+ workflow {clean(name)}", style="green")
    for name in found.workflows_removed:
        yield Text(f"- workflow {clean(name)}", style="red")
    for workflow in found.workflows:
        if workflow.changed:
            yield Text(f"~ workflow {clean(workflow.name)}", style="yellow")
        for what, narrowings in (("arguments", workflow.arguments), ("result", workflow.result)):
            for each in narrowings:
                yield Text(f"  {what} {clean(each.path)}: {clean(each.problem)}", style="red")


def _routed(name: str, origin: str | None, target: str | None) -> str:
    if origin == target:
        return f"{name}: stays at {_version(target)}"
    return f"{name}: {_version(origin)} → {_version(target)}"


def _version(content_hash: str | None) -> str:
    return "no package" if content_hash is None else shown(content_hash)


def _many(count: int) -> str:
    return "" if not count else f"{count}+" if count >= MANY else str(count)


def _flows(count: int) -> str:
    return f"{count}+ ended flows" if count >= MANY else counted(count, "ended flow")
