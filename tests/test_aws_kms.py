"""KMS in views: keys that decrypt and verify what they made before, with their aliases and grants (WO-1, WO-8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import msgspec
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from holdfast.worlds.aws.adapter import Elsewhere
from holdfast.worlds.aws.services.kms import Key, KmsAdapter
from tests.aws_kit import ACCOUNT, REGION, MemoryBodies, round_trip, take, unknown_attributes
from tests.aws_touches import watched

OTHER_REGION = "us-west-2"


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        yield boto3.client("kms", region_name=REGION)


@pytest.fixture
def adapter() -> KmsAdapter:
    return KmsAdapter(MemoryBodies())


def create(kms: Any, **options: Any) -> str:
    return str(kms.create_key(**options)["KeyMetadata"]["KeyId"])


def reads(kms: Any) -> dict[str, Any]:
    """All that KMS answers of its state."""
    answers: dict[str, Any] = {"keys": kms.list_keys()["Keys"], "aliases": kms.list_aliases()["Aliases"]}
    for key in (one["KeyId"] for one in answers["keys"]):
        answers[key] = [
            kms.describe_key(KeyId=key)["KeyMetadata"],
            kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"],
            kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"],
            kms.list_key_rotations(KeyId=key)["Rotations"],
            kms.list_grants(KeyId=key)["Grants"],
            kms.list_resource_tags(KeyId=key)["Tags"],
            kms.get_public_key(KeyId=key)["PublicKey"],
        ]
    return answers


def same_after(kms: Any, adapter: KmsAdapter) -> dict[str, Any]:
    before = reads(kms)
    records = round_trip(adapter)
    assert reads(kms) == before
    return records


def test_nothing_of_the_emulator_is_forgotten(adapter: KmsAdapter) -> None:
    assert unknown_attributes(adapter) == {}


def test_keys_come_back_with_all_that_is_known_of_them(kms: Any, adapter: KmsAdapter) -> None:
    tags = [{"TagKey": "z", "TagValue": "1"}, {"TagKey": "a", "TagValue": "2"}]
    plain = create(kms, Description="plain", Tags=tags)
    kms.untag_resource(KeyId=plain, TagKeys=["z"])
    kms.create_alias(AliasName="alias/app/main", TargetKeyId=plain)
    kms.create_alias(AliasName="alias/old", TargetKeyId=plain)
    moved = create(kms, Policy='{"Version": "2012-10-17"}')
    kms.update_alias(AliasName="alias/old", TargetKeyId=moved)
    kms.enable_key_rotation(KeyId=moved)
    kms.rotate_key_on_demand(KeyId=moved)
    kms.rotate_key_on_demand(KeyId=moved)
    disabled = create(kms)
    kms.disable_key(KeyId=disabled)
    kms.put_key_policy(KeyId=disabled, PolicyName="default", Policy="{}")
    doomed = create(kms, Tags=tags)
    kms.schedule_key_deletion(KeyId=doomed, PendingWindowInDays=8)
    grant = kms.create_grant(
        KeyId=plain,
        GranteePrincipal="arn:aws:iam::111111111111:role/a",
        RetiringPrincipal="arn:aws:iam::111111111111:role/b",
        Operations=["Encrypt", "Decrypt"],
        Name="loan",
        Constraints={"EncryptionContextSubset": {"team": "a"}},
    )
    kms.create_grant(KeyId=plain, GranteePrincipal="arn:aws:iam::111111111111:role/c", Operations=["Encrypt"])
    kms.describe_key(KeyId="alias/aws/s3")

    records = same_after(kms, adapter)

    assert {f"grant/{plain}/{grant['GrantId']}", "alias/alias/app/main", "alias/alias/aws/s3"} <= records.keys()
    kms.retire_grant(GrantToken=grant["GrantToken"])
    assert len(kms.list_grants(KeyId=plain)["Grants"]) == 1
    kms.cancel_key_deletion(KeyId=doomed)
    same_after(kms, adapter)


def test_what_was_encrypted_before_is_decrypted_after(kms: Any, adapter: KmsAdapter) -> None:
    key = create(kms)
    context = {"purpose": "test"}
    sealed = kms.encrypt(KeyId=key, Plaintext=b"secret", EncryptionContext=context)["CiphertextBlob"]
    data_key = kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    mac_key = create(kms, KeySpec="HMAC_512", KeyUsage="GENERATE_VERIFY_MAC")
    mac = kms.generate_mac(KeyId=mac_key, Message=b"m", MacAlgorithm="HMAC_SHA_512")["Mac"]

    round_trip(adapter)

    assert kms.decrypt(CiphertextBlob=sealed, EncryptionContext=context)["Plaintext"] == b"secret"
    assert kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"])["Plaintext"] == data_key["Plaintext"]
    assert kms.verify_mac(KeyId=mac_key, Message=b"m", MacAlgorithm="HMAC_SHA_512", Mac=mac)["MacValid"]


@pytest.mark.parametrize(
    ("spec", "algorithm"),
    [
        ("RSA_2048", "RSASSA_PSS_SHA_256"),
        ("RSA_3072", "RSASSA_PKCS1_V1_5_SHA_512"),
        ("ECC_NIST_P256", "ECDSA_SHA_256"),
        ("ECC_NIST_P384", "ECDSA_SHA_384"),
        ("ECC_NIST_P521", "ECDSA_SHA_512"),
        ("ECC_SECG_P256K1", "ECDSA_SHA_256"),
    ],
)
def test_what_was_signed_before_is_verified_after(kms: Any, adapter: KmsAdapter, spec: str, algorithm: str) -> None:
    key = create(kms, KeySpec=spec, KeyUsage="SIGN_VERIFY")
    what: dict[str, Any] = {"KeyId": key, "Message": b"m", "SigningAlgorithm": algorithm}
    signature = kms.sign(**what)["Signature"]
    same_after(kms, adapter)
    assert kms.verify(**what, Signature=signature)["SignatureValid"]
    assert kms.verify(**what, Signature=kms.sign(**what)["Signature"])["SignatureValid"]


def test_what_cloudformation_made_comes_back(kms: Any, adapter: KmsAdapter) -> None:
    key = {"KeyPolicy": {"Version": "2012-10-17"}, "EnableKeyRotation": True}
    alias = {"AliasName": "alias/made", "TargetKeyId": {"Ref": "Key"}}
    template = {
        "Resources": {
            "Key": {"Type": "AWS::KMS::Key", "Properties": key},
            "Alias": {"Type": "AWS::KMS::Alias", "Properties": alias},
        }
    }
    cloudformation = boto3.client("cloudformation", region_name=REGION)
    cloudformation.create_stack(StackName="s", TemplateBody=msgspec.json.encode(template).decode())
    records = round_trip(adapter)
    (made,) = (record for record in records.values() if isinstance(record, Key))
    assert (made.policy, made.key_rotation_status) == (key["KeyPolicy"], True)
    assert kms.list_aliases(KeyId=made.id)["Aliases"][0]["AliasName"] == "alias/made"


def test_a_replica_is_its_regions_own(kms: Any, adapter: KmsAdapter) -> None:
    key = create(kms, MultiRegion=True, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    kms.create_alias(AliasName="alias/both", TargetKeyId=key)
    kms.replicate_key(KeyId=key, ReplicaRegion=OTHER_REGION)
    other = boto3.client("kms", region_name=OTHER_REGION)
    other.describe_key(KeyId=key)
    before = reads(other)
    same_after(kms, adapter)
    assert reads(other) == before
    kms.delete_alias(AliasName="alias/both")
    kms.update_key_description(KeyId=key, Description="changed")
    assert reads(other) == before


def elsewhere(adapter: KmsAdapter, method: str, *args: str) -> set[Any]:
    backend = adapter.backends[ACCOUNT][REGION]
    return {one for one in adapter.touches[method](backend, *args) if isinstance(one, Elsewhere)}


def test_changes_of_replicas_are_looked_for(kms: Any, adapter: KmsAdapter) -> None:
    key = create(kms, MultiRegion=True)
    create(boto3.client("kms", region_name="eu-north-1"))
    assert elsewhere(adapter, "create_alias", key, "alias/a") == elsewhere(adapter, "create_grant", key) == set()
    there, alias = (
        Elsewhere(ACCOUNT, OTHER_REGION, ("key", key)),
        Elsewhere(ACCOUNT, OTHER_REGION, ("alias", "alias/a")),
    )
    assert elsewhere(adapter, "replicate_key", key, OTHER_REGION) == {there}
    assert elsewhere(adapter, "replicate_key", key, "nowhere") == set()
    kms.replicate_key(KeyId=key, ReplicaRegion=OTHER_REGION)
    assert elsewhere(adapter, "create_grant", key) == {there}
    assert elsewhere(adapter, "create_alias", key, "alias/a") == {alias}
    kms.create_alias(AliasName="alias/a", TargetKeyId=key)
    assert "alias/alias/a" in take(adapter, region=OTHER_REGION)
    assert elsewhere(adapter, "replicate_key", key, OTHER_REGION) == {there, alias}
    assert elsewhere(adapter, "replicate_key", key, "eu-north-1") == {
        there,
        *(Elsewhere(ACCOUNT, "eu-north-1", one.group) for one in (there, alias)),
    }
    assert elsewhere(adapter, "tag_resource", key) == set()


def test_records_share_nothing_with_the_emulator(kms: Any, adapter: KmsAdapter) -> None:
    key = create(kms, Tags=[{"TagKey": "a", "TagValue": "1"}])
    before = take(adapter)
    kms.rotate_key_on_demand(KeyId=key)
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "b", "TagValue": "2"}])
    assert before[f"key/{key}"].rotations == []
    assert before[f"key/{key}"].tags == [("a", "1")]
    assert take(adapter)[f"key/{key}"].tags == [("a", "1"), ("b", "2")]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda found, key: found.update({"key/b": found[key]}), "id"),
        (lambda found, key: found.pop(key), "key_id"),
        (lambda found, key: found.update({key: edited(found[key], private_key=b"none")}), "private_key"),
        (lambda found, key: found.update({key: edited(found[key], key_material=b"short")}), "key_material"),
        (lambda found, key: found.update({"key/a/b": edited(found[key], id="a/b")}), "id"),
        (lambda found, key: found.update({"alias/x": found["alias/alias/a"]}), "id"),
    ],
    ids=["misnamed", "dangling", "no key", "short", "slash", "alias"],
)
def test_bad_views_are_refused(
    kms: Any, adapter: KmsAdapter, change: Callable[[dict[str, Any], str], Any], field: str
) -> None:
    key = create(kms)
    kms.create_alias(AliasName="alias/a", TargetKeyId=key)
    kms.create_grant(KeyId=key, GranteePrincipal="arn:aws:iam::111111111111:role/c", Operations=["Encrypt"])
    found = take(adapter)
    change(found, f"key/{key}")
    assert {fault.field for fault in adapter.check(found)} == {field}


def edited(record: Key, **fields: Any) -> Key:
    return msgspec.structs.replace(record, **fields)


def test_whatever_changes_was_touched(kms: Any, adapter: KmsAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(adapter, monkeypatch) as check:
        key = create(kms)
        other = create(kms, MultiRegion=True)
        assert check() == {("key", key), ("key", other)}
        kms.create_alias(AliasName="alias/a", TargetKeyId=key)
        assert check() == {("alias", "alias/a")}
        kms.update_alias(AliasName="alias/a", TargetKeyId=other)
        assert check() == {("alias", "alias/a")}
        arn = kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"]
        grants = [
            kms.create_grant(KeyId=arn, GranteePrincipal="arn:aws:iam::1:role/c", Operations=["Encrypt"])
            for _ in range(3)
        ]
        assert check() == {("key", key)}
        for change in (
            lambda: kms.revoke_grant(KeyId=key, GrantId=grants[0]["GrantId"]),
            lambda: kms.retire_grant(KeyId=key, GrantId=grants[1]["GrantId"]),
            lambda: kms.retire_grant(GrantToken=grants[2]["GrantToken"]),
            lambda: kms.tag_resource(KeyId=arn, Tags=[{"TagKey": "a", "TagValue": "1"}]),
            lambda: kms.untag_resource(KeyId=arn, TagKeys=["a"]),
            lambda: kms.enable_key_rotation(KeyId=key),
            lambda: kms.disable_key_rotation(KeyId=arn),
            lambda: kms.rotate_key_on_demand(KeyId=key),
            lambda: kms.disable_key(KeyId=key),
            lambda: kms.enable_key(KeyId=key),
            lambda: kms.schedule_key_deletion(KeyId=key),
            lambda: kms.cancel_key_deletion(KeyId=key),
            lambda: kms.put_key_policy(KeyId=key, PolicyName="default", Policy="{}"),
            lambda: kms.update_key_description(KeyId=key, Description="new"),
        ):
            change()
            assert check() == {("key", key)}
        kms.replicate_key(KeyId=other, ReplicaRegion=OTHER_REGION)
        assert check() == {("key", other)}
        boto3.client("kms", region_name=OTHER_REGION).describe_key(KeyId=other)
        kms.describe_key(KeyId="alias/aws/ssm")
        assert len(check()) >= 2
        blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=key)
        reads(kms)
        assert check() == set()
        kms.delete_alias(AliasName="alias/a")
        assert check() == {("alias", "alias/a")}
        with pytest.raises(ClientError):
            kms.delete_alias(AliasName="alias/none")
        assert check() == set()


def test_a_replica_that_is_first_looked_at_was_touched(
    kms: Any, adapter: KmsAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = create(kms, MultiRegion=True)
    kms.replicate_key(KeyId=key, ReplicaRegion=OTHER_REGION)
    with watched(adapter, monkeypatch, region=OTHER_REGION) as check:
        other = boto3.client("kms", region_name=OTHER_REGION)
        other.list_grants(KeyId=key)
        assert check() == {("key", key)}
        other.list_grants(KeyId=key)
        assert check() == set()


def test_touches_bear_bad_input(kms: Any, adapter: KmsAdapter) -> None:
    backend = adapter.backends[ACCOUNT][REGION]
    for touch in adapter.touches.values():
        for arguments in ((), (None,), (1, 2), ("", ""), ("alias/none", "alias/none"), ("arn:none",), ("a/b",) * 5):
            assert all(adapter.read(backend, group) is None for group in touch(backend, *arguments))
