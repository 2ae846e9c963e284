"""What the methods of the emulator's IAM may change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import signature
from typing import Any
from urllib.parse import urlparse

from moto.iam import models

from holdfast.worlds.aws.adapter import Group, Touch
from holdfast.worlds.aws.services.iam.naming import ACCOUNT, CERTIFICATES, OTHER_KEYS, policy_name

_Naming = Callable[[Any, str], Iterable[Group]]
"""Of the backend and an argument, the groups that it names."""


def _user(backend: Any, name: str) -> Iterator[Group]:
    yield "user", name


def _uprooted(backend: Any, name: str) -> Iterator[Group]:
    """A user whose name others will know no more: where he is, and what becomes of what was his."""
    yield from (("user", name), OTHER_KEYS)
    user = backend.users.get(name)
    if user is None:
        return
    yield "user-tags", user.path + user.name
    yield "former-user", user.id
    yield from (("group", group.name) for group in backend.groups.values() if user in group.users)
    devices = backend.virtual_mfa_devices.values()
    yield from (("virtual-mfa-device", device.serial_number) for device in devices if device.user is user)


def _tagged_user(backend: Any, name: str) -> Iterator[Group]:
    user = backend.users.get(name)
    if user is not None:
        yield "user-tags", user.path + user.name


def _group(backend: Any, name: str) -> Iterator[Group]:
    """With those of its members who are known by it alone."""
    yield "group", name
    group = backend.groups.get(name)
    yield from () if group is None else (("former-user", user.id) for user in group.users)


def _virtual_mfa_device(backend: Any, serial: str) -> Iterator[Group]:
    yield "virtual-mfa-device", serial
    device = backend.virtual_mfa_devices.get(serial)
    if device is not None and device.user is not None:
        yield "former-user", device.user.id


def _access_key(backend: Any, ident: str) -> Iterator[Group]:
    yield OTHER_KEYS
    for name, user in backend.users.items():
        if user.has_access_key(ident):
            yield "user", name


def _policy(backend: Any, arn: str) -> Iterator[Group]:
    yield "policy", policy_name(arn)


def _named(kind: str, *separators: str) -> _Naming:
    """The group of what an argument names; of an ARN, by what follows the separator."""

    def naming(backend: Any, name: str) -> Iterator[Group]:
        for separator in separators:
            name = name.partition(separator)[2]
        yield kind, name

    return naming


def _provider_of(backend: Any, url: str) -> Iterator[Group]:
    parsed = urlparse(url)
    yield "oidc-provider", parsed.netloc + parsed.path


def _always(*groups: Group) -> Touch:
    return lambda *_, **__: groups


def _touch(method: str, **parameters: _Naming) -> Touch:
    """The groups that a method's arguments name; of one that it cannot take, none."""
    bind = signature(getattr(models.IAMBackend, method)).bind_partial

    def touching(*args: Any, **kwargs: Any) -> Iterator[Group]:
        try:
            given = bind(*args, **kwargs).arguments
        except TypeError:
            return
        for parameter, naming in parameters.items():
            name = given.get(parameter)
            if isinstance(name, str):
                yield from naming(given["self"], name)

    return touching


def _created_user(
    backend: Any, region_name: object = None, user_name: object = None, path: object = None, *_: Any, **__: Any
) -> Iterator[Group]:
    yield "user", str(user_name)
    yield "user-tags", f"{path or '/'}{user_name}"


def _created_policy(
    backend: Any,
    description: object = None,
    path: object = None,
    policy_document: object = None,
    policy_name: object = None,
    *_: Any,
    **__: Any,
) -> Iterator[Group]:
    yield from _policy(backend, f"arn::iam::{backend.account_id}:policy{path or '/'}{policy_name}")


def _created_virtual_mfa_device(
    backend: Any, device_name: object = None, path: object = None, *_: Any, **__: Any
) -> Iterator[Group]:
    serial = f"arn:{backend.partition}:iam::{backend.account_id}:mfa{path or '/'}{device_name}"
    yield "virtual-mfa-device", serial


_PARAMETERS: dict[str, _Naming] = {
    "user_name": _user,
    "group_name": _group,
    "new_group_name": _group,
    "role_name": _named("role"),
    "policy_arn": _policy,
    "profile_name": _named("instance-profile"),
    "instance_profile_name": _named("instance-profile"),
    "serial_number": _virtual_mfa_device,
    "saml_provider_arn": _named("saml-provider", ":saml-provider/"),
    "arn": _named("oidc-provider", ":oidc-provider/"),
}
_BY_PARAMETERS = (
    *("attach_role_policy", "attach_group_policy", "attach_user_policy"),
    *("detach_role_policy", "detach_group_policy", "detach_user_policy"),
    *("put_role_policy", "put_group_policy", "put_user_policy"),
    *("delete_role_policy", "delete_group_policy", "delete_user_policy"),
    *("create_role", "update_role", "update_role_description", "update_assume_role_policy"),
    *("put_role_permissions_boundary", "delete_role_permissions_boundary", "tag_role", "untag_role"),
    *("create_group", "update_group", "delete_group", "add_user_to_group", "remove_user_from_group"),
    *("create_login_profile", "update_login_profile", "delete_login_profile"),
    *("create_access_key", "update_access_key"),
    *("upload_ssh_public_key", "update_ssh_public_key", "delete_ssh_public_key"),
    *("upload_signing_certificate", "update_signing_certificate", "delete_signing_certificate"),
    *("enable_mfa_device", "deactivate_mfa_device", "delete_virtual_mfa_device"),
    *("create_policy_version", "delete_policy_version", "set_default_policy_version"),
    *("delete_policy", "tag_policy", "untag_policy"),
    *("add_role_to_instance_profile", "remove_role_from_instance_profile"),
    *("tag_instance_profile", "untag_instance_profile"),
    *("update_saml_provider", "delete_saml_provider"),
    *("update_open_id_connect_provider_thumbprint", "delete_open_id_connect_provider"),
    *("tag_open_id_connect_provider", "untag_open_id_connect_provider"),
)


def _by_parameters(method: str) -> Touch:
    known = signature(getattr(models.IAMBackend, method)).parameters.keys() & _PARAMETERS.keys()
    return _touch(method, **{parameter: _PARAMETERS[parameter] for parameter in sorted(known)})


TOUCHES: Mapping[str, Touch] = {
    # delete_role is not among them: CloudFormation takes the role out of instance profiles before it calls
    **{method: _by_parameters(method) for method in _BY_PARAMETERS},
    "create_user": _created_user,
    "update_user": _touch("update_user", user_name=_uprooted, new_user_name=_uprooted),
    "delete_user": _touch("delete_user", user_name=_uprooted),
    "tag_user": _touch("tag_user", name=_tagged_user),
    "untag_user": _touch("untag_user", name=_tagged_user),
    "delete_access_key": _touch("delete_access_key", access_key_id=_access_key),
    "delete_access_key_by_name": _touch("delete_access_key_by_name", name=_access_key),
    "create_policy": _created_policy,
    "create_instance_profile": _touch("create_instance_profile", name=_named("instance-profile")),
    "delete_instance_profile": _touch("delete_instance_profile", name=_named("instance-profile")),
    "create_inline_policy": _touch("create_inline_policy", resource_name=_named("cloudformation-policy")),
    "update_inline_policy": _touch("update_inline_policy", resource_name=_named("cloudformation-policy")),
    "delete_inline_policy": _touch("delete_inline_policy", policy_id=_named("cloudformation-policy")),
    "create_virtual_mfa_device": _created_virtual_mfa_device,
    "create_saml_provider": _touch("create_saml_provider", name=_named("saml-provider")),
    "create_open_id_connect_provider": _touch("create_open_id_connect_provider", url=_provider_of),
    **dict.fromkeys(("upload_server_certificate", "delete_server_certificate"), _always(CERTIFICATES)),
    "create_temp_access_key": _always(OTHER_KEYS),
    **dict.fromkeys(
        (
            "create_account_alias",
            "delete_account_alias",
            "update_account_password_policy",
            "delete_account_password_policy",
            "generate_report",
        ),
        _always(ACCOUNT),
    ),
    **dict.fromkeys(
        (
            "create_service_linked_role",  # these two by methods that tell themselves
            "delete_service_linked_role",
            "initialize_service_roles",
            "report_generated",
        ),
        _always(),
    ),
}
