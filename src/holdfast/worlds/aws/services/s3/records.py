"""What views of S3 hold: buckets, versions of objects, uploads. Pure: no I/O."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.aws.services.s3.settings import (
    Acl,
    CorsRule,
    Inventory,
    LifecycleRule,
    Logging,
    Notifications,
    PublicAccessBlock,
    Tags,
)


class Bucket(Resource, frozen=True, kw_only=True, omit_defaults=True, tag="bucket"):
    """A bucket without its objects: ``bucket/BUCKET``.

    Attributes:
        created: UTC.
        versioning: ``Enabled``, ``Suspended`` or, where it was never set, ``None``.
        policy, website: as they were sent; what is no UTF-8 in Base64, under ``$bytes``.
        default_lock_days, default_lock_years: how long a new object is retained by default.
        encryption, ownership, replication: as they were sent.
    """

    name: str
    namespace: str | None = None
    created: datetime
    tags: Tags = msgspec.field(default_factory=list)
    versioning: str | None = None
    acl: Acl
    policy: Any = None
    public_access_block: PublicAccessBlock | None = None
    ownership: Any = None
    encryption: dict[str, Any] | None = None
    lifecycle: list[LifecycleRule] = msgspec.field(default_factory=list)
    cors: list[CorsRule] = msgspec.field(default_factory=list)
    website: Any = None
    logging: Logging | None = None
    notifications: Notifications | None = None
    inventories: list[Inventory] = msgspec.field(default_factory=list)
    replication: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    acceleration: str | None = None
    payer: str
    object_lock: bool = False
    default_lock_mode: str | None
    default_lock_days: int | None
    default_lock_years: int | None


class Upload(Resource, frozen=True, kw_only=True, omit_defaults=True, tag="upload"):
    """An upload in parts, in progress: ``upload/BUCKET/ID``.

    Attributes:
        key: of the object that it will be.
        metadata, tags, acl, …: that the object will have.
        writer: account that began it, if not the bucket's owner.
    """

    id: str
    key: str
    metadata: dict[str, str]
    tags: Tags | None
    acl: Acl
    storage_class: str | None = None
    encryption: str | None = None
    kms_key_id: str | None = None
    writer: str | None = None


class UploadPart(Resource, frozen=True, kw_only=True, omit_defaults=True, tag="part"):
    """A part of an upload: ``part/BUCKET/ID/NUMBER``.

    Attributes:
        size: in bytes.
        body: digest of its bytes; ``None`` when the upload is completed, and the object has them.
        last_modified: UTC.
        status_since: local time, as :class:`ObjectVersion` has it.
    """

    number: int
    size: int
    body: str | None = None
    etag: str | None
    last_modified: datetime
    encryption: str | None = None
    kms_key_id: str | None = None
    status_since: datetime


class CompletedUpload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The upload that an object was made by. Its parts can be asked for one by one."""

    upload: Upload
    parts: list[UploadPart]


class ObjectVersion(Resource, frozen=True, kw_only=True, omit_defaults=True, tag="object"):
    """A version of an object: ``object/BUCKET/KEY@VERSION``, percent-encoded but for slashes.

    Attributes:
        version: ``null`` for one put while the bucket had no versions.
        size: in bytes.
        body: digest of its bytes; ``None`` when the emulator itself has lost them.
        last_modified: UTC.
        versioned: put while the bucket had versions.
        lock_until: end of its retention, as it was sent.
        expiry: when a copy that was restored from the archive goes; UTC.
        restore_status: ``None``, ``IN_PROGRESS`` or ``RESTORED``.
        status_since: when that last changed; local time, as the emulator has it.
        restore_reads: reads since then, where the emulator is set to restore after so many of them.
        completed: the upload it was made by.
        writer: account that put it, if not the bucket's owner.
    """

    key: str
    version: str | None
    size: int
    body: str | None = None
    etag: str | None
    last_modified: datetime
    versioned: bool = False
    metadata: dict[str, str]
    tags: Tags = msgspec.field(default_factory=list)
    acl: Acl
    storage_class: str | None
    website_redirect_location: str | None = None
    encryption: str | None = None
    kms_key_id: str | None = None
    bucket_key_enabled: bool | str | None = None
    checksum_algorithm: str | None = None
    checksum_value: str | None = None
    checksum_type: str | None = None
    checksum_parts: int | None = None
    lock_mode: str | None = None
    lock_legal_status: str | None = None
    lock_until: str | None = None
    expiry: datetime | None = None
    restore_status: str | None = None
    status_since: datetime
    restore_reads: int = 0
    completed: CompletedUpload | None = None
    writer: str | None = None


class DeleteMarker(Resource, frozen=True, kw_only=True, omit_defaults=True, tag="delete_marker"):
    """A delete marker among the versions of a key: ``object/BUCKET/KEY@VERSION``.

    Attributes:
        last_modified: UTC.
        hides: the version that was the latest before, which may be gone by now.
        hides_marker: that is a delete marker, too.
    """

    key: str
    version: str
    last_modified: datetime
    hides: str
    hides_marker: bool = False


S3Record = Bucket | ObjectVersion | DeleteMarker | Upload | UploadPart
