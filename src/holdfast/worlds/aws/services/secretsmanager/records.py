"""What views of Secrets Manager hold: secrets in the clear. Pure: no I/O."""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.aws.services.given import Seconds, WholeSeconds


class SecretValue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a secret is, in the clear.

    Attributes:
        text: ``SecretString``; unset where none was ever given.
        binary: ``SecretBinary``; unset likewise.
        odd_binary: what was given as ``SecretBinary`` and is not the base64 of anything, as it was.
    """

    text: str | msgspec.UnsetType | None = msgspec.UNSET
    binary: bytes | msgspec.UnsetType | None = msgspec.UNSET
    odd_binary: str | msgspec.UnsetType = msgspec.UNSET


class ReplicaStatus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the replication of a secret to one region went.

    Attributes:
        has_replica: there is a replica in that region, or there was.
        config: what ``ReplicationStatus`` answers of it.
    """

    region: str
    arn: str
    status: str
    message: str
    has_replica: bool
    config: dict[str, Any]


class Secret(Resource, frozen=True, kw_only=True, tag="secret"):
    """A secret: ``secret/NAME``.

    Attributes:
        first: its value when it was made; rotation copies it.
        tags: as they are listed; ``None``: it never had any.
        default_version_id: of the version that reads are answered with by default.
        created_date, last_changed_date, deleted_date, last_rotation_date, next_rotation_date: seconds since 1970.
        replicas: of the regions to which it was replicated.
    """

    name: str
    arn: str
    description: str | None
    tags: list[dict[str, Any]] | None
    kms_key_id: str | None
    policy: str | None
    first: SecretValue
    version_stages: list[str] | None
    default_version_id: str | None
    created_date: WholeSeconds | None
    last_changed_date: WholeSeconds | None
    deleted_date: Seconds | None
    rotation_requested: bool
    rotation_enabled: bool
    rotation_lambda_arn: str
    auto_rotate_after_days: int
    last_rotation_date: WholeSeconds | None
    next_rotation_date: WholeSeconds | None
    replicas: list[ReplicaStatus]


class SecretVersion(Resource, frozen=True, kw_only=True, tag="version"):
    """A version of a secret: ``version/ID/NAME``, the id percent-encoded.

    Attributes:
        value: with neither text nor binary as long as a rotation has not given it any.
        stages: ``AWSCURRENT``, ``AWSPREVIOUS``, ``AWSPENDING`` and those that clients made, in their order.
        created_date: seconds since 1970.
    """

    id: str
    value: SecretValue
    stages: list[str]
    created_date: WholeSeconds


class Replica(Resource, frozen=True, kw_only=True, tag="replica"):
    """The replica of another region's secret: ``replica/REGION/NAME``. What it answers is what that secret is.

    Attributes:
        name: of both.
        primary_region: where the secret is.
        primary_arn: of the secret.
        status: of the replica itself.
    """

    name: str
    primary_region: str
    primary_arn: str
    status: ReplicaStatus


Record = Secret | SecretVersion | Replica
