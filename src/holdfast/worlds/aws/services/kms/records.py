"""What views of KMS hold: the keys themselves too, in the clear. Pure: no I/O.

A view of KMS, as one of Secrets Manager, is as secret as the account: whoever reads it can decrypt and sign.
"""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.aws.services.given import Seconds, UtcTime


class Key(Resource, frozen=True, kw_only=True, tag="key"):
    """A key: ``key/ID``.

    A replica in another region is that region's key. The emulator lets a replica and its primary share their aliases,
    grants, rotations and replica configuration; each has its own once one of the two regions was restored.

    Attributes:
        key_material: the secret of a symmetric or HMAC key, in the clear.
        private_key: PKCS #8 in DER, in the clear; the emulator makes one for every key, whatever it is used for.
        policy: its document, as it was put; CloudFormation puts an object.
        creation_date: seconds since 1970.
        deletion_date: UTC; when its pending window ends.
        rotations: each as ListKeyRotations has it, oldest first.
        tags: in the order in which they are listed; ``None`` if there never were any.
        multi_region_configuration: which replicas there are; absent from a key of one region.
    """

    id: str
    arn: str
    description: str
    creation_date: Seconds
    deletion_date: UtcTime | None
    key_usage: str | None
    key_spec: str
    key_state: str
    key_manager: str
    key_material: bytes
    private_key: bytes
    origin: str
    enabled: Any
    policy: Any
    key_rotation_status: Any
    rotations: list[dict[str, Any]]
    multi_region: bool | None
    multi_region_configuration: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    tags: list[tuple[str, str | None]] | None = None


class Grant(Resource, frozen=True, kw_only=True, tag="grant"):
    """A grant: ``grant/KEY/ID``; ``token`` retires it."""

    id: str
    key_id: str
    token: str
    name: str | None
    grantee_principal: str | None
    retiring_principal: str | None
    operations: list[str] | None
    constraints: dict[str, Any] | None


class Alias(Resource, frozen=True, kw_only=True, tag="alias"):
    """An alias: ``alias/NAME``, where the name begins with ``alias/`` itself."""

    name: str
    arn: str
    key_id: str
