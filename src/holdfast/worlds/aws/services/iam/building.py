"""Records of IAM into the emulator's objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.aws.services.iam import credentials, records, shapes
from holdfast.worlds.aws.services.iam.managed import aws_policies
from holdfast.worlds.aws.services.iam.naming import HOLDERS, holder_of, policy_arn, user_arn
from holdfast.worlds.aws.shapes import LOSSLESS


class Builder:
    """Builds the state of an account beside what is there, then puts it in place.

    Args:
        backend: the account's.
        resources: checked, and in the order of their ranks.
    """

    def __init__(self, backend: Any, resources: Mapping[str, Resource]) -> None:
        self._backend = backend
        self._resources = resources
        self._place = {"account_id": backend.account_id, "partition": backend.partition}
        self._region = {"account_id": backend.account_id, "region_name": backend.region_name}
        self._built: dict[str, Any] = {}
        self._access_keys: list[Any] = []
        self._unlisted: set[str] = set()

    def build(self) -> None:
        """Build all; changes nothing of the backend yet."""
        for steps in (_WHOLES, _PARTS):
            for name, record in self._resources.items():
                kind = name.partition("/")[0]
                if kind in steps:
                    steps[kind](self, name, record)

    def put_in_place(self) -> None:
        """Make what was built the backend's state."""
        aws = {policy.arn: policy for policy in aws_policies(self._backend)}
        aws.update({policy.arn: policy for policy in self._of("aws-policy").values()})
        local = {policy.arn: policy for name, policy in self._of("policy").items() if name not in self._unlisted}
        keys = sorted(self._access_keys, key=lambda key: key.create_date.replace(tzinfo=None))
        aliases = self._resources.get("account/aliases")
        vars(self._backend).update(
            aws_managed_policies=list(aws.values()),
            managed_policies=aws | local,
            users={user.name: user for user in self._of("user").values()},
            groups={group.name: group for group in self._of("group").values()},
            roles={role.id: role for role in self._of("role").values()},
            instance_profiles={profile.name: profile for profile in self._of("instance-profile").values()},
            inline_policies={policy.name: policy for policy in self._of("cloudformation-policy").values()},
            saml_providers={provider.name: provider for provider in self._of("saml-provider").values()},
            open_id_providers={provider.arn: provider for provider in self._of("oidc-provider").values()},
            virtual_mfa_devices={one.serial_number: one for one in self._of("virtual-mfa-device").values()},
            certificates=dict(self._of("server-certificate").values()),
            access_keys={key.access_key_id: key for key in keys},
            account_aliases=list(aliases.aliases) if isinstance(aliases, records.AccountAliases) else [],
            account_password_policy=self._built.get("account/password-policy"),
            credential_report=True if "account/credential-report" in self._resources else None,
        )
        self._backend.tagger.tags = {
            user_arn(self._backend, tail): tags for tail, tags in self._of("user-tags").values()
        }

    def _of(self, kind: str) -> dict[str, Any]:
        return {name: one for name, one in self._built.items() if name.startswith(f"{kind}/")}

    def _user(self, name: str, record: Any) -> None:
        self._built[name] = shapes.USER.build(
            record,
            account_id=self._backend.account_id,
            mfa_devices={},
            access_keys=[],
            ssh_public_keys=[],
            password=None,
            signing_certificates={},
            policies={},
            managed_policies={},
        )

    def _user_tags(self, name: str, record: Any) -> None:
        self._built[name] = record.user, dict(record.tags)

    def _group(self, name: str, record: Any) -> None:
        self._built[name] = shapes.GROUP.build(record, users=[], policies={}, managed_policies={}, **self._place)

    def _role(self, name: str, record: Any) -> None:
        self._built[name] = shapes.ROLE.build(record, policies={}, managed_policies={}, **self._place)

    def _policy(self, name: str, record: Any) -> None:
        shape = shapes.AWS_POLICY if name.startswith("aws-") else shapes.POLICY
        self._built[name] = shape.build(record, attachment_count=record.miscounted, versions=[], **self._place)
        if not record.listed:
            self._unlisted.add(name)

    def _version(self, name: str, record: records.PolicyVersion) -> None:
        policy = self._built[record.policy]
        version = shapes.VERSION.build(record, policy_arn=policy_arn(self._backend, record.policy))
        version.is_default = record.is_default and record.version_id == policy.default_version_id
        policy.versions.append(version)
        number = record.version_id.lstrip("v")
        if number.isdecimal():  # a merge may have brought a later one
            policy.next_version_num = max(policy.next_version_num, int(number) + 1)

    def _profile(self, name: str, record: records.InstanceProfile) -> None:
        roles = [self._built[f"role/{role}"] for role in record.roles]
        self._built[name] = shapes.PROFILE.build(record, roles=roles, **self._place)

    def _cloudformation_policy(self, name: str, record: Any) -> None:
        self._built[name] = shapes.CLOUDFORMATION_POLICY.build(record)

    def _saml_provider(self, name: str, record: Any) -> None:
        self._built[name] = shapes.SAML.build(record, **self._region)

    def _oidc_provider(self, name: str, record: Any) -> None:
        self._built[name] = shapes.OIDC.build(record, _errors=[], **self._region)

    def _virtual_mfa_device(self, name: str, record: credentials.VirtualMfaDevice) -> None:
        user = None if record.user is None else self._built[record.user]
        self._built[name] = shapes.VIRTUAL_MFA.build(record, user=user)

    def _server_certificate(self, name: str, record: credentials.ServerCertificate) -> None:
        self._built[name] = record.id, shapes.CERTIFICATE.build(record, **self._place)

    def _account(self, name: str, record: Any) -> None:
        if isinstance(record, records.PasswordPolicy):
            self._built[name] = shapes.PASSWORD_POLICY.build(record, _errors=[])

    def _member(self, name: str, record: records.Membership) -> None:
        self._holder(name, "group").users.append(self._built[record.user])

    def _inline(self, name: str, record: records.InlinePolicy) -> None:
        self._holder(name).policies[record.name] = LOSSLESS.back(record.document)

    def _attachment(self, name: str, record: records.Attachment) -> None:
        self._built[record.policy].attach_to(self._holder(name))

    def _login_profile(self, name: str, record: credentials.LoginProfile) -> None:
        self._holder(name, "user").password = record.password

    def _access_key(self, name: str, record: credentials.AccessKey) -> None:
        key = shapes.ACCESS_KEY.build(record)
        self._holder(name, "user").access_keys.append(key)
        if record.listed:
            self._access_keys.append(key)

    def _other_access_key(self, name: str, record: credentials.AccessKey) -> None:
        self._access_keys.append(shapes.ACCESS_KEY.build(record))

    def _mfa_device(self, name: str, record: credentials.MfaDevice) -> None:
        self._holder(name, "user").mfa_devices[record.serial_number] = shapes.MFA.build(record)

    def _ssh_key(self, name: str, record: credentials.SshPublicKey) -> None:
        self._holder(name, "user").ssh_public_keys.append(shapes.SSH_KEY.build(record))

    def _signing_certificate(self, name: str, record: credentials.SigningCertificate) -> None:
        self._holder(name, "user").signing_certificates[record.id] = shapes.SIGNING.build(record)

    def _holder(self, name: str, kind: str | None = None) -> Any:
        """The user, group or role that has a resource; ``kind``: where the name does not begin with it."""
        return self._built[f"{kind or name.partition('-')[0]}/{holder_of(name)}"]


_Step = Callable[[Builder, str, Any], None]
_WHOLES: dict[str, _Step] = {
    "user": Builder._user,
    "former-user": Builder._user,
    "user-tags": Builder._user_tags,
    "group": Builder._group,
    "role": Builder._role,
    "policy": Builder._policy,
    "aws-policy": Builder._policy,
    "cloudformation-policy": Builder._cloudformation_policy,
    "saml-provider": Builder._saml_provider,
    "oidc-provider": Builder._oidc_provider,
    "server-certificate": Builder._server_certificate,
    "account": Builder._account,
}
_PARTS: dict[str, _Step] = {
    "policy-version": Builder._version,
    "instance-profile": Builder._profile,
    "virtual-mfa-device": Builder._virtual_mfa_device,
    "group-member": Builder._member,
    "login-profile": Builder._login_profile,
    "access-key": Builder._access_key,
    "other-access-key": Builder._other_access_key,
    "mfa-device": Builder._mfa_device,
    "ssh-public-key": Builder._ssh_key,
    "signing-certificate": Builder._signing_certificate,
    **dict.fromkeys((f"{kind}-policy" for kind in HOLDERS), Builder._inline),
    **dict.fromkeys((f"{kind}-attachment" for kind in HOLDERS), Builder._attachment),
}
