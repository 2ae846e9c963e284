"""S3: what each thing that is done to it touches, and that nothing changes untouched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.s3.models import s3_backends

from holdfast.worlds.aws.services.s3 import S3Adapter
from tests.aws_kit import ACCOUNT, REGION, MemoryBodies
from tests.aws_s3 import asked, begin, complete, part, versioned
from tests.aws_touches import watched


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        client = boto3.client("s3", region_name=REGION)
        client.create_bucket(Bucket="box", CreateBucketConfiguration={"LocationConstraint": REGION})
        yield client


@pytest.fixture
def adapter() -> S3Adapter:
    return S3Adapter(MemoryBodies())


def test_whatever_changes_was_touched(s3: Any, adapter: S3Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, key = {("bucket", "box")}, {("object", "box", "k")}
    place = {"Bucket": "box", "Key": "k"}
    with watched(adapter, monkeypatch) as check:
        s3.put_object(**place, Body=b"1", Metadata={"m": "1"}, Tagging="k=v", ACL="public-read")
        assert check() == key
        s3.put_object_tagging(**place, Tagging={"TagSet": [{"Key": "x", "Value": "y"}]})
        assert check() == key
        s3.delete_object_tagging(**place)
        assert check() == key
        s3.put_object_acl(**place, ACL="private")
        assert check() == key
        s3.copy_object(Bucket="box", Key="c", CopySource=place, ChecksumAlgorithm="SHA256", ACL="public-read")
        assert check() == {("object", "box", "c")}
        versioned(s3)
        assert check() == bucket
        s3.delete_object(**place)
        assert check() == key
        s3.delete_objects(Bucket="box", Delete={"Objects": [{"Key": "k"}, {"Key": "c"}, {"Key": "none"}]})
        assert check() == key | {("object", "box", "c")}
        for version in s3.list_object_versions(Bucket="box", Prefix="k")["DeleteMarkers"]:
            s3.delete_object(**place, VersionId=version["VersionId"])
        assert check() == key
        for read in ("get_object", "head_object", "get_object_acl", "get_object_tagging"):
            getattr(s3, read)(**place)
        asked(s3)
        s3.list_objects_v2(Bucket="box", MaxKeys=1)
        assert check() == set()
        s3.put_object(**place, Body=b"ice", StorageClass="GLACIER")
        assert check() == key
        s3.restore_object(**place, RestoreRequest={"Days": 1})
        assert check() == key
        s3.get_object(**place)
        assert check() == key
        s3.get_object(**place)
        assert check() == set()


def test_what_uploads_and_buckets_change_was_touched(
    s3: Any, adapter: S3Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"LocationConstraint": REGION}
    s3.put_object(Bucket="box", Key="k", Body=b"1")
    with watched(adapter, monkeypatch) as check:
        upload = begin(s3, "u")
        assert check() == {("uploads", "box")}
        sent = part(s3, "u", upload, 1, b"1")
        assert check() == {("parts", "box", upload)}
        source = {"Bucket": "box", "Key": "k"}
        s3.upload_part_copy(Bucket="box", Key="u", UploadId=upload, PartNumber=2, CopySource=source)
        assert check() == {("parts", "box", upload)}
        complete(s3, "u", upload, [sent])
        assert check() == {("uploads", "box"), ("parts", "box", upload), ("object", "box", "u")}
        upload = begin(s3, "u")
        part(s3, "u", upload, 1, b"1")
        check()
        s3.abort_multipart_upload(Bucket="box", Key="u", UploadId=upload)
        assert check() == {("uploads", "box"), ("parts", "box", upload)}
        s3.create_bucket(Bucket="new", CreateBucketConfiguration=here, ObjectLockEnabledForBucket=True, ACL="private")
        assert check() == {("bucket", "new")}
        upload = s3.create_multipart_upload(Bucket="new", Key="u")["UploadId"]
        s3.upload_part(Bucket="new", Key="u", UploadId=upload, PartNumber=1, Body=b"1")
        held = s3.put_object(Bucket="new", Key="k", Body=b"1")["VersionId"]
        check()
        s3.put_object_legal_hold(Bucket="new", Key="k", LegalHold={"Status": "ON"})
        assert check() == {("object", "new", "k")}
        s3.put_object_legal_hold(Bucket="new", Key="k", LegalHold={"Status": "OFF"})
        s3.delete_object(Bucket="new", Key="k", VersionId=held)
        assert check() == {("object", "new", "k")}
        s3.delete_bucket(Bucket="new")
        assert check() == {("bucket", "new"), ("uploads", "new"), ("parts", "new", upload)}
        tagging = boto3.client("resourcegroupstaggingapi", region_name=REGION)
        tagging.tag_resources(ResourceARNList=["arn:aws:s3:::box"], Tags={"a": "1", "b": "2"})
        assert check() == {("bucket", "box")}
        tagging.untag_resources(ResourceARNList=["arn:aws:s3:::box"], TagKeys=["a"])
        assert check() == {("bucket", "box")}


def test_a_log_that_is_written_was_touched(s3: Any, adapter: S3Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.create_bucket(Bucket="site", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_acl(Bucket="box", ACL="log-delivery-write")
    logged = {"LoggingEnabled": {"TargetBucket": "box", "TargetPrefix": "log/"}}
    with watched(adapter, monkeypatch) as check:
        s3.put_bucket_logging(Bucket="site", BucketLoggingStatus=logged)
        assert check() == {("bucket", "site")}
        s3.list_objects_v2(Bucket="site")
        (log,) = check()
        assert log[:2] == ("object", "box")
        s3.list_objects_v2(Bucket="box")  # the emulator computes the log's tag no sooner than this
        assert check() == set()


_SETTINGS: dict[str, dict[str, Any]] = {
    "put_bucket_policy": {"Policy": json.dumps({"Version": "2012-10-17", "Statement": []})},
    "put_bucket_website": {"WebsiteConfiguration": {"IndexDocument": {"Suffix": "i"}}},
    "put_bucket_cors": {"CORSConfiguration": {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}},
    "put_bucket_tagging": {"Tagging": {"TagSet": [{"Key": "k", "Value": "v"}]}},
    "put_bucket_acl": {"ACL": "public-read"},
    "put_bucket_accelerate_configuration": {"AccelerateConfiguration": {"Status": "Enabled"}},
    "put_public_access_block": {"PublicAccessBlockConfiguration": {"BlockPublicAcls": True}},
    "delete_bucket_policy": {},
    "delete_bucket_website": {},
    "delete_bucket_cors": {},
    "delete_bucket_tagging": {},
    "delete_public_access_block": {},
}


def test_what_is_set_on_a_bucket_touches_it_alone(s3: Any, adapter: S3Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(adapter, monkeypatch) as check:
        for verb, settings in _SETTINGS.items():
            getattr(s3, verb)(Bucket="box", **settings)
            assert check() == {("bucket", "box")}, verb


def test_the_methods_of_clients_are_all_known(adapter: S3Adapter, s3: Any) -> None:
    backend = s3_backends[ACCOUNT]["aws"]
    client_made = ("put_", "delete_", "create_", "upload_", "copy_")
    unknown = {name for name in dir(backend) if name.startswith(client_made)}
    assert unknown <= adapter.touches.keys()
    for name, touch in adapter.touches.items():
        groups: set[Any] = set()
        with suppress(AttributeError, TypeError):  # what cannot be told is taken for a change of anything
            groups.update(touch(backend, "none", "none"))
        assert all(adapter.read(backend, group) is None for group in groups), name
