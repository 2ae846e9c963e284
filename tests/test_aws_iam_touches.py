"""What changes in IAM is known to have been touched (WO-5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from holdfast.worlds.aws.services.iam import IamAdapter
from tests.aws_iam_kit import DOCUMENT, FINGERPRINT, TAGS, TRUST, certificate, reads, use_everything
from tests.aws_kit import ACCOUNT, MemoryBodies
from tests.aws_touches import watched

LOCAL = f"arn:aws:iam::{ACCOUNT}"


@pytest.fixture
def iam(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        yield boto3.client("iam", region_name="us-east-1")


@pytest.fixture
def adapter() -> IamAdapter:
    return IamAdapter(MemoryBodies())


def test_reads_change_nothing(iam: Any, adapter: IamAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    use_everything(iam)
    with watched(adapter, monkeypatch, region="global") as check:
        reads(iam)
        assert check() == set()


def test_users_and_groups(iam: Any, adapter: IamAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(adapter, monkeypatch, region="global") as check:

        def changed(operation: str, **arguments: Any) -> Any:
            answer = getattr(iam, operation)(**arguments)
            groups = check()
            assert groups, operation
            return answer

        ann = {"UserName": "ann"}
        policy = changed("create_policy", PolicyName="p", PolicyDocument=DOCUMENT)["Policy"]["Arn"]
        changed("create_user", **ann, Path="/a/", Tags=TAGS)
        changed("tag_user", **ann, Tags=[{"Key": "x", "Value": "y"}])
        changed("untag_user", **ann, TagKeys=["x"])
        changed("put_user_policy", **ann, PolicyName="i", PolicyDocument=DOCUMENT)
        changed("delete_user_policy", **ann, PolicyName="i")
        changed("attach_user_policy", **ann, PolicyArn=policy)
        changed("detach_user_policy", **ann, PolicyArn=policy)
        changed("create_login_profile", **ann, Password="a")
        changed("update_login_profile", **ann, Password="b")
        changed("delete_login_profile", **ann)
        key = {**ann, "AccessKeyId": changed("create_access_key", **ann)["AccessKey"]["AccessKeyId"]}
        changed("update_access_key", **key, Status="Inactive")
        changed("delete_access_key", **key)
        ssh = changed("upload_ssh_public_key", **ann, SSHPublicKeyBody="ssh-rsa AAAA")["SSHPublicKey"]
        changed("update_ssh_public_key", **ann, SSHPublicKeyId=ssh["SSHPublicKeyId"], Status="Inactive")
        changed("delete_ssh_public_key", **ann, SSHPublicKeyId=ssh["SSHPublicKeyId"])
        signing = changed("upload_signing_certificate", **ann, CertificateBody=certificate())["Certificate"]
        changed("update_signing_certificate", **ann, CertificateId=signing["CertificateId"], Status="Inactive")
        changed("delete_signing_certificate", **ann, CertificateId=signing["CertificateId"])
        serial = changed("create_virtual_mfa_device", VirtualMFADeviceName="m")["VirtualMFADevice"]["SerialNumber"]
        codes = {"AuthenticationCode1": "123456", "AuthenticationCode2": "654321"}
        changed("enable_mfa_device", **ann, SerialNumber=serial, **codes)
        changed("deactivate_mfa_device", **ann, SerialNumber=serial)
        changed("enable_mfa_device", **ann, SerialNumber=serial, **codes)
        changed("create_group", GroupName="g")
        changed("put_group_policy", GroupName="g", PolicyName="i", PolicyDocument=DOCUMENT)
        changed("delete_group_policy", GroupName="g", PolicyName="i")
        changed("attach_group_policy", GroupName="g", PolicyArn=policy)
        changed("update_group", GroupName="g", NewGroupName="h", NewPath="/h/")
        changed("detach_group_policy", GroupName="h", PolicyArn=policy)
        changed("add_user_to_group", GroupName="h", **ann)
        changed("remove_user_from_group", GroupName="h", **ann)
        changed("add_user_to_group", GroupName="h", **ann)
        changed("create_access_key", **ann)
        changed("update_user", **ann, NewUserName="bea", NewPath="/b/")
        changed("create_user", UserName="zoe")
        changed("add_user_to_group", GroupName="h", UserName="zoe")
        changed("update_user", UserName="bea", NewUserName="zoe")
        changed("delete_user", UserName="zoe")
        changed("delete_virtual_mfa_device", SerialNumber=serial)
        changed("delete_group", GroupName="h")


def test_roles_policies_and_the_account(iam: Any, adapter: IamAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(adapter, monkeypatch, region="global") as check:

        def changed(operation: str, **arguments: Any) -> Any:
            answer = getattr(iam, operation)(**arguments)
            groups = check()
            assert groups, operation
            return answer

        app, hosts = {"RoleName": "app"}, {"InstanceProfileName": "hosts"}
        policy = {"PolicyArn": f"{LOCAL}:policy/x/p"}
        changed("create_policy", PolicyName="p", Path="/x/", PolicyDocument=DOCUMENT)
        changed("create_policy_version", **policy, PolicyDocument=DOCUMENT)
        changed("set_default_policy_version", **policy, VersionId="v2")
        changed("delete_policy_version", **policy, VersionId="v1")
        changed("tag_policy", **policy, Tags=TAGS)
        changed("untag_policy", **policy, TagKeys=["Zone"])
        changed("create_role", **app, AssumeRolePolicyDocument=TRUST)
        changed("attach_role_policy", **app, **policy)
        changed("detach_role_policy", **app, **policy)
        changed("delete_policy", **policy)
        changed("put_role_policy", **app, PolicyName="i", PolicyDocument=DOCUMENT)
        changed("delete_role_policy", **app, PolicyName="i")
        changed("tag_role", **app, Tags=TAGS)
        changed("untag_role", **app, TagKeys=["Zone"])
        changed("update_role", **app, Description="e", MaxSessionDuration=7200)
        changed("update_role_description", **app, Description="f")
        changed("update_assume_role_policy", **app, PolicyDocument=TRUST.replace("ec2", "ecs"))
        changed("put_role_permissions_boundary", **app, PermissionsBoundary=policy["PolicyArn"])
        changed("delete_role_permissions_boundary", **app)
        changed("create_instance_profile", **hosts)
        changed("add_role_to_instance_profile", **hosts, **app)
        changed("tag_instance_profile", **hosts, Tags=TAGS)
        changed("untag_instance_profile", **hosts, TagKeys=["Zone"])
        changed("remove_role_from_instance_profile", **hosts, **app)
        changed("delete_instance_profile", **hosts)
        changed("delete_role", **app)
        role = changed("create_service_linked_role", AWSServiceName="autoscaling.amazonaws.com")["Role"]["RoleName"]
        changed("delete_service_linked_role", RoleName=role)
        boto3.client("sts", region_name="us-east-1").assume_role(RoleArn=f"{LOCAL}:role/app", RoleSessionName="session")
        assert check() == {("other-access-keys",)}
        changed("upload_server_certificate", ServerCertificateName="w", CertificateBody="b", PrivateKey="k")
        changed("delete_server_certificate", ServerCertificateName="w")
        saml = {"SAMLProviderArn": f"{LOCAL}:saml-provider/idp"}
        changed("create_saml_provider", Name="idp", SAMLMetadataDocument="a" * 1024)
        changed("update_saml_provider", **saml, SAMLMetadataDocument="b" * 1024)
        changed("delete_saml_provider", **saml)
        oidc = {"OpenIDConnectProviderArn": f"{LOCAL}:oidc-provider/example.com/a"}
        changed("create_open_id_connect_provider", Url="https://example.com/a", ThumbprintList=[FINGERPRINT])
        changed("update_open_id_connect_provider_thumbprint", **oidc, ThumbprintList=["b" * 40])
        changed("tag_open_id_connect_provider", **oidc, Tags=TAGS)
        changed("untag_open_id_connect_provider", **oidc, TagKeys=["Zone"])
        changed("delete_open_id_connect_provider", **oidc)
        changed("create_account_alias", AccountAlias="acme")
        changed("delete_account_alias", AccountAlias="acme")
        changed("update_account_password_policy", MinimumPasswordLength=12)
        changed("delete_account_password_policy")
        changed("generate_credential_report")


def test_touches_bear_bad_input(iam: Any, adapter: IamAdapter) -> None:
    backend = adapter.backends[ACCOUNT]["aws"]
    for touch in adapter.touches.values():
        for arguments in ((), (None,), (1, 2), ("",) * 3, ("a/b", "%", ":"), ("x",) * 30):
            assert all(adapter.read(backend, group) is None for group in touch(backend, *arguments))
