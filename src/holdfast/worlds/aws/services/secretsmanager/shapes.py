"""Secrets Manager: the emulator's objects into records, and back."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from typing import Any

import msgspec
from moto.secretsmanager import models
from msgspec import UNSET

from holdfast.worlds.aws.services.secretsmanager.records import (
    Replica,
    ReplicaStatus,
    Secret,
    SecretValue,
    SecretVersion,
)
from holdfast.worlds.aws.shapes import Coverage, Shape, Way, backend_coverage, plain

_STATUS = Shape(models.ReplicaSecret, ReplicaStatus, rebuilt=("source",))
_REPLICAS = Way(lambda found: [_STATUS.capture(one) for one in found], lambda found: [])
SECRET = Shape(
    models.FakeSecret,
    Secret,
    ways={"replicas": _REPLICAS},
    extra=("first",),
    rebuilt=("secret_id", "account_id", "region", "versions", "secret_string", "secret_binary"),
)
COVERAGE = (
    SECRET.coverage,
    _STATUS.coverage,
    Coverage(models.SecretsStore),
    backend_coverage(models.SecretsManagerBackend, held=("secrets",)),
)


def secret_record(secret: Any) -> Secret:
    return SECRET.capture(secret, first=_value_record(secret.secret_string, secret.secret_binary))


def secret_of(record: Secret, account_id: str, region: str) -> Any:
    """The secret, without its versions and replicas."""
    given = _given(record.first)
    return SECRET.build(
        record,
        secret_id=record.name,
        account_id=account_id,
        region=region,
        versions={},
        secret_string=given["secret_string"],
        secret_binary=given["secret_binary"],
    )


def version_record(version: dict[str, Any]) -> SecretVersion:
    return SecretVersion(
        id=version["version_id"],
        value=_value_record(version.get("secret_string", UNSET), version.get("secret_binary", UNSET)),
        stages=plain(version["version_stages"]),
        created_date=version["createdate"],
    )


def version_of(record: SecretVersion) -> dict[str, Any]:
    made = {"createdate": record.created_date, "version_id": record.id, "version_stages": list(record.stages)}
    return {**made, **_given(record.value)}


def replica_record(replica: Any) -> Replica:
    source = replica.source
    return Replica(
        name=source.name, primary_region=source.region, primary_arn=source.arn, status=_STATUS.capture(replica)
    )


def replica_of(status: ReplicaStatus, source: Any) -> Any:
    return _STATUS.build(status, source=source)


def absent_primary(record: Replica, account_id: str) -> Any:
    """What stands for the secret of a replica until its region is restored: it has no versions."""
    empty = Secret(
        name=record.name,
        arn=record.primary_arn,
        description=None,
        tags=None,
        kms_key_id=None,
        policy=None,
        first=SecretValue(text=None, binary=None),
        version_stages=None,
        default_version_id=None,
        created_date=None,
        last_changed_date=None,
        deleted_date=None,
        rotation_requested=False,
        rotation_enabled=False,
        rotation_lambda_arn="",
        auto_rotate_after_days=0,
        last_rotation_date=None,
        next_rotation_date=None,
        replicas=[],
    )
    return secret_of(empty, account_id, record.primary_region)


def is_whole(value: SecretValue) -> bool:
    """Whether it is that of a secret, which has both, though either may be ``None``."""
    return is_value(value) and _given(value).keys() == {"secret_string", "secret_binary"}


def is_value(value: SecretValue) -> bool:
    """Whether a view can have written it."""
    given = _given(value)
    return _value_record(given.get("secret_string", UNSET), given.get("secret_binary", UNSET)) == value


def _value_record(text: Any, binary: Any) -> SecretValue:
    if not isinstance(binary, str):
        return SecretValue(text=text, binary=binary)
    try:
        decoded = b64decode(binary, validate=True)
    except (binascii.Error, ValueError):
        decoded = None
    if decoded is None or b64encode(decoded).decode() != binary:
        return SecretValue(text=text, odd_binary=binary)
    return SecretValue(text=text, binary=decoded)


def _given(value: SecretValue) -> dict[str, Any]:
    """The value as the emulator keeps it: binary as base64."""
    binary: Any = value.odd_binary if value.odd_binary is not UNSET else value.binary
    if isinstance(binary, bytes):
        binary = b64encode(binary).decode()
    found: dict[str, Any] = {"secret_string": value.text, "secret_binary": binary}
    return {key: item for key, item in found.items() if item is not msgspec.UNSET}
