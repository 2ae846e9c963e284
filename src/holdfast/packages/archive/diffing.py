"""What differs between two versions of a package: files, workflows and their schemas, locked versions. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from difflib import unified_diff
from enum import StrEnum
from typing import Any, Final

from holdfast.packages.archive.locks import locked_versions, parse_lock
from holdfast.packages.archive.manifest import Manifest, WorkflowItem
from holdfast.packages.archive.reading import Archive
from holdfast.packages.archive.schemas import Narrowing, narrowings

_MAX_TEXT: Final = 256 * 1024
_MAX_LINES: Final = 5_000
"""Beyond these a difference of texts takes too long, and nobody would read it."""


class Change(StrEnum):
    """What became of a file."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that is not the same in both.

    Attributes:
        path: in the archive.
        text: the difference in the form of ``diff -u``; ``None`` unless both are texts of a reasonable size.
    """

    path: str
    change: Change
    text: str | None = None


@dataclass(frozen=True, slots=True)
class WorkflowChange:
    """A workflow that is in both.

    Attributes:
        name: the workflow type.
        arguments: where arguments that the old one took are no longer taken.
        result: where the new one gives results that readers of the old one's do not expect.
        changed: its entry, retention or a schema is not the same, be it compatible.
    """

    name: str
    arguments: tuple[Narrowing, ...]
    result: tuple[Narrowing, ...]
    changed: bool

    @property
    def compatible(self) -> bool:
        """Whoever starts it, and whoever reads its result, may do so as before."""
        return not self.arguments and not self.result


@dataclass(frozen=True, slots=True)
class Declaration:
    """A step, queue or schedule that is not the same in both.

    Attributes:
        kind: ``step``, ``queue`` or ``schedule``.
    """

    kind: str
    name: str
    change: Change


@dataclass(frozen=True, slots=True)
class VersionChange:
    """A dependency that is locked otherwise; empty: it is not in that lock."""

    name: str
    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PackageDiff:
    """The way from an old version to a new one. Every list is by name.

    Attributes:
        old, new: the content hashes.
        workflows: those that are in both.
    """

    old: str
    new: str
    files: tuple[FileChange, ...]
    workflows_added: tuple[str, ...]
    workflows_removed: tuple[str, ...]
    workflows: tuple[WorkflowChange, ...]
    declarations: tuple[Declaration, ...]
    dependencies: tuple[VersionChange, ...]

    @property
    def compatible(self) -> bool:
        """No workflow went, and each may be started and read as before."""
        return not self.workflows_removed and all(workflow.compatible for workflow in self.workflows)

    def as_object(self) -> dict[str, Any]:
        """For JSON."""
        whole = asdict(self)
        for shown, found in zip(whole["workflows"], self.workflows, strict=True):
            shown["compatible"] = found.compatible
            for what in ("arguments", "result"):
                shown[what] = [each._asdict() for each in getattr(found, what)]
        return {**whole, "compatible": self.compatible}


def diff(old: Archive, new: Archive) -> PackageDiff:
    """What differs between two archives that were opened."""
    before, after = _workflows(old.manifest), _workflows(new.manifest)
    return PackageDiff(
        old=old.content_hash,
        new=new.content_hash,
        files=tuple(_files(old.files, new.files)),
        workflows_added=tuple(sorted(after.keys() - before.keys())),
        workflows_removed=tuple(sorted(before.keys() - after.keys())),
        workflows=tuple(_workflow(before[name], after[name]) for name in sorted(before.keys() & after.keys())),
        declarations=tuple(_declarations(old.manifest, new.manifest)),
        dependencies=tuple(_dependencies(old.lock, new.lock)),
    )


def _declarations(old: Manifest, new: Manifest) -> Iterator[Declaration]:
    for kind in ("step", "queue", "schedule"):
        before = {item.name: item for item in getattr(old, f"{kind}s")}
        after = {item.name: item for item in getattr(new, f"{kind}s")}
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                yield Declaration(kind, name, _change(before.get(name), after.get(name)))


def _change(before: object | None, after: object | None) -> Change:
    if before is None:
        return Change.ADDED
    return Change.REMOVED if after is None else Change.CHANGED


def _workflows(manifest: Manifest) -> dict[str, WorkflowItem]:
    return {item.name: item for item in manifest.workflows}


def _workflow(old: WorkflowItem, new: WorkflowItem) -> WorkflowChange:
    return WorkflowChange(
        name=new.name,
        arguments=narrowings(old.arguments, new.arguments),
        result=narrowings(new.result, old.result, surplus=True),
        changed=old != new,
    )


def _files(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> Iterator[FileChange]:
    for path in sorted(old.keys() | new.keys()):
        before, after = old.get(path), new.get(path)
        if before is None or after is None:
            change = Change.ADDED if before is None else Change.REMOVED
        elif before == after:
            continue
        else:
            change = Change.CHANGED
        yield FileChange(path, change, _text_diff(path, before, after))


def _text_diff(path: str, before: bytes | None, after: bytes | None) -> str | None:
    was, now = _lines(before), _lines(after)
    if was is None or now is None:
        return None
    origin = "/dev/null" if before is None else f"old/{path}"
    target = "/dev/null" if after is None else f"new/{path}"
    return "\n".join(unified_diff(was, now, origin, target, lineterm=""))


def _lines(body: bytes | None) -> list[str] | None:
    """The lines of a text; ``None`` where it is none, or too long to be compared."""
    if body is None:
        return []
    if len(body) > _MAX_TEXT or b"\0" in body or body.count(b"\n") > _MAX_LINES:
        return None
    try:
        return body.decode().split("\n")
    except UnicodeDecodeError:
        return None


def _dependencies(old: bytes | None, new: bytes | None) -> Iterator[VersionChange]:
    before, after = _versions(old), _versions(new)
    for name in sorted(before.keys() | after.keys()):
        change = VersionChange(name, before.get(name, ()), after.get(name, ()))
        if change.old != change.new:
            yield change


def _versions(lock: bytes | None) -> dict[str, tuple[str, ...]]:
    return {} if lock is None else locked_versions(parse_lock(lock))
