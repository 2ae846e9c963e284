"""SSM: the emulator's objects into records, and back."""

from __future__ import annotations

from json import dumps, loads
from typing import Any

from moto.ssm import models

from holdfast.worlds.aws.services.ssm.records import (
    Baseline,
    Command,
    Document,
    DocumentVersion,
    ParameterVersion,
    PatchGroup,
    Permission,
    Window,
    WindowTarget,
    WindowTask,
)
from holdfast.worlds.aws.shapes import SAME, Coverage, Shape, Way, backend_coverage

_PERMISSION = Shape(models.AccountPermission, Permission, ways={"created_at": SAME})
_PERMISSIONS = Way(
    lambda found: [_PERMISSION.capture(one) for one in found.values()],
    lambda records: {one.account_id: _PERMISSION.build(one) for one in records},
)
_CONTENT = Way(
    lambda found: found if isinstance(found, str) else [dumps(found)],
    lambda content: content if isinstance(content, str) else loads(content[0]),
)
_OF_CONTENT = (
    "content_json",
    "schema_version",
    "description",
    "outputs",
    "files",
    "platform_types",
    "parameter_list",
    "mainSteps",
    "runtimeConfig",
)
PARAMETER = Shape(models.Parameter, ParameterVersion, ways={"last_modified_date": SAME}, rebuilt=("account_id",))
DOCUMENT = Shape(models.Documents, Document, ways={"permissions": _PERMISSIONS}, extra=("name",), rebuilt=("versions",))
DOCUMENT_VERSION = Shape(
    models.Document, DocumentVersion, ways={"created_date": SAME, "content": _CONTENT}, rebuilt=_OF_CONTENT
)
COMMAND = Shape(
    models.Command,
    Command,
    ways=dict.fromkeys(("requested_date_time", "expires_after"), SAME),
    rebuilt=("account_id", "backend_region"),
)
WINDOW = Shape(models.FakeMaintenanceWindow, Window, rebuilt=("targets", "tasks"))
TARGET = Shape(models.FakeMaintenanceWindowTarget, WindowTarget)
TASK = Shape(models.FakeMaintenanceWindowTask, WindowTask)
BASELINE = Shape(models.FakePatchBaseline, Baseline)
PATCH_GROUP = Shape(models.FakePatchGroup, PatchGroup, rebuilt=("region_name", "default_associations"))
COVERAGE = (
    *(
        shape.coverage
        for shape in (
            PARAMETER,
            _PERMISSION,
            DOCUMENT,
            DOCUMENT_VERSION,
            COMMAND,
            WINDOW,
            TARGET,
            TASK,
            BASELINE,
            PATCH_GROUP,
        )
    ),
    Coverage(
        models.ParameterDict,
        rebuilt=frozenset(
            {
                "account_id",
                "region_name",
                "latest_amis_loaded",
                "latest_ecs_amis_loaded",
                "latest_region_defaults_loaded",
                "latest_service_defaults_loaded",
            }
        ),
    ),
    backend_coverage(
        models.SimpleSystemManagerBackend,
        held=("_parameters", "_resource_tags", "_commands", "_documents", "windows", "baselines", "patch_groups"),
        rebuilt=("_errors", "ssm_prefix", "default_parameter_tier"),
    ),
)


def document_version_of(record: DocumentVersion) -> Any:
    """The document that the content is of, which the emulator reads it for.

    Raises:
        Exception: it can make nothing of the content.
    """
    made = DOCUMENT_VERSION.build(record)
    models.Document.__init__(
        made,
        account_id=record.owner,
        name=record.name,
        version_name=made.version_name,
        content=made.content,
        document_type=made.document_type,
        document_format=record.document_format,
        requires=made.requires,
        attachments=made.attachments,
        target_type=made.target_type,
        document_version=record.document_version,
    )
    made.status, made.created_date = record.status, record.created_date
    return made


def patch_group_of(record: PatchGroup, region: str) -> Any:
    made = PATCH_GROUP.build(record, region_name=region)
    made.default_associations = made.associations
    return made
