"""What each method of the emulator's SSM may change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.ssm.models import ParameterDict

from holdfast.worlds.aws.adapter import Group, Touch

PARAMETER, DOCUMENT, PATCH_GROUP = "parameter", "document", "patch-group"
COMMANDS: Group = ("commands",)
WINDOWS: Group = ("windows",)
BASELINES: Group = ("baselines",)


def key_of(name: str) -> str:
    """Under what name the emulator keeps a parameter."""
    return str(ParameterDict.normalize_name(name))


def _named(kind: str, name: Any) -> Iterator[Group]:
    if isinstance(name, str):
        yield kind, name


def _parameter(backend: Any, name: Any, *_: Any, **__: Any) -> Iterator[Group]:
    if isinstance(name, str):
        yield PARAMETER, key_of(name)


def _parameters(backend: Any, names: Any) -> Iterator[Group]:
    for name in names:
        yield from _parameter(backend, name)


def _tagged(backend: Any, resource_type: Any, resource_id: Any, *_: Any, **__: Any) -> Iterator[Group]:
    """What a client names for its tags: a parameter also by its ARN, a version or a label."""
    if resource_type == "MaintenanceWindow":
        yield WINDOWS
    elif resource_type == "Document":
        yield from _named(DOCUMENT, resource_id)
    elif isinstance(resource_id, str):
        yield from _parameter(backend, backend._strip_parameter_arn(resource_id).split(":")[0])


def _document(backend: Any, name: Any, *_: Any, **__: Any) -> Iterator[Group]:
    return _named(DOCUMENT, name)


def _always(*groups: Group) -> Touch:
    return lambda *_, **__: groups


def _patch_group(backend: Any, baseline_id: Any, patch_group: Any) -> Iterator[Group]:
    return _named(PATCH_GROUP, patch_group)


TOUCHES: dict[str, Touch] = {
    **dict.fromkeys(
        ("put_parameter", "delete_parameter", "label_parameter_version", "unlabel_parameter_version"), _parameter
    ),
    "delete_parameters": _parameters,
    "add_tags_to_resource": _tagged,
    "remove_tags_from_resource": _tagged,
    "create_document": lambda backend, content, requires, attachments, name, *_, **__: _document(backend, name),
    "update_document": lambda backend, content, attachments, name, *_, **__: _document(backend, name),
    **dict.fromkeys(
        ("delete_document", "update_document_default_version", "modify_document_permission"),
        _document,
    ),
    "send_command": _always(COMMANDS),
    **dict.fromkeys(
        (
            "create_maintenance_window",
            "delete_maintenance_window",
            "register_target_with_maintenance_window",
            "deregister_target_from_maintenance_window",
            "register_task_with_maintenance_window",
            "deregister_task_from_maintenance_window",
        ),
        _always(WINDOWS),
    ),
    "create_patch_baseline": _always(BASELINES),
    "delete_patch_baseline": _always(BASELINES),
    "register_patch_baseline_for_patch_group": _patch_group,
    "deregister_patch_baseline_for_patch_group": _patch_group,
    **dict.fromkeys(("owns_arn", "tag_resource", "untag_resource"), _always()),
}
