"""What is wrong with views of IAM. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from holdfast.worlds.aws.adapter import Fault
from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.aws.services.given import NOT_WRITTEN, TWINS, has_twins, is_lossless
from holdfast.worlds.aws.services.iam import credentials, records
from holdfast.worlds.aws.services.iam.naming import ACCOUNT_RECORDS, KINDS, held, holder_of, version_name

_USERS = ("user", "former-user")
_POLICIES = ("policy", "aws-policy")
_TAGGED = records.UserTags | records.Policy | records.OidcProvider
_FREE: Mapping[type[Resource], tuple[str, ...]] = {
    records.Role: ("assume_role_policy_document",),
    records.InlinePolicy: ("document",),
    records.CloudFormationPolicy: ("policy_document",),
    credentials.VirtualMfaDevice: ("user_attribute",),
}
"""Fields of values in any form."""


def faults(resources: Mapping[str, Resource]) -> Iterator[Fault]:
    """Names that are not those of their records, and references that lead nowhere."""
    for name, record in resources.items():
        fault = _misnamed(name, record)
        if fault is not None:
            yield Fault(name, "type", fault)
            continue
        for field, kinds, wanted in _references(name, record):
            if wanted not in resources or wanted.partition("/")[0] not in kinds:
                yield Fault(name, field, f"there is no {wanted!r}")
        for field in _FREE.get(type(record), ()):
            if not is_lossless(getattr(record, field)):
                yield Fault(name, field, NOT_WRITTEN)
        if isinstance(record, _TAGGED) and has_twins(record.tags):
            yield Fault(name, "tags", TWINS)
    yield from _twins(resources)


def _misnamed(name: str, record: Resource) -> str | None:
    prefix, _, rest = name.partition("/")
    if prefix == "account":
        return None if ACCOUNT_RECORDS.get(name) is type(record) else "the account has nothing of that name and type"
    kind = KINDS.get(prefix)
    if kind is None or type(record) is not kind.record:
        return "no such record has a name that begins so"
    own = kind.own(record)
    if isinstance(record, credentials.ServerCertificate):
        return None if rest in (own, f"{own}/{record.id}") else "it is that of another resource"
    if kind.holder is not None and name.partition("/")[2]:
        return None if name == held(prefix, holder_of(name), own) else "it is that of another resource"
    return None if rest == own and rest else "it is that of another resource"


def _references(name: str, record: Resource) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """The fields that name other resources: each with the kinds that it may name, and the name."""
    prefix = name.partition("/")[0]
    holder = KINDS[prefix].holder if prefix in KINDS else None
    if holder is not None:
        yield "type", (holder,), f"{holder}/{holder_of(name)}"
    if isinstance(record, records.Membership):
        yield "user", _USERS, record.user
    elif isinstance(record, records.Attachment | records.PolicyVersion):
        yield "policy", _POLICIES, record.policy
    elif isinstance(record, records.Policy):
        yield "default_version_id", ("policy-version",), version_name(name, record.default_version_id)
    elif isinstance(record, records.InstanceProfile):
        yield from (("roles", ("role",), f"role/{role}") for role in record.roles)
    elif isinstance(record, credentials.VirtualMfaDevice) and record.user is not None:
        yield "user", _USERS, record.user


def _twins(resources: Mapping[str, Resource]) -> Iterator[Fault]:
    """Resources that the emulator keeps by their ids, and that have the same."""
    seen: set[tuple[type, str]] = set()
    for name, record in resources.items():
        if isinstance(record, records.Role | credentials.ServerCertificate):
            key: tuple[type, str] = type(record), record.id
        elif isinstance(record, credentials.AccessKey) and record.listed:
            key = type(record), record.access_key_id
        else:
            continue
        if key in seen:
            yield Fault(name, "id", f"another has the id {key[1]!r}")
        seen.add(key)
