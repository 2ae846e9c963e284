"""What views of IAM hold, but for credentials: identities, what they may do, and the account's settings. Pure: no I/O.

In names, ``USER``, ``GROUP`` and ``ROLE`` are percent-encoded where something follows them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from holdfast.worlds.aws.resource import Resource


class User(Resource, frozen=True, kw_only=True, tag="user"):
    """A user: ``user/NAME``; or one who was deleted and is still in a group or has an MFA device, as the emulator
    allows: ``former-user/ID``."""

    name: str
    id: str
    path: str
    region_name: str
    create_date: datetime
    password_last_used: datetime | None
    password_reset_required: bool | None


class UserTags(Resource, frozen=True, kw_only=True, tag="user_tags"):
    """The tags of a user: ``user-tags/PATH/NAME``. They stay behind when the user is renamed, as in the emulator.

    Attributes:
        user: path and name.
        tags: in the order in which they are listed.
    """

    user: str
    tags: list[tuple[str, str | None]]


class Group(Resource, frozen=True, kw_only=True, tag="group"):
    """A group: ``group/NAME``."""

    name: str
    id: str
    path: str
    create_date: datetime


class Membership(Resource, frozen=True, kw_only=True, tag="membership"):
    """A user's being in a group: ``group-member/GROUP/user/NAME``.

    Attributes:
        user: name of the user's resource.
    """

    user: str


class Role(Resource, frozen=True, kw_only=True, tag="role"):
    """A role: ``role/NAME``.

    Attributes:
        last_used: every signed request by one of its sessions changes it; of that alone no event tells.
        linked_service: the service whose role it is, if one's.
    """

    name: str
    id: str
    path: str
    assume_role_policy_document: Any
    create_date: datetime
    tags: list[dict[str, str]]
    last_used: datetime | None
    last_used_region: str | None
    description: str | None
    permissions_boundary_arn: str | None
    max_session_duration: int | str | None
    linked_service: str | None


class InlinePolicy(Resource, frozen=True, kw_only=True, tag="inline_policy"):
    """A policy of one user, group or role: ``user-policy/USER/NAME``, ``group-policy/…``, ``role-policy/…``.

    Attributes:
        document: as it was put; CloudFormation puts an object.
    """

    name: str
    document: Any


class Attachment(Resource, frozen=True, kw_only=True, tag="attachment"):
    """A managed policy's being attached: ``user-attachment/USER/POLICY``, ``group-attachment/…``,
    ``role-attachment/…``.

    Attributes:
        policy: name of the policy's resource.
    """

    policy: str


class Policy(Resource, frozen=True, kw_only=True, tag="policy"):
    """A managed policy: ``policy/PATH/NAME``; one of AWS's that is attached or was changed: ``aws-policy/PATH/NAME``.

    Attributes:
        miscounted: how far the emulator's count of attachments is off their number.
        listed: it was not deleted; the emulator leaves a deleted one attached.
        tags: each with the key in lower case.
    """

    name: str
    id: str
    path: str
    description: str
    create_date: datetime
    update_date: datetime
    default_version_id: str
    next_version_num: int
    tags: list[tuple[str, dict[str, str]]]
    miscounted: int
    listed: bool


class PolicyVersion(Resource, frozen=True, kw_only=True, tag="policy_version"):
    """A version of a managed policy: ``policy-version/VERSION/POLICY``.

    Attributes:
        policy: name of the policy's resource.
        is_default: as it is listed; the emulator can forget which version is the default.
    """

    policy: str
    version_id: str
    document: str
    is_default: bool
    create_date: datetime


class InstanceProfile(Resource, frozen=True, kw_only=True, tag="instance_profile"):
    """An instance profile: ``instance-profile/NAME``; ``roles``: their names."""

    name: str
    id: str
    path: str
    roles: list[str]
    create_date: datetime
    tags: list[dict[str, str]]


class CloudFormationPolicy(Resource, frozen=True, kw_only=True, tag="cloudformation_policy"):
    """What CloudFormation knows of an inline policy that it put: ``cloudformation-policy/NAME``."""

    name: str
    policy_name: str | None
    policy_document: Any
    group_names: list[str] | None
    role_names: list[str] | None
    user_names: list[str] | None


class SamlProvider(Resource, frozen=True, kw_only=True, tag="saml_provider"):
    """A SAML provider: ``saml-provider/NAME``."""

    name: str
    create_date: datetime
    valid_until: datetime
    saml_metadata_document: str | None


class OidcProvider(Resource, frozen=True, kw_only=True, tag="oidc_provider"):
    """An OpenID Connect provider: ``oidc-provider/URL``, without the scheme; ``tags``: each with the key in lower
    case."""

    url: str
    thumbprint_list: list[str]
    client_id_list: list[str]
    create_date: datetime
    tags: list[tuple[str, dict[str, str]]]


class AccountAliases(Resource, frozen=True, kw_only=True, tag="account_aliases"):
    """The account's alias: ``account/aliases``."""

    aliases: list[str]


class PasswordPolicy(Resource, frozen=True, kw_only=True, tag="password_policy"):
    """The account's password policy: ``account/password-policy``; ages in days."""

    allow_users_to_change_password: bool
    hard_expiry: bool | int | None
    max_password_age: int | None
    minimum_password_length: int
    password_reuse_prevention: int | None
    require_lowercase_characters: bool
    require_numbers: bool
    require_symbols: bool
    require_uppercase_characters: bool


class CredentialReport(Resource, frozen=True, kw_only=True, tag="credential_report"):
    """That a credential report was asked for: ``account/credential-report``. It is written when it is read."""
