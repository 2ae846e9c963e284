"""What views of SSM hold; secure parameters in the clear. Pure: no I/O.

Times are without a zone, in UTC.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.aws.services.given import UtcTime


class ParameterVersion(Resource, frozen=True, kw_only=True, tag="parameter"):
    """One version of a parameter: ``parameter/VERSION/NAME``, the name without a ``/`` in front that is its only one.

    Attributes:
        name: as it was given.
        value: of a secure string, what the emulator makes of it.
        last_modified_date: a time; seconds since 1970 where AWS publishes it.
    """

    name: str
    version: int
    value: str | None
    parameter_type: str
    description: str | None
    allowed_pattern: str | None
    keyid: str | None
    last_modified_date: UtcTime | float
    data_type: str | None
    labels: list[str]
    source_result: str | None
    tier: str | None
    policies: str | None


class Tags(Resource, frozen=True, kw_only=True, tag="tags"):
    """The tags of something: ``tags/TYPE/ID``.

    Attributes:
        tags: keys with their values, in the order in which they are listed.
    """

    resource_type: Literal["Parameter", "Document", "MaintenanceWindow"]
    resource_id: str
    tags: list[tuple[str, str]]


class Permission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That a document is shared with an account, or with all."""

    account_id: str
    version: str
    created_at: UtcTime


class Document(Resource, frozen=True, kw_only=True, tag="document"):
    """A document: ``document/NAME``."""

    name: str
    default_version: str
    latest_version: str
    permissions: list[Permission]


class DocumentVersion(Resource, frozen=True, kw_only=True, tag="document_version"):
    """One version of a document: ``document-version/VERSION/NAME``.

    Attributes:
        content: its text; where a template gave an object instead, a list of its JSON alone.
    """

    name: str
    document_version: str
    version_name: str | None
    content: str | list[str]
    document_type: str | None
    document_format: str
    requires: Any
    attachments: Any
    target_type: str | None
    status: str
    owner: str
    created_date: UtcTime


class Command(Resource, frozen=True, kw_only=True, tag="command"):
    """A command that was sent: ``command/ID``, with what it did on each instance."""

    command_id: str
    status: str
    status_details: str
    timeout_seconds: int
    requested_date_time: UtcTime
    expires_after: UtcTime
    comment: str | None
    document_name: str | None
    max_concurrency: str | None
    max_errors: str | None
    notification_config: Any
    output_s3_bucket_name: str | None
    output_s3_key_prefix: str | None
    output_s3_region: str | None
    parameters: Any
    service_role_arn: str | None
    targets: Any
    instance_ids: list[str]
    error_count: int
    completed_count: int
    target_count: int
    invocations: list[dict[str, Any]]


class Window(Resource, frozen=True, kw_only=True, tag="window"):
    """A maintenance window: ``window/ID``."""

    id: str
    name: str | None
    description: str | None
    duration: int | None
    cutoff: int | None
    schedule: str | None
    schedule_timezone: str | None
    schedule_offset: int | None
    start_date: str | None
    end_date: str | None


class WindowTarget(Resource, frozen=True, kw_only=True, tag="window_target"):
    """What a maintenance window is for: ``window-target/WINDOW/ID``."""

    window_id: str
    window_target_id: str
    resource_type: str | None
    targets: Any
    name: str | None
    description: str | None
    owner_information: str | None


class WindowTask(Resource, frozen=True, kw_only=True, tag="window_task"):
    """What is done in a maintenance window: ``window-task/WINDOW/ID``."""

    window_id: str
    window_task_id: str
    task_type: str | None
    task_arn: str | None
    service_role_arn: str | None
    task_parameters: Any
    priority: int | None
    max_concurrency: str | None
    max_errors: str | None
    logging_info: Any
    name: str | None
    description: str | None
    targets: Any
    task_invocation_parameters: Any
    cutoff_behavior: str | None
    alarm_configurations: Any


class Baseline(Resource, frozen=True, kw_only=True, tag="patch_baseline"):
    """A patch baseline: ``patch-baseline/ID``."""

    id: str
    name: str | None
    operating_system: str | None
    global_filters: Any
    approval_rules: Any
    approved_patches: Any
    approved_patches_compliance_level: str | None
    approved_patches_enable_non_security: bool | None
    rejected_patches: Any
    rejected_patches_action: str | None
    description: str | None
    sources: Any
    default_baseline: bool


class PatchGroup(Resource, frozen=True, kw_only=True, tag="patch_group"):
    """A patch group: ``patch-group/NAME``.

    Attributes:
        associations: the id of its baseline, for each operating system.
    """

    name: str
    associations: dict[str, str]


Record = (
    ParameterVersion
    | Tags
    | Document
    | DocumentVersion
    | Command
    | Window
    | WindowTarget
    | WindowTask
    | Baseline
    | PatchGroup
)
