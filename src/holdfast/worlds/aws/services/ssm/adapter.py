"""SSM: the emulator's parameters, documents, commands and windows into records, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from moto.ssm import models

from holdfast.worlds.aws.adapter import Adapter, Fault, Group, Part
from holdfast.worlds.aws.services.ssm import reading, shapes, touches
from holdfast.worlds.aws.services.ssm.checks import faults
from holdfast.worlds.aws.services.ssm.install import install
from holdfast.worlds.aws.services.ssm.records import Record
from holdfast.worlds.model import StateView

_SHARED = {
    "window": touches.WINDOWS,
    "window-target": touches.WINDOWS,
    "window-task": touches.WINDOWS,
    "patch-baseline": touches.BASELINES,
    "command": touches.COMMANDS,
}


class SsmAdapter(Adapter[Record]):
    """Parameters, each a group of all its versions and its tags; documents likewise; and what is rarely changed."""

    service_name = "ssm"
    view_type = StateView[Record]
    coverage = shapes.COVERAGE
    touches: ClassVar = touches.TOUCHES
    extra_not_captured: ClassVar = ("AWS's public parameters, but those that clients have labelled",)

    @property
    def backends(self) -> Any:
        return models.ssm_backends

    def groups(self, backend: Any, region: str | None = None) -> Iterable[Group]:
        return reading.groups(backend)

    def read(self, backend: Any, group: Group) -> Part[Record] | None:
        found = dict(reading.read(backend, group))
        return Part(backend.region_name, found) if found else None

    def group_of(self, name: str) -> Group:
        kind, _, rest = name.partition("/")
        if kind in _SHARED:
            return _SHARED[kind]
        if kind == "tags":
            return _group_of_tags(*rest.partition("/")[::2])
        if kind == "parameter":
            return touches.PARAMETER, rest.partition("/")[2]
        if kind == "document-version":
            return touches.DOCUMENT, rest.partition("/")[2]
        return kind, rest

    def install(self, backend: Any, region: str, resources: Mapping[str, Record]) -> None:
        install(backend, resources)

    def check(self, resources: Mapping[str, Record]) -> Iterator[Fault]:
        return faults(resources)


def _group_of_tags(resource_type: str, resource_id: str) -> Group:
    if resource_type == "MaintenanceWindow":
        return touches.WINDOWS
    if resource_type == "Document":
        return touches.DOCUMENT, resource_id
    return touches.PARAMETER, touches.key_of(resource_id)
