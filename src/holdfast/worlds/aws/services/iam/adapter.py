"""IAM: the emulator's identities, policies and credentials into records, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from moto.iam import models

from holdfast.worlds.aws.adapter import Adapter, Fault, Group, Part
from holdfast.worlds.aws.resource import Resource
from holdfast.worlds.aws.services.iam import naming, reading
from holdfast.worlds.aws.services.iam import records as r
from holdfast.worlds.aws.services.iam.building import Builder
from holdfast.worlds.aws.services.iam.checking import faults
from holdfast.worlds.aws.services.iam.credentials import (
    AccessKey,
    LoginProfile,
    MfaDevice,
    ServerCertificate,
    SigningCertificate,
    SshPublicKey,
    VirtualMfaDevice,
)
from holdfast.worlds.aws.services.iam.shapes import COVERAGE
from holdfast.worlds.aws.services.iam.touches import TOUCHES
from holdfast.worlds.model import StateView

IamRecord = (
    r.User
    | r.UserTags
    | r.Group
    | r.Membership
    | r.Role
    | r.InlinePolicy
    | r.Attachment
    | r.Policy
    | r.PolicyVersion
    | r.InstanceProfile
    | r.CloudFormationPolicy
    | r.SamlProvider
    | r.OidcProvider
    | r.AccountAliases
    | r.PasswordPolicy
    | r.CredentialReport
    | AccessKey
    | LoginProfile
    | MfaDevice
    | VirtualMfaDevice
    | SshPublicKey
    | SigningCertificate
    | ServerCertificate
)


class IamAdapter(Adapter[Any]):
    """The identities of an account, in the region ``global``: each user, group and role with what it has is a group,
    each managed policy with its versions is one."""

    service_name = "iam"
    is_global = True
    view_type = StateView[IamRecord]
    coverage = COVERAGE
    touches: ClassVar = TOUCHES
    extra_not_captured = (
        "partitions other than aws",
        "policies of AWS that nobody attached or changed, with the ids that the emulator gives them at random",
        "that a policy of AWS was deleted",
        "what a user had who was deleted and is still in a group",
        "sessions of STS, but for their access keys",
        "permissions boundaries of users, service-specific credentials and deletion tasks, which the emulator does "
        "not have",
    )

    @property
    def backends(self) -> Any:
        return models.iam_backends

    def place(self, region: str) -> str:
        return "aws" if region == "global" else region

    def groups(self, backend: Any, region: str | None = None) -> Iterable[Group]:
        return list(reading.groups(backend)) if backend.region_name == "aws" else []

    def read(self, backend: Any, group: Group) -> Part[Any] | None:
        found: dict[str, Resource] = reading.read(backend, group) if backend.region_name == "aws" else {}
        return Part("global", found) if found else None

    def group_of(self, name: str) -> Group:
        return naming.group_of(name)

    def install(self, backend: Any, region: str, resources: Mapping[str, Any]) -> None:
        builder = Builder(backend, resources)
        builder.build()
        builder.put_in_place()

    def check(self, resources: Mapping[str, Any]) -> Iterator[Fault]:
        return faults(resources)
