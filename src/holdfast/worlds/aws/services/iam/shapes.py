"""The emulator's classes of IAM, and the records that hold their objects' state."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from moto.iam import models
from moto.utilities.tagging_service import TaggingService

from holdfast.worlds.aws.services.iam import credentials, records
from holdfast.worlds.aws.shapes import LOSSLESS, PLAIN, SAME, Coverage, Shape, Way, backend_coverage

_PLACE = ("account_id", "partition")
_REGION = ("account_id", "region_name")
_POLICIES = ("policies", "managed_policies")
_STACK = dict.fromkeys(("cf_resource_type", "logical_resource_id"), "what CloudFormation notes on what it made")
_CREATED = {"create_date": SAME}
_TAGS = Way(
    lambda found: [(key, PLAIN.into(tag)) for key, tag in found.items()],
    lambda record: {key: PLAIN.back(tag) for key, tag in record},
)
LAST_USE = Shape(
    models.AccessKeyLastUsed, credentials.LastUse, names={"timestamp": "_timestamp"}, ways={"timestamp": SAME}
)


def _last_use(found: Any) -> Any:
    """Users of the emulator may have put a time there themselves."""
    return LAST_USE.capture(found) if isinstance(found, models.AccessKeyLastUsed) else found


def _last_used(record: credentials.LastUse | datetime | None) -> Any:
    return LAST_USE.build(record) if isinstance(record, credentials.LastUse) else record


USER = Shape(
    models.User,
    records.User,
    ways={**_CREATED, "password_last_used": SAME},
    rebuilt=(
        "account_id",
        "mfa_devices",
        "access_keys",
        "ssh_public_keys",
        "password",
        "signing_certificates",
        *_POLICIES,
    ),
    left=_STACK,
)
GROUP = Shape(models.Group, records.Group, ways=_CREATED, rebuilt=("users", *_POLICIES, *_PLACE))
ROLE = Shape(
    models.Role,
    records.Role,
    names={"linked_service": "_linked_service"},
    ways={**_CREATED, "last_used": SAME, "assume_role_policy_document": LOSSLESS},
    rebuilt=(*_POLICIES, *_PLACE),
    left=_STACK,
)
_POLICY_OPTIONS: dict[str, Any] = {
    "ways": {**_CREATED, "update_date": SAME, "tags": _TAGS},
    "extra": ("miscounted", "listed"),
    "rebuilt": ("attachment_count", "versions", *_PLACE),
    "left": _STACK,
}
POLICY = Shape(models.ManagedPolicy, records.Policy, **_POLICY_OPTIONS)
AWS_POLICY = Shape(models.AWSManagedPolicy, records.Policy, **_POLICY_OPTIONS)
VERSION = Shape(models.PolicyVersion, records.PolicyVersion, ways=_CREATED, extra=("policy",), rebuilt=("policy_arn",))
PROFILE = Shape(
    models.InstanceProfile,
    records.InstanceProfile,
    ways=_CREATED,
    extra=("roles",),
    rebuilt=("roles", *_PLACE),
    left=_STACK,
)
CLOUDFORMATION_POLICY = Shape(
    models.InlinePolicy, records.CloudFormationPolicy, ways={"policy_document": LOSSLESS}, left=_STACK
)
SAML = Shape(models.SAMLProvider, records.SamlProvider, ways={**_CREATED, "valid_until": SAME}, rebuilt=_REGION)
OIDC = Shape(
    models.OpenIDConnectProvider, records.OidcProvider, ways={**_CREATED, "tags": _TAGS}, rebuilt=("_errors", *_REGION)
)
PASSWORD_POLICY = Shape(models.AccountPasswordPolicy, records.PasswordPolicy, rebuilt=("_errors",))
ACCESS_KEY = Shape(
    models.AccessKey,
    credentials.AccessKey,
    ways={**_CREATED, "last_used": Way(_last_use, _last_used)},
    extra=("listed",),
    left=_STACK,
)
MFA = Shape(models.MFADevice, credentials.MfaDevice, ways={"enable_date": SAME})
VIRTUAL_MFA = Shape(
    models.VirtualMfaDevice,
    credentials.VirtualMfaDevice,
    ways={"enable_date": SAME, "user_attribute": LOSSLESS},
    extra=("user",),
    rebuilt=("user",),
)
SSH_KEY = Shape(models.SshPublicKey, credentials.SshPublicKey, ways={"upload_date": SAME})
SIGNING = Shape(models.SigningCertificate, credentials.SigningCertificate, ways={"upload_date": SAME})
CERTIFICATE = Shape(
    models.Certificate,
    credentials.ServerCertificate,
    names={"name": "cert_name", "body": "cert_body", "chain": "cert_chain"},
    extra=("id",),
    rebuilt=_PLACE,
)
_TAGGER = Coverage(TaggingService, held=frozenset({"tags"}), rebuilt=frozenset({"tag_name", "key_name", "value_name"}))
_SUMMARY = Coverage(
    models.AccountSummary,
    rebuilt=frozenset(
        {
            "_iam_backend",
            "_account_access_keys_present",
            "_account_mfa_enabled",
            "_account_signing_certificates_present",
            "_global_endpoint_token_version",
            *(
                f"_{quota}_quota"
                for quota in (
                    "access_keys_per_user",
                    "assume_role_policy_size",
                    "attached_policies_per_group",
                    "attached_policies_per_role",
                    "attached_policies_per_user",
                    "group_policy_size",
                    "groups",
                    "groups_per_user",
                    "instance_profiles",
                    "policies",
                    "policy_size",
                    "policy_versions_in_use",
                    "role_policy_size",
                    "roles",
                    "server_certificates",
                    "signing_certificates_per_user",
                    "user_policy_size",
                    "users",
                    "versions_per_policy",
                )
            ),
        }
    ),
)
_BACKEND = backend_coverage(
    models.IAMBackend,
    held=(
        "users",
        "groups",
        "roles",
        "managed_policies",
        "aws_managed_policies",
        "instance_profiles",
        "certificates",
        "saml_providers",
        "open_id_providers",
        "virtual_mfa_devices",
        "inline_policies",
        "access_keys",
        "account_aliases",
        "account_password_policy",
        "credential_report",
        "tagger",
    ),
    rebuilt=("policy_arn_regex", "account_summary"),
)
COVERAGE: tuple[Coverage, ...] = (
    *(
        shape.coverage
        for shape in (
            *(USER, GROUP, ROLE, POLICY, AWS_POLICY, VERSION, PROFILE, CLOUDFORMATION_POLICY, SAML, OIDC),
            *(PASSWORD_POLICY, ACCESS_KEY, LAST_USE, MFA, VIRTUAL_MFA, SSH_KEY, SIGNING, CERTIFICATE),
        )
    ),
    _TAGGER,
    _SUMMARY,
    _BACKEND,
)
