"""What can be wrong with a view of SSM whose values are of the right types. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from holdfast.worlds.aws.adapter import Fault
from holdfast.worlds.aws.services.given import TWINS, has_twins
from holdfast.worlds.aws.services.ssm import shapes
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

_NAMES: dict[type, Callable[[Any], str]] = {
    ParameterVersion: lambda record: f"parameter/{record.version}/{key_of(record.name)}",
    Tags: lambda record: f"tags/{record.resource_type}/{record.resource_id}",
    Document: lambda record: f"document/{record.name}",
    DocumentVersion: lambda record: f"document-version/{record.document_version}/{record.name}",
    Command: lambda record: f"command/{record.command_id}",
    Window: lambda record: f"window/{record.id}",
    WindowTarget: lambda record: f"window-target/{record.window_id}/{record.window_target_id}",
    WindowTask: lambda record: f"window-task/{record.window_id}/{record.window_task_id}",
    Baseline: lambda record: f"patch-baseline/{record.id}",
    PatchGroup: lambda record: f"patch-group/{record.name}",
}


def faults(resources: Mapping[str, Record]) -> Iterator[Fault]:
    """The faults of all resources."""
    for name, record in resources.items():
        if name != (right := _NAMES[type(record)](record)):
            yield Fault(name, "name", f"it is that of {right!r}")
            continue
        for field, needed in _needs(record):
            if needed not in resources:
                yield Fault(name, field, f"there is no {needed!r}")
        if isinstance(record, Command) and any("InstanceId" not in one for one in record.invocations):
            yield Fault(name, "invocations", "one of them is on no instance")
        if isinstance(record, Tags) and has_twins(record.tags):
            yield Fault(name, "tags", TWINS)
        if isinstance(record, Document) and has_twins([(one.account_id,) for one in record.permissions]):
            yield Fault(name, "permissions", TWINS)
        if isinstance(record, DocumentVersion) and not _is_document(record):
            yield Fault(name, "content", "it is no document")


def _needs(record: Record) -> Iterator[tuple[str, str]]:
    """The names of the resources without which the record cannot be, each with the field that says so."""
    if isinstance(record, Document):
        yield "default_version", f"document-version/{record.default_version}/{record.name}"
        yield "latest_version", f"document-version/{record.latest_version}/{record.name}"
    elif isinstance(record, DocumentVersion):
        yield "name", f"document/{record.name}"
    elif isinstance(record, WindowTarget | WindowTask):
        yield "window_id", f"window/{record.window_id}"
    elif isinstance(record, Tags) and record.resource_type == "Document":
        yield "resource_id", f"document/{record.resource_id}"
    elif isinstance(record, Tags) and record.resource_type == "MaintenanceWindow":
        yield "resource_id", f"window/{record.resource_id}"


def _is_document(record: DocumentVersion) -> bool:
    try:
        shapes.document_version_of(record)
    except Exception:  # whatever the emulator, JSON or YAML makes of it
        return False
    return True
