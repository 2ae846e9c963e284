"""What the methods of the emulator's KMS may change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any

from moto.kms import models

from holdfast.worlds.aws.adapter import Elsewhere, Group, Touch


def _found(backend: Any, ident: object) -> Any:
    """The key of an id, ARN or alias; asking the backend for a reserved alias would make one."""
    if not isinstance(ident, str):
        return None
    name = backend.get_alias_name(ident)
    if not name.startswith("alias/"):
        return backend.keys.get(backend.get_key_id(ident))
    return next((key for key in backend.keys.values() if name in key.aliases), None)


def _shared(touch: Callable[..., Iterator[Group]]) -> Touch:
    """The emulator lets a replica and its primary share most of what they are: where there is the one, or its alias,
    there may be the other."""

    @wraps(touch)
    def touching(backend: Any, *args: Any, **kwargs: Any) -> Iterator[Group | Elsewhere]:
        for group in touch(backend, *args, **kwargs):
            yield group
            for other in list(models.kms_backends[backend.account_id].values()):
                if other is not backend and not backend.keys.keys().isdisjoint(other.keys):
                    yield Elsewhere(backend.account_id, other.region_name, group)

    return touching


@_shared
def _key(backend: Any, key_id: object = None, *_: Any, **__: Any) -> Iterator[Group]:
    key = _found(backend, key_id)
    if key is not None:
        yield "key", key.id


def _tagged(backend: Any, arn: object = None, *_: Any, **__: Any) -> Iterator[Group]:
    key = _found(backend, arn)
    if key is not None:
        yield "key", key.id


@_shared
def _described(backend: Any, key_id: object = None, *_: Any, **__: Any) -> Iterator[Group]:
    """A replica is told that it is one when it is first looked at."""
    key = _found(backend, key_id)
    if key is None or not key.multi_region:
        return
    configuration = key.multi_region_configuration
    if key.arn != configuration["PrimaryKey"]["Arn"] and configuration["MultiRegionKeyType"] != "REPLICA":
        yield "key", key.id


def _with_aliases(backend: Any, key_id: object) -> Iterator[Group]:
    key = _found(backend, key_id)
    if key is not None:
        yield "key", key.id
        yield from (("alias", name) for name in key.aliases)


@_shared
def _deleted(backend: Any, key_id: object = None, *_: Any, **__: Any) -> Iterator[Group]:
    return _with_aliases(backend, key_id)


def _replicated(
    backend: Any, key_id: object = None, replica_region: object = None, *_: Any, **__: Any
) -> Iterator[Group | Elsewhere]:
    for group in _with_aliases(backend, key_id):
        yield group
        if isinstance(replica_region, str) and replica_region in models.kms_backends[backend.account_id]:
            yield Elsewhere(backend.account_id, replica_region, group)
    yield from _key(backend, key_id)  # earlier replicas hear of it


@_shared
def _alias(
    backend: Any, target_key_id: object = None, alias_name: object = None, *_: Any, **__: Any
) -> Iterator[Group]:
    if isinstance(alias_name, str):
        yield "alias", alias_name


@_shared
def _alias_alone(backend: Any, alias_name: object = None, *_: Any, **__: Any) -> Iterator[Group]:
    if isinstance(alias_name, str):
        yield "alias", alias_name


@_shared
def _retired(
    backend: Any, key_id: object = None, grant_id: object = None, grant_token: object = None, *_: Any, **__: Any
) -> Iterator[Group]:
    """A token alone is looked for among the grants of all keys."""
    if grant_token:
        yield from (("key", key.id) for key in backend.keys.values() if _has_token(key, grant_token))
        return
    key = _found(backend, key_id)
    if key is not None:
        yield "key", key.id


def _has_token(key: Any, token: object) -> bool:
    return any(grant.token == token for grant in key.grants.values())


def _nothing(*_: Any, **__: Any) -> Iterator[Group]:
    return iter(())


TOUCHES: Mapping[str, Touch] = {
    # create_key is not among them: nobody knows the id beforehand
    **dict.fromkeys(
        (
            "cancel_key_deletion",
            "create_grant",
            "disable_key",
            "disable_key_rotation",
            "enable_key",
            "enable_key_rotation",
            "put_key_policy",
            "revoke_grant",
            "rotate_key_on_demand",
            "schedule_key_deletion",
            "update_key_description",
        ),
        _key,
    ),
    **dict.fromkeys(("tag_resource", "untag_resource"), _tagged),
    **dict.fromkeys(("describe_key", "get_public_key", "list_grants", "sign", "verify"), _described),
    **dict.fromkeys(("create_alias", "update_alias"), _alias),
    "delete_alias": _alias_alone,
    "delete_key": _deleted,
    "replicate_key": _replicated,
    "retire_grant": _retired,
    **dict.fromkeys(
        (
            "alias_exists",
            "any_id_to_key_id",
            "decrypt",
            "encrypt",
            "generate_data_key",
            "generate_data_key_without_plaintext",
            "generate_mac",
            "generate_random",
            "owns_arn",
            "re_encrypt",
            "verify_mac",
        ),
        _nothing,
    ),
}
