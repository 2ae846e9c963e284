"""What each method of the emulator's Secrets Manager may change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from moto.secretsmanager import models

from holdfast.worlds.aws.adapter import Elsewhere, Group, Touch

SECRET, REPLICA = "secret", "replica"


def _secret(backend: Any, secret_id: Any, *_: Any, **__: Any) -> Iterator[Group | Elsewhere]:
    """The secret that a client names, by name or ARN; of a replica its primary."""
    found = backend.secrets.get(secret_id) if isinstance(secret_id, str) else None
    if isinstance(found, models.ReplicaSecret):
        yield Elsewhere(backend.account_id, found.source.region, (SECRET, found.name))
    elif found is not None:
        yield SECRET, found.name


def _named(backend: Any, name: Any, regions: Iterable[Any]) -> Iterator[Group | Elsewhere]:
    """A secret and its replicas, with what they stand in the place of."""
    if not isinstance(name, str):
        return
    yield SECRET, name
    for region in regions:
        if region in models.secretsmanager_backends[backend.account_id]:
            yield Elsewhere(backend.account_id, region, (SECRET, name))
            yield Elsewhere(backend.account_id, region, (REPLICA, backend.region_name, name))


def _create(backend: Any, name: Any, *_: Any, replica_regions: Any = None, **__: Any) -> Iterator[Group | Elsewhere]:
    return _named(backend, name, [one.get("Region") for one in replica_regions or []])


def _create_managed(
    backend: Any, service_name: Any, secret_id: Any, *_: Any, replica_regions: Any = None, **__: Any
) -> Iterator[Group | Elsewhere]:
    yield from _secret(backend, secret_id)
    yield from _create(backend, secret_id, replica_regions=replica_regions)


def _replicate(backend: Any, secret_id: Any, replica_regions: Any, *_: Any, **__: Any) -> Iterator[Group | Elsewhere]:
    """``replica_regions``: names, or objects that have one."""
    regions = [one.get("Region") if isinstance(one, dict) else one for one in replica_regions]
    found = backend.secrets.get(secret_id) if isinstance(secret_id, str) else None
    return _named(backend, found.name, regions) if found is not None else iter(())


def _tagged(backend: Any, arn: Any, *_: Any, **__: Any) -> Iterator[Group | Elsewhere]:
    return _secret(backend, arn)


TOUCHES: dict[str, Touch] = {
    **dict.fromkeys(
        (
            "cancel_rotate_secret",
            "delete_resource_policy",
            "delete_secret",
            "put_resource_policy",
            "put_secret_value",
            "restore_secret",
            "rotate_secret",
            "update_secret",
            "update_secret_version_stage",
        ),
        _secret,
    ),
    "create_secret": _create,
    "create_managed_secret": _create_managed,
    "replicate_secret_to_regions": _replicate,
    "remove_regions_from_replication": _replicate,
    "tag_resource": _tagged,
    "untag_resource": _tagged,
    "batch_get_secret_value": lambda *_, **__: (),
    "owns_arn": lambda *_, **__: (),
}
