"""IAM in views: identities, what they may do, and their credentials (WO-1, WO-3, WO-8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import boto3
import msgspec
import pytest
from moto import mock_aws
from moto.iam.models import mark_account_as_visited

from holdfast.worlds.aws.services.iam import IamAdapter
from holdfast.worlds.merging import merge_resources
from tests.aws_iam_kit import DOCUMENT, OTHER_DOCUMENT, TRUST, reads, use_everything
from tests.aws_kit import ACCOUNT, MemoryBodies, round_trip, take, unknown_attributes

AWS_POLICY = "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess"


@pytest.fixture
def iam(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        yield boto3.client("iam", region_name="us-east-1")


@pytest.fixture
def adapter() -> IamAdapter:
    return IamAdapter(MemoryBodies())


def backend_of(adapter: IamAdapter) -> Any:
    return adapter.backends[ACCOUNT]["aws"]


def around(adapter: IamAdapter) -> dict[str, Any]:
    return round_trip(adapter, region="global")


def taken(adapter: IamAdapter) -> dict[str, Any]:
    return take(adapter, region="global")


def beginning(kind: str, names: Any) -> list[str]:
    return [name for name in names if name.startswith(f"{kind}/")]


def test_nothing_of_the_emulator_is_forgotten(adapter: IamAdapter) -> None:
    assert unknown_attributes(adapter) == {}


def test_an_account_comes_back(iam: Any, adapter: IamAdapter) -> None:
    use_everything(iam)
    before = reads(iam)
    records = around(adapter)
    assert reads(iam) == before
    assert {
        "user/ann",
        "user-policy/ann/own/policy",
        "user-attachment/ann/policy/team/a/dev",
        "group-member/devs/user/cy",
        "policy-version/v2/policy/team/a/dev",
        "role/AWSServiceRoleForAutoScaling_x",
        "oidc-provider/example.com/a",
        "account/password-policy",
    } <= records.keys()
    assert len(beginning("access-key", records)) == 3
    around(adapter)


def test_what_was_referred_to_is_the_same_object_again(iam: Any, adapter: IamAdapter) -> None:
    use_everything(iam)
    around(adapter)
    backend = backend_of(adapter)
    (arn,) = (arn for arn in backend.managed_policies if arn.endswith("/dev"))
    role = next(role for role in backend.roles.values() if role.name == "app")
    holders = (backend.users["ann"], backend.groups["devs"], role)
    assert all(one.managed_policies[arn] is backend.managed_policies[arn] for one in holders)
    assert backend.instance_profiles["hosts"].roles[0] is role
    assert backend.groups["devs"].users[1] is backend.users["ann"]
    assert all(backend.access_keys[key.access_key_id] is key for key in backend.users["ann"].access_keys)
    assert backend.account_summary._iam_backend is backend
    iam.detach_role_policy(RoleName="app", PolicyArn=arn)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 2


def test_keys_of_sessions_and_last_uses_come_back(iam: Any, adapter: IamAdapter) -> None:
    role = iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    sts = boto3.client("sts", region_name="us-east-1")
    session = sts.assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]["AccessKeyId"]
    iam.create_user(UserName="ann")
    keys = [iam.create_access_key(UserName="ann")["AccessKey"]["AccessKeyId"] for _ in range(2)]
    for key in (session, keys[0]):
        mark_account_as_visited(ACCOUNT, key, "s3", "us-east-1")
    backend_of(adapter).access_keys[keys[1]].last_used = datetime(2020, 1, 2)
    backend_of(adapter).users["ann"].password_last_used = datetime(2020, 1, 2)
    used = iam.get_access_key_last_used(AccessKeyId=keys[0])["AccessKeyLastUsed"]
    records = around(adapter)
    assert used["ServiceName"] == "s3"
    assert iam.get_access_key_last_used(AccessKeyId=keys[0])["AccessKeyLastUsed"] == used
    assert records[f"other-access-key/{session}"].role_arn == role
    assert records["role/app"].last_used is not None


def test_what_only_the_emulator_allows_comes_back(iam: Any, adapter: IamAdapter) -> None:
    """Deletions of what is still referred to, double attachments, and what a rename leaves behind."""
    policy = iam.create_policy(PolicyName="gone", PolicyDocument=DOCUMENT)["Policy"]["Arn"]
    for name in ("ann", "bob", "cy", "eve"):
        iam.create_user(UserName=name, Tags=[{"Key": "k", "Value": name}])
    for name in ("cy", "eve"):
        iam.create_access_key(UserName=name)
    iam.create_group(GroupName="devs")
    iam.add_user_to_group(GroupName="devs", UserName="ann")
    iam.add_user_to_group(GroupName="devs", UserName="bob")
    iam.attach_user_policy(UserName="bob", PolicyArn=policy)
    iam.attach_user_policy(UserName="bob", PolicyArn=policy)
    iam.delete_policy(PolicyArn=policy)
    iam.delete_user(UserName="ann")
    iam.delete_user(UserName="eve")
    iam.create_user(UserName="ann")
    iam.update_user(UserName="cy", NewUserName="dee", NewPath="/d/")
    iam.delete_access_key(
        UserName="dee", AccessKeyId=iam.list_access_keys(UserName="dee")["AccessKeyMetadata"][0]["AccessKeyId"]
    )
    for _ in range(2):
        iam.upload_server_certificate(ServerCertificateName="a/b", CertificateBody="b", PrivateKey="k")
    before = taken(adapter)
    group = iam.get_group(GroupName="devs")["Users"]

    assert around(adapter) == before

    assert iam.get_group(GroupName="devs")["Users"] == group
    assert before["policy/gone"].listed is False
    assert before["policy/gone"].miscounted == 1
    assert "user-tags/cy" in before
    assert len(beginning("former-user", before)) == 1
    assert len(beginning("server-certificate", before)) == 2
    (left,) = beginning("other-access-key", before)
    assert before[left].user_name == "eve"
    assert not before[beginning("access-key/dee", before)[0]].listed


def test_cloudformations_policies_come_back(iam: Any, adapter: IamAdapter) -> None:
    iam.create_user(UserName="ann")
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]}
    inline = {"PolicyName": "p", "PolicyDocument": document}
    template = {
        "Resources": {
            "Inline": {"Type": "AWS::IAM::Policy", "Properties": {**inline, "Users": ["ann"]}},
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {"AssumeRolePolicyDocument": trust, "RoleName": "app", "Policies": [inline]},
            },
        }
    }
    cloudformation = boto3.client("cloudformation", region_name="us-east-1")
    cloudformation.create_stack(StackName="s", TemplateBody=msgspec.json.encode(template).decode())
    records = around(adapter)
    assert len(beginning("cloudformation-policy", records)) == 1
    assert records["role-policy/app/p"].document == document
    cloudformation.delete_stack(StackName="s")
    assert iam.list_roles()["Roles"] == []
    assert iam.list_user_policies(UserName="ann")["PolicyNames"] == []


def test_of_awss_policies_only_what_was_changed_is_held(
    iam: Any, adapter: IamAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    adapter.backends[ACCOUNT]["aws"].reset()
    assert taken(adapter) == {}
    iam.create_group(GroupName="devs")
    iam.attach_group_policy(GroupName="devs", PolicyArn=AWS_POLICY)
    before = iam.get_policy(PolicyArn=AWS_POLICY)["Policy"]
    listed = [policy["Arn"] for policy in iam.list_policies(Scope="AWS", MaxItems=1000)["Policies"]]
    old = adapter.backends[ACCOUNT]["aws"]
    records = taken(adapter)
    assert beginning("aws-policy", records) == ["aws-policy/job-function/ViewOnlyAccess"]

    dict.__setitem__(adapter.backends[ACCOUNT], "aws", type(old)("aws", ACCOUNT))
    adapter.install(backend_of(adapter), "global", records)

    assert taken(adapter) == records
    assert iam.get_policy(PolicyArn=AWS_POLICY)["Policy"] == before
    assert [policy["Arn"] for policy in iam.list_policies(Scope="AWS", MaxItems=1000)["Policies"]] == listed
    backend = backend_of(adapter)
    assert backend.groups["devs"].managed_policies[AWS_POLICY] is backend.managed_policies[AWS_POLICY]

    adapter.install(backend, "global", {})
    assert taken(adapter) == {}
    assert iam.get_policy(PolicyArn=AWS_POLICY)["Policy"] == {**before, "AttachmentCount": 0}

    monkeypatch.delenv("MOTO_IAM_LOAD_MANAGED_POLICIES")
    adapter.install(backend, "global", records)
    assert taken(adapter) == records
    assert list(backend.managed_policies) == [AWS_POLICY]


def test_a_merge_loses_nothing(iam: Any, adapter: IamAdapter) -> None:
    def populate(document: str, own: str) -> dict[str, Any]:
        backend_of(adapter).reset()
        policy = iam.create_policy(PolicyName="p", PolicyDocument=document)["Policy"]["Arn"]
        iam.create_policy_version(PolicyArn=policy, PolicyDocument=document, SetAsDefault=own == "b")
        if own == "b":
            iam.create_policy_version(PolicyArn=policy, PolicyDocument=document, SetAsDefault=True)
        iam.create_user(UserName="ann")
        iam.create_group(GroupName=own)
        iam.add_user_to_group(GroupName=own, UserName="ann")
        iam.put_user_policy(UserName="ann", PolicyName=own, PolicyDocument=document)
        iam.create_access_key(UserName="ann")
        iam.attach_group_policy(GroupName=own, PolicyArn=policy)
        return taken(adapter)

    theirs, mine = populate(OTHER_DOCUMENT, "b"), populate(DOCUMENT, "a")
    report = merge_resources(
        mine, theirs, "keep", lambda there, name, _: name if name in there else None, dry_run=False
    )
    merged = dict(mine)
    merged.update({name: theirs[name] for name in report.added})
    assert list(adapter.check(merged)) == []

    adapter.install(backend_of(adapter), "global", merged)

    assert {group["GroupName"] for group in iam.list_groups_for_user(UserName="ann")["Groups"]} == {"a", "b"}
    assert iam.list_user_policies(UserName="ann")["PolicyNames"] == ["a", "b"]
    assert len(iam.list_access_keys(UserName="ann")["AccessKeyMetadata"]) == 2
    (policy,) = iam.list_policies(Scope="Local")["Policies"]
    assert (policy["AttachmentCount"], policy["DefaultVersionId"]) == (2, "v1")
    versions = iam.list_policy_versions(PolicyArn=policy["Arn"])["Versions"]
    assert [version["VersionId"] for version in versions if version["IsDefaultVersion"]] == ["v1"]
    created = iam.create_policy_version(PolicyArn=policy["Arn"], PolicyDocument=DOCUMENT)["PolicyVersion"]
    assert created["VersionId"] == "v4"


def test_the_state_is_in_one_region_and_no_other_partition(iam: Any, adapter: IamAdapter) -> None:
    boto3.client("iam", region_name="cn-north-1").create_user(UserName="cn")
    iam.create_user(UserName="ann")
    chinese = adapter.backends[ACCOUNT]["aws-cn"]
    assert "cn" in chinese.users
    assert (list(adapter.groups(chinese)), adapter.read(chinese, ("user", "cn"))) == ([], None)
    assert list(taken(adapter)) == ["user/ann", "user-tags/ann"]
    assert "partitions other than aws" in adapter.not_captured


@pytest.fixture(scope="module")
def everything() -> dict[str, Any]:
    """The records of an account in which everything was used."""
    with pytest.MonkeyPatch.context() as monkeypatch, mock_aws():
        monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
        use_everything(boto3.client("iam", region_name="us-east-1"))
        return taken(IamAdapter(MemoryBodies()))


def edited(name: str, **fields: Any) -> Callable[[dict[str, Any]], None]:
    def edit(found: dict[str, Any]) -> None:
        found[name] = msgspec.structs.replace(found[name], **fields)

    return edit


def moved(name: str, to: str) -> Callable[[dict[str, Any]], None]:
    def move(found: dict[str, Any]) -> None:
        found[to] = found[name]

    return move


def without(name: str) -> Callable[[dict[str, Any]], None]:
    def remove(found: dict[str, Any]) -> None:
        del found[name]

    return remove


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        (moved("user/ann", "user/zed"), {"type"}),
        (moved("user/ann", "role/ann"), {"type"}),
        (moved("user/ann", "users"), {"type"}),
        (moved("user-policy/ann/own/policy", "user-policy"), {"type"}),
        (moved("account/aliases", "account/password-policy"), {"type"}),
        (moved("server-certificate/web", "server-certificate/web/x"), {"type", "id"}),
        (moved("policy/alone", "aws-policy/other"), {"type"}),
        (moved("role/app", "role/two"), {"type", "id"}),
        (without("user/cy"), {"user"}),
        (without("role/app"), {"type", "roles"}),
        (without("policy-version/v2/policy/team/a/dev"), {"default_version_id"}),
        (without("policy/team/a/dev"), {"policy"}),
        (edited("group-member/devs/user/cy", user="role/app"), {"type"}),
        (edited("virtual-mfa-device/arn:aws:iam::111111111111:mfa/phone", user="role/app"), {"user"}),
        (edited("instance-profile/hosts", roles=["none"]), {"roles"}),
    ],
    ids=[
        *("misnamed", "wrong type", "no kind", "no holder", "wrong setting", "wrong id", "wrong policy", "twins"),
        *("no member", "no role", "no version", "no policy", "other member", "other user", "other role"),
    ],
)
def test_bad_views_are_refused(
    everything: dict[str, Any], adapter: IamAdapter, change: Callable[[dict[str, Any]], None], fields: set[str]
) -> None:
    found = dict(everything)
    change(found)
    assert {fault.field for fault in adapter.check(found)} == fields
