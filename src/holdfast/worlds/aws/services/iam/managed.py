"""Managed policies of the emulator: which of AWS's anybody changed, and those that were deleted while attached."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from itertools import chain
from typing import Any

from moto.iam import models
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.settings import load_iam_aws_managed_policies

from holdfast.worlds.aws.adapter import Group
from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.aws.services.iam.naming import policy_arn, policy_name, version_name
from holdfast.worlds.aws.services.iam.shapes import POLICY, VERSION


def policy_groups(backend: Any) -> Iterator[Group]:
    """All managed policies but AWS's that nobody changed."""
    for arn, policy in backend.managed_policies.items():
        if not _is_untouched(policy):
            yield "policy", policy_name(arn)
    deleted = (arn for one in _holders(backend) for arn in one.managed_policies if arn not in backend.managed_policies)
    yield from (("policy", policy_name(arn)) for arn in dict.fromkeys(deleted))


def read_policy(backend: Any, name: str) -> dict[str, Resource]:
    """A managed policy with its versions, by the name of its resource."""
    arn = policy_arn(backend, name)
    holders = [one for one in _holders(backend) if arn in one.managed_policies]
    listed = arn in backend.managed_policies
    if not listed and not holders:
        return {}
    policy = backend.managed_policies[arn] if listed else holders[0].managed_policies[arn]
    if _is_untouched(policy):
        return {}
    miscounted = policy.attachment_count - len(holders)
    found: dict[str, Resource] = {name: POLICY.capture(policy, miscounted=miscounted, listed=listed)}
    for version in policy.versions:
        found[version_name(name, version.version_id)] = VERSION.capture(version, policy=name)
    return found


def aws_policies(backend: Any) -> list[Any]:
    """AWS's policies as the emulator made them: those of the backend, where nobody changed them."""
    if not load_iam_aws_managed_policies():
        return []
    return [one if _is_untouched(one) else _as_made(one) for one in backend.aws_managed_policies if one.name in _file()]


def _holders(backend: Any) -> Iterator[Any]:
    return chain(backend.users.values(), backend.groups.values(), backend.roles.values())


def _is_untouched(policy: Any) -> bool:
    """Whether a policy is AWS's, and as the emulator made it."""
    if not isinstance(policy, models.AWSManagedPolicy) or policy.attachment_count or policy.tags:
        return False
    first = policy.versions[0]
    return (
        len(policy.versions) == 1
        and first.is_default
        and policy.next_version_num == int(first.version_id.lstrip("v")) + 1
    )


def _as_made(policy: Any) -> Any:
    made = models.AWSManagedPolicy.from_data(policy.name, policy.account_id, policy.partition, _file()[policy.name])
    made.id = policy.id
    return made


@cache
def _file() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(aws_managed_policies_data)
    return parsed
