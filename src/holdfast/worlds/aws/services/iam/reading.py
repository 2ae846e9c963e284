"""The emulator's objects of IAM into records, a group at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from holdfast.worlds.aws.adapter import Group
from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.aws.services.iam import credentials, records
from holdfast.worlds.aws.services.iam.managed import policy_groups, read_policy
from holdfast.worlds.aws.services.iam.naming import (
    ACCOUNT,
    CERTIFICATES,
    OTHER_KEYS,
    held,
    policy_name,
    rooted,
    user_arn,
)
from holdfast.worlds.aws.services.iam.shapes import (
    ACCESS_KEY,
    CERTIFICATE,
    CLOUDFORMATION_POLICY,
    GROUP,
    MFA,
    OIDC,
    PASSWORD_POLICY,
    PROFILE,
    ROLE,
    SAML,
    SIGNING,
    SSH_KEY,
    USER,
    VIRTUAL_MFA,
)
from holdfast.worlds.aws.shapes import LOSSLESS

Found = dict[str, Resource]


def groups(backend: Any) -> Iterator[Group]:
    """All groups, what others refer to before what refers to it."""
    yield from policy_groups(backend)
    yield from (("user", name) for name in backend.users)
    yield from (("former-user", user.id) for user in former_users(backend).values())
    yield from (("user-tags", arn.partition(":user")[2]) for arn in backend.tagger.tags)
    yield from (("group", name) for name in backend.groups)
    yield from (("role", role.name) for role in backend.roles.values())
    yield from (("instance-profile", name) for name in backend.instance_profiles)
    yield from (("cloudformation-policy", name) for name in backend.inline_policies)
    yield from (("saml-provider", name) for name in backend.saml_providers)
    yield from (("oidc-provider", one.url) for one in backend.open_id_providers.values())
    yield from (("virtual-mfa-device", serial) for serial in backend.virtual_mfa_devices)
    yield from (group for group in (CERTIFICATES, OTHER_KEYS, ACCOUNT) if _READERS[group[0]](backend))


def read(backend: Any, group: Group) -> Found:
    """The resources of a group; none, where it is not there."""
    kind, *name = group
    return _READERS[kind](backend, *name) if kind in _READERS else {}


def former_users(backend: Any) -> dict[str, Any]:
    """Users who were deleted and are still in a group or have an MFA device, by their ids."""
    known = [user for group in backend.groups.values() for user in group.users]
    known += [device.user for device in backend.virtual_mfa_devices.values() if device.user is not None]
    return {user.id: user for user in known if backend.users.get(user.name) is not user}


def user_name_of(backend: Any, user: Any) -> str:
    """The name of a user's resource."""
    return f"user/{user.name}" if backend.users.get(user.name) is user else f"former-user/{user.id}"


def _user(backend: Any, name: str) -> Found:
    user = backend.users.get(name)
    if user is None:
        return {}
    found: Found = {f"user/{name}": USER.capture(user)}
    if user.password is not None:
        found[held("login-profile", name)] = credentials.LoginProfile(password=user.password)
    for key in user.access_keys:
        listed = backend.access_keys.get(key.access_key_id) is key
        found[held("access-key", name, key.access_key_id)] = ACCESS_KEY.capture(key, listed=listed)
    for device in user.mfa_devices.values():
        found[held("mfa-device", name, device.serial_number)] = MFA.capture(device)
    for key in user.ssh_public_keys:
        found[held("ssh-public-key", name, key.ssh_public_key_id)] = SSH_KEY.capture(key)
    for certificate in user.signing_certificates.values():
        found[held("signing-certificate", name, certificate.id)] = SIGNING.capture(certificate)
    return found | _policies("user", user)


def _former_user(backend: Any, ident: str) -> Found:
    user = former_users(backend).get(ident)
    return {} if user is None else {f"former-user/{ident}": USER.capture(user)}


def _user_tags(backend: Any, tail: str) -> Found:
    tags = backend.tagger.tags.get(user_arn(backend, tail))
    if tags is None:
        return {}
    return {f"user-tags/{rooted(tail)}": records.UserTags(user=tail, tags=list(tags.items()))}


def _group(backend: Any, name: str) -> Found:
    group = backend.groups.get(name)
    if group is None:
        return {}
    found: Found = {f"group/{name}": GROUP.capture(group)}
    for user in group.users:
        member = user_name_of(backend, user)
        found[held("group-member", name, member)] = records.Membership(user=member)
    return found | _policies("group", group)


def _role(backend: Any, name: str) -> Found:
    role = next((one for one in backend.roles.values() if one.name == name), None)
    return {} if role is None else {f"role/{name}": ROLE.capture(role)} | _policies("role", role)


def _policies(kind: str, holder: Any) -> Found:
    """What a user, group or role may do."""
    found: Found = {}
    for name, document in holder.policies.items():
        inline = records.InlinePolicy(name=name, document=LOSSLESS.into(document))
        found[held(f"{kind}-policy", holder.name, name)] = inline
    for arn in holder.managed_policies:
        policy = policy_name(arn)
        found[held(f"{kind}-attachment", holder.name, policy)] = records.Attachment(policy=policy)
    return found


def _instance_profile(backend: Any, name: str) -> Found:
    profile = backend.instance_profiles.get(name)
    if profile is None:
        return {}
    return {f"instance-profile/{name}": PROFILE.capture(profile, roles=[role.name for role in profile.roles])}


def _virtual_mfa_device(backend: Any, serial: str) -> Found:
    device = backend.virtual_mfa_devices.get(serial)
    if device is None:
        return {}
    user = None if device.user is None else user_name_of(backend, device.user)
    return {f"virtual-mfa-device/{serial}": VIRTUAL_MFA.capture(device, user=user)}


def _server_certificates(backend: Any) -> Found:
    found: Found = {}
    for ident, certificate in backend.certificates.items():
        name = f"server-certificate/{quote(certificate.cert_name, safe='')}"
        found[f"{name}/{ident}" if name in found else name] = CERTIFICATE.capture(certificate, id=ident)
    return found


def _other_access_keys(backend: Any) -> Found:
    """Those of roles' sessions, and those whose user is gone."""
    users = {id(key) for user in backend.users.values() for key in user.access_keys}
    return {
        f"other-access-key/{ident}": ACCESS_KEY.capture(key, listed=True)
        for ident, key in backend.access_keys.items()
        if id(key) not in users
    }


def _account(backend: Any) -> Found:
    found: Found = {}
    if backend.account_aliases:
        found["account/aliases"] = records.AccountAliases(aliases=list(backend.account_aliases))
    if backend.account_password_policy is not None:
        found["account/password-policy"] = PASSWORD_POLICY.capture(backend.account_password_policy)
    if backend.credential_report:
        found["account/credential-report"] = records.CredentialReport()
    return found


def _simple(kind: str, attribute: str, shape: Any) -> Callable[..., Found]:
    """Of resources that are known by their names alone."""

    def reading(backend: Any, name: str) -> Found:
        one = getattr(backend, attribute).get(name)
        return {} if one is None else {f"{kind}/{name}": shape.capture(one)}

    return reading


def _oidc_provider(backend: Any, url: str) -> Found:
    provider = backend.open_id_providers.get(f"arn:{backend.partition}:iam::{backend.account_id}:oidc-provider/{url}")
    return {} if provider is None else {f"oidc-provider/{url}": OIDC.capture(provider)}


_READERS: dict[str, Callable[..., Found]] = {
    "policy": read_policy,
    "user": _user,
    "former-user": _former_user,
    "user-tags": _user_tags,
    "group": _group,
    "role": _role,
    "instance-profile": _instance_profile,
    "cloudformation-policy": _simple("cloudformation-policy", "inline_policies", CLOUDFORMATION_POLICY),
    "saml-provider": _simple("saml-provider", "saml_providers", SAML),
    "oidc-provider": _oidc_provider,
    "virtual-mfa-device": _virtual_mfa_device,
    "server-certificates": _server_certificates,
    "other-access-keys": _other_access_keys,
    "account": _account,
}
