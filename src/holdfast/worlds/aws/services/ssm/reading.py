"""SSM: what a group is now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from holdfast.worlds.aws.adapter import Group
from holdfast.worlds.aws.services.ssm import shapes, touches
from holdfast.worlds.aws.services.ssm.records import Record, Tags
from holdfast.worlds.aws.shapes import PAIRS

Found = Iterator[tuple[str, Record]]
_PUBLIC = "/aws/service/"


def is_public(key: str) -> bool:
    """Whether AWS publishes the parameter: no client can make one of its name."""
    return key.startswith(_PUBLIC)


def groups(backend: Any) -> Iterator[Group]:
    """All groups, in the order in which they are listed."""
    keys = dict.fromkeys(backend._parameters)
    keys.update((touches.key_of(name), None) for name in _tags_of(backend, "Parameter"))
    names: list[Group] = [(touches.PARAMETER, key) for key in keys]
    names += [(touches.DOCUMENT, name) for name in backend._documents]
    names += [touches.WINDOWS, touches.BASELINES, touches.COMMANDS]
    names += [(touches.PATCH_GROUP, name) for name in backend.patch_groups]
    return (group for group in names if next(read(backend, group), None) is not None)


def read(backend: Any, group: Group) -> Found:
    """The records of a group, by name; none when it is not there."""
    reader = _READERS.get(group[0])
    return iter(()) if reader is None else reader(backend, *group[1:])


def _parameter(backend: Any, key: str) -> Found:
    versions = dict.get(backend._parameters, key, [])
    if not is_public(key) or any(version.labels for version in versions):
        for version in versions:
            yield f"parameter/{version.version}/{key}", shapes.PARAMETER.capture(version)
    for name in (key,) if "/" in key else (key, f"/{key}"):
        yield from _tags(backend, "Parameter", name)


def _document(backend: Any, name: str) -> Found:
    documents = backend._documents.get(name)
    if documents is None:
        return
    yield f"document/{name}", shapes.DOCUMENT.capture(documents, name=name)
    for number, version in documents.versions.items():
        yield f"document-version/{number}/{name}", shapes.DOCUMENT_VERSION.capture(version)
    yield from _tags(backend, "Document", name)


def _windows(backend: Any) -> Found:
    for ident, window in backend.windows.items():
        yield f"window/{ident}", shapes.WINDOW.capture(window)
        for key, target in window.targets.items():
            yield f"window-target/{ident}/{key}", shapes.TARGET.capture(target)
        for key, task in window.tasks.items():
            yield f"window-task/{ident}/{key}", shapes.TASK.capture(task)
        yield from _tags(backend, "MaintenanceWindow", ident)


def _baselines(backend: Any) -> Found:
    for ident, baseline in backend.baselines.items():
        yield f"patch-baseline/{ident}", shapes.BASELINE.capture(baseline)


def _commands(backend: Any) -> Found:
    for command in backend._commands:
        yield f"command/{command.command_id}", shapes.COMMAND.capture(command)


def _patch_group(backend: Any, name: str) -> Found:
    if name in backend.patch_groups:
        yield f"patch-group/{name}", shapes.PATCH_GROUP.capture(backend.patch_groups[name])


def _tags(backend: Any, resource_type: Any, resource_id: str) -> Found:
    found = _tags_of(backend, resource_type).get(resource_id)
    if found:
        record = Tags(resource_type=resource_type, resource_id=resource_id, tags=PAIRS.into(found))
        yield f"tags/{resource_type}/{resource_id}", record


def _tags_of(backend: Any, resource_type: str) -> Any:
    return backend._resource_tags.get(resource_type, {})


_READERS: dict[str, Callable[..., Found]] = {
    touches.PARAMETER: _parameter,
    touches.DOCUMENT: _document,
    touches.PATCH_GROUP: _patch_group,
    touches.WINDOWS[0]: _windows,
    touches.BASELINES[0]: _baselines,
    touches.COMMANDS[0]: _commands,
}
