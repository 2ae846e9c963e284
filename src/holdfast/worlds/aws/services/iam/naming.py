"""Names of IAM's resources, and the groups to which they belong. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from holdfast.worlds.aws.adapter import Group
from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.aws.services.iam import credentials, records

HOLDERS = ("user", "group", "role")
CERTIFICATES: Group = ("server-certificates",)
OTHER_KEYS: Group = ("other-access-keys",)
ACCOUNT: Group = ("account",)


def rooted(tail: str) -> str:
    """The end of an ARN, a path and a name, as part of a resource's name: without the slash with which it begins, as
    all do but what CloudFormation lets pass."""
    return tail[1:] if tail.startswith("/") and not tail.startswith("/%") else f"%{tail}"


def unrooted(rest: str) -> str:
    """What :func:`rooted` was given."""
    return rest[1:] if rest.startswith("%") else f"/{rest}"


def held(kind: str, holder: str, own: str = "") -> str:
    """The name of what a user, group or role has."""
    encoded = quote(holder, safe="")
    return f"{kind}/{encoded}/{own}" if own else f"{kind}/{encoded}"


def holder_of(name: str) -> str:
    """The name of the user, group or role that has the resource."""
    return unquote(name.split("/", 2)[1])


def policy_name(arn: str) -> str:
    """The name of the resource of the managed policy of that ARN."""
    owner, _, tail = arn.partition(":policy")
    return f"{'aws-policy' if owner.endswith(':aws') else 'policy'}/{rooted(tail)}"


def policy_arn(backend: Any, name: str) -> str:
    """The ARN that the policy of that resource has in the backend's account."""
    kind, _, rest = name.partition("/")
    owner = "aws" if kind == "aws-policy" else backend.account_id
    return f"arn:{backend.partition}:iam::{owner}:policy{unrooted(rest)}"


def user_arn(backend: Any, tail: str) -> str:
    """The ARN of the user of that path and name in the backend's account."""
    return f"arn:{backend.partition}:iam::{backend.account_id}:user{tail}"


def version_name(policy: str, version_id: str) -> str:
    return f"policy-version/{quote(version_id, safe='')}/{policy}"


class Kind(NamedTuple):
    """Resources whose names begin alike.

    Attributes:
        record: their class.
        group: of a name without its kind, the resource's group.
        own: of a record, the name without its kind; of one that is held, without its holder either.
        holder: the kind of what has it.
    """

    record: type[Resource]
    group: Callable[[str], Group]
    own: Callable[[Any], str]
    holder: str | None = None


def _held(record: type[Resource], holder: str, own: Callable[[Any], str]) -> Kind:
    return Kind(record, lambda rest: (holder, unquote(rest.partition("/")[0])), own, holder)


def _alone(kind: str, record: type[Resource], own: Callable[[Any], str]) -> Kind:
    return Kind(record, lambda rest: (kind, rest), own)


def _policy(kind: str) -> Kind:
    return Kind(
        records.Policy, lambda rest: ("policy", f"{kind}/{rest}"), lambda found: rooted(found.path + found.name)
    )


def _version_own(found: records.PolicyVersion) -> str:
    return version_name(found.policy, found.version_id).partition("/")[2]


KINDS: dict[str, Kind] = {
    "user": _alone("user", records.User, lambda found: found.name),
    "former-user": _alone("former-user", records.User, lambda found: found.id),
    "user-tags": Kind(records.UserTags, lambda rest: ("user-tags", unrooted(rest)), lambda found: rooted(found.user)),
    "login-profile": _held(credentials.LoginProfile, "user", lambda found: ""),
    "access-key": _held(credentials.AccessKey, "user", lambda found: found.access_key_id),
    "other-access-key": Kind(credentials.AccessKey, lambda rest: OTHER_KEYS, lambda found: found.access_key_id),
    "mfa-device": _held(credentials.MfaDevice, "user", lambda found: found.serial_number),
    "virtual-mfa-device": _alone("virtual-mfa-device", credentials.VirtualMfaDevice, lambda found: found.serial_number),
    "ssh-public-key": _held(credentials.SshPublicKey, "user", lambda found: found.ssh_public_key_id),
    "signing-certificate": _held(credentials.SigningCertificate, "user", lambda found: found.id),
    "server-certificate": Kind(
        credentials.ServerCertificate, lambda rest: CERTIFICATES, lambda found: quote(found.name, safe="")
    ),
    "group": _alone("group", records.Group, lambda found: found.name),
    "group-member": _held(records.Membership, "group", lambda found: found.user),
    "role": _alone("role", records.Role, lambda found: found.name),
    **{f"{one}-policy": _held(records.InlinePolicy, one, lambda found: found.name) for one in HOLDERS},
    **{f"{one}-attachment": _held(records.Attachment, one, lambda found: found.policy) for one in HOLDERS},
    "policy": _policy("policy"),
    "aws-policy": _policy("aws-policy"),
    "policy-version": Kind(records.PolicyVersion, lambda rest: ("policy", rest.partition("/")[2]), _version_own),
    "instance-profile": _alone("instance-profile", records.InstanceProfile, lambda found: found.name),
    "cloudformation-policy": _alone("cloudformation-policy", records.CloudFormationPolicy, lambda found: found.name),
    "saml-provider": _alone("saml-provider", records.SamlProvider, lambda found: found.name),
    "oidc-provider": _alone("oidc-provider", records.OidcProvider, lambda found: found.url),
}
ACCOUNT_RECORDS: dict[str, type[Resource]] = {
    "account/aliases": records.AccountAliases,
    "account/password-policy": records.PasswordPolicy,
    "account/credential-report": records.CredentialReport,
}


def group_of(name: str) -> Group:
    """The group of the resource of that name."""
    kind, _, rest = name.partition("/")
    return KINDS[kind].group(rest) if kind in KINDS else ACCOUNT
