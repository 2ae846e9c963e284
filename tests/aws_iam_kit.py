"""What tests of IAM in views share: an account in which everything was used, and all that IAM answers of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

DOCUMENT = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
OTHER_DOCUMENT = DOCUMENT.replace("s3", "sqs")
TRUST = (
    '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, '
    '"Action": "sts:AssumeRole"}}'
)
TAGS = [{"Key": "Zone", "Value": "1"}, {"Key": "area", "Value": "2"}]
FINGERPRINT = "a" * 40


def certificate() -> str:
    """A certificate in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def use_everything(iam: Any) -> None:
    """An account in which everything that views name was used."""
    policy = use_policies(iam)
    use_users(iam, policy)
    use_roles(iam, policy)
    use_the_account(iam)


def use_policies(iam: Any) -> str:
    policy = str(
        iam.create_policy(PolicyName="dev", Path="/team/a/", PolicyDocument=DOCUMENT, Description="d", Tags=TAGS)[
            "Policy"
        ]["Arn"]
    )
    iam.create_policy_version(PolicyArn=policy, PolicyDocument=OTHER_DOCUMENT, SetAsDefault=True)
    iam.create_policy_version(PolicyArn=policy, PolicyDocument=DOCUMENT)
    iam.delete_policy_version(PolicyArn=policy, VersionId="v1")
    iam.create_policy(PolicyName="alone", PolicyDocument=DOCUMENT)
    return policy


def use_users(iam: Any, policy: str) -> None:
    for name in ("ann", "bob", "cy"):
        iam.create_user(UserName=name, Path="/staff/", Tags=TAGS)
    iam.untag_user(UserName="bob", TagKeys=["Zone"])
    iam.put_user_policy(UserName="ann", PolicyName="own/policy", PolicyDocument=DOCUMENT)
    iam.attach_user_policy(UserName="ann", PolicyArn=policy)
    key = iam.create_access_key(UserName="ann")["AccessKey"]["AccessKeyId"]
    iam.update_access_key(UserName="ann", AccessKeyId=key, Status="Inactive")
    iam.create_access_key(UserName="ann")
    iam.create_access_key(UserName="bob")
    iam.create_login_profile(UserName="ann", Password="hunter2")
    iam.update_login_profile(UserName="ann", Password="hunter3", PasswordResetRequired=True)
    iam.upload_ssh_public_key(UserName="ann", SSHPublicKeyBody="ssh-rsa AAAA")
    iam.upload_signing_certificate(UserName="ann", CertificateBody=certificate())
    for name in ("phone", "tablet"):
        iam.create_virtual_mfa_device(VirtualMFADeviceName=name)
    serial = iam.list_virtual_mfa_devices()["VirtualMFADevices"][0]["SerialNumber"]
    iam.enable_mfa_device(
        UserName="ann", SerialNumber=serial, AuthenticationCode1="123456", AuthenticationCode2="654321"
    )
    iam.enable_mfa_device(
        UserName="ann", SerialNumber="GAHT12345678", AuthenticationCode1="123456", AuthenticationCode2="654321"
    )
    iam.create_group(GroupName="devs", Path="/g/")
    for name in ("cy", "ann", "bob"):
        iam.add_user_to_group(GroupName="devs", UserName=name)
    iam.put_group_policy(GroupName="devs", PolicyName="inline", PolicyDocument=DOCUMENT)
    iam.attach_group_policy(GroupName="devs", PolicyArn=policy)


def use_roles(iam: Any, policy: str) -> None:
    iam.create_role(
        RoleName="app",
        Path="/svc/",
        AssumeRolePolicyDocument=TRUST,
        Description="d",
        Tags=TAGS,
        MaxSessionDuration=7200,
    )
    iam.put_role_permissions_boundary(RoleName="app", PermissionsBoundary=policy)
    iam.put_role_policy(RoleName="app", PolicyName="inline", PolicyDocument=DOCUMENT)
    iam.attach_role_policy(RoleName="app", PolicyArn=policy)
    iam.create_service_linked_role(AWSServiceName="autoscaling.amazonaws.com", CustomSuffix="x")
    iam.create_instance_profile(InstanceProfileName="hosts", Path="/p/", Tags=TAGS)
    iam.add_role_to_instance_profile(InstanceProfileName="hosts", RoleName="app")
    iam.create_instance_profile(InstanceProfileName="empty")


def use_the_account(iam: Any) -> None:
    iam.upload_server_certificate(
        ServerCertificateName="web", CertificateBody="body", PrivateKey="key", CertificateChain="chain", Path="/c/"
    )
    iam.create_saml_provider(Name="idp", SAMLMetadataDocument="a" * 1024)
    iam.create_open_id_connect_provider(
        Url="https://example.com/a", ThumbprintList=[FINGERPRINT], ClientIDList=["client"], Tags=TAGS
    )
    iam.create_account_alias(AccountAlias="acme")
    iam.update_account_password_policy(MinimumPasswordLength=12, MaxPasswordAge=90, RequireSymbols=True)
    iam.generate_credential_report()


class Answers(dict[str, Any]):
    """What IAM answers, by the question."""

    def __init__(self, iam: Any) -> None:
        super().__init__()
        self._iam = iam

    def ask(self, operation: str, **arguments: Any) -> Any:
        answer = getattr(self._iam, operation)(**arguments)
        answer.pop("ResponseMetadata")
        self[f"{operation} {arguments}"] = answer
        return answer


def reads(iam: Any) -> dict[str, Any]:
    """All that IAM answers of its state."""
    answers = Answers(iam)
    for of in (_of_the_account, _of_policies, _of_users, _of_groups, _of_roles):
        of(answers)
    return answers


def _of_the_account(answers: Answers) -> None:
    for operation in (
        *("list_account_aliases", "get_account_password_policy", "get_account_summary", "get_credential_report"),
        *("get_account_authorization_details", "list_virtual_mfa_devices", "list_instance_profiles"),
    ):
        answers.ask(operation)
    for one in answers.ask("list_server_certificates")["ServerCertificateMetadataList"]:
        answers.ask("get_server_certificate", ServerCertificateName=one["ServerCertificateName"])
    for provider in answers.ask("list_saml_providers")["SAMLProviderList"]:
        answers.ask("get_saml_provider", SAMLProviderArn=provider["Arn"])
    for provider in answers.ask("list_open_id_connect_providers")["OpenIDConnectProviderList"]:
        answers.ask("get_open_id_connect_provider", OpenIDConnectProviderArn=provider["Arn"])
        answers.ask("list_open_id_connect_provider_tags", OpenIDConnectProviderArn=provider["Arn"])


def _of_policies(answers: Answers) -> None:
    for policy in answers.ask("list_policies", Scope="Local")["Policies"]:
        arn = policy["Arn"]
        for operation in ("get_policy", "list_policy_tags", "list_entities_for_policy"):
            answers.ask(operation, PolicyArn=arn)
        for version in answers.ask("list_policy_versions", PolicyArn=arn)["Versions"]:
            answers.ask("get_policy_version", PolicyArn=arn, VersionId=version["VersionId"])


def _of_users(answers: Answers) -> None:
    for user in answers.ask("list_users")["Users"]:
        name = user["UserName"]
        for operation in (
            *("get_user", "list_user_tags", "list_attached_user_policies", "list_groups_for_user"),
            *("list_mfa_devices", "list_ssh_public_keys", "list_signing_certificates"),
        ):
            answers.ask(operation, UserName=name)
        for policy in answers.ask("list_user_policies", UserName=name)["PolicyNames"]:
            answers.ask("get_user_policy", UserName=name, PolicyName=policy)
        for key in answers.ask("list_access_keys", UserName=name)["AccessKeyMetadata"]:
            answers.ask("get_access_key_last_used", AccessKeyId=key["AccessKeyId"])


def _of_groups(answers: Answers) -> None:
    for group in answers.ask("list_groups")["Groups"]:
        name = group["GroupName"]
        for operation in ("get_group", "list_attached_group_policies"):
            answers.ask(operation, GroupName=name)
        for policy in answers.ask("list_group_policies", GroupName=name)["PolicyNames"]:
            answers.ask("get_group_policy", GroupName=name, PolicyName=policy)


def _of_roles(answers: Answers) -> None:
    for role in answers.ask("list_roles")["Roles"]:
        name = role["RoleName"]
        for operation in (
            *("get_role", "list_role_tags", "list_attached_role_policies", "list_instance_profiles_for_role"),
        ):
            answers.ask(operation, RoleName=name)
        for policy in answers.ask("list_role_policies", RoleName=name)["PolicyNames"]:
            answers.ask("get_role_policy", RoleName=name, PolicyName=policy)
