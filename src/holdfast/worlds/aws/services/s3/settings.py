"""What is set on buckets and objects, as views hold it. Pure: no I/O."""

from __future__ import annotations

from typing import Any

import msgspec


class Setting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a record."""


class Grantee(Setting, frozen=True, kw_only=True):
    """Who is granted something: an account by its canonical id, or a group by its URI."""

    id: str
    uri: str
    display_name: str | None


class Grant(Setting, frozen=True, kw_only=True):
    """What some may do."""

    grantees: list[Grantee]
    permissions: list[str]


Acl = str | list[Grant] | None
"""A canned list by its name, else its grants; ``None`` for one that was emptied."""
Tags = list[tuple[str, str | None]]
"""In the order in which they are told."""


class LifecycleAnd(Setting, frozen=True, kw_only=True):
    """All that an object must have."""

    prefix: str | None = None
    tags: Tags


class LifecycleFilter(Setting, frozen=True, kw_only=True):
    """Which objects a rule is for."""

    prefix: str | None = None
    tag_key: str | None = None
    tag_value: str | None = None
    and_filter: LifecycleAnd | None = None


class Transition(Setting, frozen=True, kw_only=True):
    """When objects go to another storage class."""

    date: str | None = None
    days: str | None = None
    storage_class: str | None = None


class NoncurrentTransition(Setting, frozen=True, kw_only=True):
    """When versions that are not the latest go to another storage class."""

    newer_versions: str | None = None
    days: str | None = None
    storage_class: str | None = None


class LifecycleRule(Setting, frozen=True, kw_only=True):
    """A rule, each value as it was sent."""

    id: str | None = None
    prefix: str | None = None
    filter: LifecycleFilter | None = None
    status: str | None = None
    expiration_days: str | None = None
    expiration_date: str | None = None
    transitions: list[Transition] | None
    expired_object_delete_marker: str | None = None
    nve_noncurrent_days: str | None = None
    noncurrent_version_transitions: list[NoncurrentTransition] | None
    aimu_days: str | None = None


class CorsRule(Setting, frozen=True, kw_only=True):
    """Who may ask from elsewhere, each value as it was sent."""

    id: str | None = None
    allowed_methods: list[str]
    allowed_origins: list[str]
    allowed_headers: list[str] | None = None
    exposed_headers: list[str] | None = None
    max_age_seconds: str | None = None


class Notification(Setting, frozen=True, kw_only=True):
    """Who hears of which events."""

    id: str
    arn: str
    events: list[str]
    filters: dict[str, Any]


class Notifications(Setting, frozen=True, kw_only=True):
    """Who hears of what happens in a bucket."""

    topic: list[Notification]
    queue: list[Notification]
    cloud_function: list[Notification]
    event_bridge: dict[str, Any] | None


class PublicAccessBlock(Setting, frozen=True, kw_only=True):
    """What keeps the public out."""

    block_public_acls: bool
    ignore_public_acls: bool
    block_public_policy: bool
    restrict_public_buckets: bool


class Inventory(Setting, frozen=True, kw_only=True):
    """An inventory of a bucket, each value as it was sent."""

    id: str
    destination: Any
    is_enabled: Any
    schedule: Any
    filters: Any = None
    optional_fields: Any = None


class Logging(Setting, frozen=True, kw_only=True):
    """Where requests are logged.

    Attributes:
        target: bucket, prefix and so on, as they were sent.
        grants: on the logs.
    """

    target: dict[str, Any]
    grants: list[Grant] | None = None
