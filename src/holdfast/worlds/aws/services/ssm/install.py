"""SSM: records into the emulator's objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moto.ssm import models

from holdfast.worlds.aws.services.ssm import shapes
from holdfast.worlds.aws.services.ssm.reading import is_public
from holdfast.worlds.aws.services.ssm.records import (
    Baseline,
    Command,
    Document,
    DocumentVersion,
    ParameterVersion,
    PatchGroup,
    Record,
    Tags,
    Window,
    WindowTarget,
    WindowTask,
)
from holdfast.worlds.aws.services.ssm.touches import key_of
from holdfast.worlds.aws.shapes import PAIRS


def install(backend: Any, resources: Mapping[str, Record]) -> None:
    """Make the resources the state of the backend."""
    built = models.SimpleSystemManagerBackend(backend.region_name, backend.account_id)
    for kinds in ((Document, Window), tuple(_ADDERS.keys() - {Document, Window})):
        for record in resources.values():
            if isinstance(record, kinds):
                _ADDERS[type(record)](built, record)
    _add_parameters(built, [record for record in resources.values() if isinstance(record, ParameterVersion)])
    vars(backend).update(vars(built))


def _add_parameters(built: Any, records: list[ParameterVersion]) -> None:
    histories: dict[str, list[Any]] = {}
    for record in records:
        made = shapes.PARAMETER.build(record, account_id=built.account_id)
        histories.setdefault(key_of(record.name), []).append(made)
    for key, history in histories.items():
        if is_public(key):  # the others of its kind are loaded now, lest it be loaded over it later
            built._parameters._check_loading_status(key)
        history.sort(key=lambda version: version.version)
        dict.__setitem__(built._parameters, key, history)


def _add_tags(built: Any, record: Tags) -> None:
    built._resource_tags[record.resource_type][record.resource_id] = PAIRS.back(record.tags)


def _add_document(built: Any, record: Document) -> None:
    built._documents[record.name] = shapes.DOCUMENT.build(record, versions={})


def _add_document_version(built: Any, record: DocumentVersion) -> None:
    built._documents[record.name].versions[record.document_version] = shapes.document_version_of(record)


def _add_command(built: Any, record: Command) -> None:
    made = shapes.COMMAND.build(record, account_id=built.account_id, backend_region=built.region_name)
    built._commands.append(made)


def _add_window(built: Any, record: Window) -> None:
    built.windows[record.id] = shapes.WINDOW.build(record, targets={}, tasks={})


def _add_target(built: Any, record: WindowTarget) -> None:
    built.windows[record.window_id].targets[record.window_target_id] = shapes.TARGET.build(record)


def _add_task(built: Any, record: WindowTask) -> None:
    built.windows[record.window_id].tasks[record.window_task_id] = shapes.TASK.build(record)


def _add_baseline(built: Any, record: Baseline) -> None:
    built.baselines[record.id] = shapes.BASELINE.build(record)


def _add_patch_group(built: Any, record: PatchGroup) -> None:
    built.patch_groups[record.name] = shapes.patch_group_of(record, built.region_name)


_ADDERS: dict[type, Callable[[Any, Any], None]] = {
    Tags: _add_tags,
    Document: _add_document,
    DocumentVersion: _add_document_version,
    Command: _add_command,
    Window: _add_window,
    WindowTarget: _add_target,
    WindowTask: _add_task,
    Baseline: _add_baseline,
    PatchGroup: _add_patch_group,
}
