"""S3 in views: buckets and all that is set on them (WO-1, WO-2, WO-8)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import msgspec
import pytest
from moto import mock_aws
from moto.s3.models import s3_backends

from holdfast.worlds.aws.services.s3 import Bucket, S3Adapter
from tests.aws_kit import ACCOUNT, REGION, MemoryBodies, take, through_json, unknown_attributes
from tests.aws_s3 import asked, round_trip

OTHER_ACCOUNT, OTHER_REGION = "222222222222", "us-east-2"
HERE = {"LocationConstraint": REGION}


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        yield boto3.client("s3", region_name=REGION)


@pytest.fixture
def adapter() -> S3Adapter:
    return S3Adapter(MemoryBodies())


def create(s3: Any, name: str, **options: Any) -> None:
    region = s3.meta.region_name
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region}, **options)


def test_nothing_of_the_emulator_is_forgotten(adapter: S3Adapter) -> None:
    assert unknown_attributes(adapter) == {}


_QUEUE, _TOPIC = f"arn:aws:sqs:{REGION}:{ACCOUNT}:jobs", f"arn:aws:sns:{REGION}:{ACCOUNT}:news"
_LAMBDA = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
_PREFIX = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".txt"}]}}
_LIFECYCLE = [
    {
        "ID": "all",
        "Status": "Enabled",
        "Filter": {"And": {"Prefix": "a/", "Tags": [{"Key": "z", "Value": "1"}, {"Key": "a", "Value": "2"}]}},
        "Transitions": [{"Days": 3, "StorageClass": "GLACIER"}],
        "NoncurrentVersionTransitions": [
            {"NoncurrentDays": 7, "StorageClass": "GLACIER", "NewerNoncurrentVersions": 2}
        ],
        "NoncurrentVersionExpiration": {"NoncurrentDays": 9},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2},
    },
    {"ID": "tag", "Status": "Disabled", "Filter": {"Tag": {"Key": "k", "Value": "v"}}, "Expiration": {"Days": 4}},
    {"ID": "old", "Status": "Enabled", "Prefix": "", "Expiration": {"ExpiredObjectDeleteMarker": True}},
]


def _furnish(s3: Any, bucket: str) -> None:
    """Set all that can be set on a bucket."""
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    tags = [{"Key": "z", "Value": "1"}, {"Key": "a", "Value": "ü"}]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/ü"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    s3.put_bucket_acl(Bucket=bucket, GrantRead='uri="http://acs.amazonaws.com/groups/global/AllUsers"')
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": _LIFECYCLE})
    cors = {"ID": "c", "AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["*"], "MaxAgeSeconds": 5}
    simple = {"AllowedMethods": ["GET"], "AllowedOrigins": ["https://a"], "AllowedHeaders": ["x"]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [cors, simple]})
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration={"IndexDocument": {"Suffix": "ü.html"}})
    every = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    heard: dict[str, Any] = {
        "QueueConfigurations": [{"Id": "q", "QueueArn": _QUEUE, "Events": every, "Filter": _PREFIX}],
        "TopicConfigurations": [{"TopicArn": _TOPIC, "Events": every[:1]}],
        "LambdaFunctionConfigurations": [{"LambdaFunctionArn": _LAMBDA, "Events": every[1:]}],
        "EventBridgeConfiguration": {},
    }
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=heard)
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"}
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_bucket_accelerate_configuration(Bucket=bucket, AccelerateConfiguration={"Status": "Enabled"})
    s3.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    )
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": True})
    target: dict[str, Any] = {
        "Destination": {"Bucket": "arn:aws:s3:::logs"},
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
    }
    target |= {"Priority": 1, "DeleteMarkerReplication": {"Status": "Disabled"}}
    s3.put_bucket_replication(
        Bucket=bucket, ReplicationConfiguration={"Role": "arn:aws:iam::1:role/r", "Rules": [target]}
    )
    for name in ("z", "a"):
        inventory: dict[str, Any] = {"Id": name, "IsEnabled": True, "Schedule": {"Frequency": "Daily"}}
        inventory |= {"Destination": {"S3BucketDestination": {"Bucket": "arn:aws:s3:::logs", "Format": "CSV"}}}
        inventory |= {"IncludedObjectVersions": "All", "OptionalFields": ["Size", "ETag"], "Filter": {"Prefix": "a"}}
        s3.put_bucket_inventory_configuration(Bucket=bucket, Id=name, InventoryConfiguration=inventory)


def _log(s3: Any, bucket: str, target: str) -> None:
    s3.put_bucket_acl(Bucket=target, ACL="log-delivery-write")
    grantee = {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/s3/LogDelivery"}
    grants = [{"Grantee": grantee, "Permission": "READ"}]
    enabled = {"TargetBucket": target, "TargetPrefix": "log/", "TargetGrants": grants}
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={"LoggingEnabled": enabled})


def test_buckets_come_back_with_all_that_is_set_on_them(s3: Any, adapter: S3Adapter) -> None:
    create(s3, "log-target")
    create(s3, "full", ObjectOwnership="ObjectWriter")
    _furnish(s3, "full")
    create(s3, "locked", ObjectLockEnabledForBucket=True)
    retention = {"Mode": "GOVERNANCE", "Days": 2}
    s3.put_object_lock_configuration(
        Bucket="locked",
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}},
    )
    create(s3, "plain")
    s3.put_bucket_versioning(Bucket="plain", VersioningConfiguration={"Status": "Suspended"})
    before = asked(s3)
    records = round_trip(adapter)
    assert [name for name in records if name.startswith("bucket/")] == [
        "bucket/log-target",
        "bucket/full",
        "bucket/locked",
        "bucket/plain",
    ]
    assert records["bucket/full"].replication["Role"] == "arn:aws:iam::1:role/r"
    assert records["bucket/plain"].replication is msgspec.UNSET
    assert asked(s3) == before
    s3.delete_bucket_replication(Bucket="full")
    s3.put_public_access_block(Bucket="plain", PublicAccessBlockConfiguration={"BlockPublicPolicy": False})
    before = asked(s3)
    round_trip(adapter)
    assert asked(s3) == before


def test_logs_go_on_being_written(s3: Any, adapter: S3Adapter) -> None:
    create(s3, "log-target")
    create(s3, "site")
    _log(s3, "site", "log-target")
    s3.put_object(Bucket="site", Key="a", Body=b"a")
    round_trip(adapter)
    logs = s3.list_objects_v2(Bucket="log-target")["KeyCount"]
    before = s3.get_bucket_logging(Bucket="site")
    assert s3.list_objects_v2(Bucket="log-target")["KeyCount"] == logs + 1
    assert before["LoggingEnabled"]["TargetGrants"][0]["Permission"] == "READ"
    assert s3.get_bucket_acl(Bucket="log-target")["Grants"][1]["Grantee"]["URI"].endswith("LogDelivery")


def test_what_is_no_text_comes_back(s3: Any, adapter: S3Adapter) -> None:
    create(s3, "odd")
    bucket = s3_backends[ACCOUNT]["aws"].buckets["odd"]
    bucket.policy, bucket.website_configuration = b"\xff\x00", b"<a>\xfe</a>"
    bucket.acl = None
    records = round_trip(adapter)
    assert records["bucket/odd"].policy == {"$bytes": "/wA="}
    assert s3_backends[ACCOUNT]["aws"].buckets["odd"].policy == b"\xff\x00"


def test_regions_of_an_account_do_not_disturb_each_other(s3: Any, adapter: S3Adapter) -> None:
    away = boto3.client("s3", region_name=OTHER_REGION)
    for number, client in enumerate((s3, away, s3, away)):
        create(client, f"bucket-{number}")
        client.put_object(Bucket=f"bucket-{number}", Key="a", Body=b"%d" % number, Tagging="k=v")
    backend = s3_backends[ACCOUNT]["aws"]
    mine, theirs = take(adapter), take(adapter, region=OTHER_REGION)
    assert {adapter.group_of(name)[1] for name in mine} == {"bucket-0", "bucket-2"}
    assert set(adapter.groups(backend)) == {adapter.group_of(name) for name in (mine | theirs)}
    before = asked(s3)
    adapter.install(backend, REGION, through_json(adapter, mine))
    assert asked(s3) == before
    assert list(backend.buckets) == [f"bucket-{number}" for number in range(4)]
    del mine["bucket/bucket-0"], mine["object/bucket-0/a@null"]
    adapter.install(backend, REGION, mine)
    assert list(backend.buckets) == ["bucket-1", "bucket-2", "bucket-3"]
    assert take(adapter, region=OTHER_REGION) == theirs
    adapter.install(backend, REGION, {})
    assert take(adapter) == {}
    assert s3.get_object_tagging(Bucket="bucket-3", Key="a")["TagSet"] == [{"Key": "k", "Value": "v"}]
    create(s3, "bucket-2")  # its name, and what it was tagged with, are free again
    assert s3.list_objects_v2(Bucket="bucket-2")["KeyCount"] == 0
    assert set(s3_backends.bucket_accounts) == {"bucket-1", "bucket-2", "bucket-3"}


def test_a_name_that_another_holds_is_an_obstacle(s3: Any, adapter: S3Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    create(s3, "mine")
    records = take(adapter)
    assert adapter.obstacle(ACCOUNT, REGION, records) is None
    fault = adapter.obstacle(ACCOUNT, OTHER_REGION, records)
    assert fault == ("bucket/mine", "name", f"the bucket 'mine' belongs to the region {REGION}")
    fault = adapter.obstacle(OTHER_ACCOUNT, REGION, records)
    assert fault == ("bucket/mine", "name", f"the bucket 'mine' belongs to the account {ACCOUNT}")
    monkeypatch.setenv("MOTO_ACCOUNT_ID", OTHER_ACCOUNT)
    other = s3_backends[OTHER_ACCOUNT]["aws"]
    adapter.install(s3_backends[ACCOUNT]["aws"], REGION, {})
    assert adapter.obstacle(OTHER_ACCOUNT, REGION, records) is None
    adapter.install(other, REGION, records)
    assert s3_backends.bucket_accounts == {"mine": ("aws", OTHER_ACCOUNT)}
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["mine"]
    table = s3_backends[ACCOUNT]["aws"].create_table_storage_bucket(REGION)
    taken = msgspec.structs.replace(records["bucket/mine"], name=table.name)
    fault = adapter.obstacle(ACCOUNT, REGION, {f"bucket/{table.name}": taken})
    assert fault is not None
    assert fault.fault.endswith("S3 Tables")


def test_other_partitions_are_other_places(s3: Any, adapter: S3Adapter) -> None:
    china = boto3.client("s3", region_name="cn-north-1")
    create(china, "far")
    create(s3, "near")
    assert (adapter.place("cn-north-1"), adapter.place(REGION)) == ("aws-cn", "aws")
    assert [record.name for record in take(adapter, region="cn-north-1").values()] == ["far"]
    assert adapter.obstacle(ACCOUNT, REGION, take(adapter, region="cn-north-1")) is not None
    round_trip(adapter, region="cn-north-1")
    assert s3_backends.bucket_accounts == {"far": ("aws-cn", ACCOUNT), "near": ("aws", ACCOUNT)}


def test_bad_views_are_refused(s3: Any, adapter: S3Adapter) -> None:
    create(s3, "box")
    s3.put_object(Bucket="box", Key="k", Body=b"")
    upload = s3.create_multipart_upload(Bucket="box", Key="u")["UploadId"]
    s3.upload_part(Bucket="box", Key="u", UploadId=upload, PartNumber=1, Body=b"1")
    good = take(adapter)
    bucket, version, part = good["bucket/box"], good["object/box/k@null"], good[f"part/box/{upload}/1"]
    replace = msgspec.structs.replace
    bad: list[tuple[dict[str, Any], str]] = [
        ({"bucket/c": bucket}, "name"),
        ({"object/box/k@null": bucket}, "name"),
        ({"bucket/box": version}, "key"),
        ({"object/c/k@null": version}, "key"),
        ({"object/box/other@null": version}, "key"),
        ({"object/box/k@1": version}, "key"),
        ({"object": version}, "type"),
        ({"": bucket}, "type"),
        ({"object/box/k@null": replace(version, acl="everybody")}, "acl"),
        ({"bucket/box": replace(bucket, acl="everybody")}, "acl"),
        ({f"upload/box/{upload}": replace(good[f"upload/box/{upload}"], id="x")}, "id"),
        ({f"part/box/{upload}/2": part}, "number"),
        ({f"part/box/{upload}/0": replace(part, number=0)}, "number"),
        ({"part/box/gone/1": part}, "number"),
        ({"object/box/k": part}, "number"),
    ]
    for change, field in bad:
        faults = list(adapter.check(good | change))
        assert [fault.field for fault in faults] == [field], change
    without = {name: record for name, record in good.items() if not isinstance(record, Bucket)}
    assert {fault.fault for fault in adapter.check(without)} == {"there is no bucket 'box'"}
