"""S3 in views: objects with their versions, uploads in parts, and what each thing done to them touches (WO-3, WO-8)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.moto_api import state_manager
from moto.s3.models import FakeKey, s3_backends

from holdfast.worlds.aws.adapter import Elsewhere
from holdfast.worlds.aws.services.s3 import S3Adapter
from holdfast.worlds.errors import MissingBlob
from tests.aws_kit import ACCOUNT, REGION, MemoryBodies, take, through_json
from tests.aws_s3 import asked, begin, complete, part, round_trip, versioned

OTHER_ACCOUNT = "222222222222"
ODD_KEYS = (
    "a/b/c",
    "/",
    "//double//",
    "trailing/",
    "100%",
    "%40",
    "a@b",
    "a@null",
    "ümläut/日本語/😀",
    " two  spaces ",
    ".hidden/../..",
    "q?x=1&y=2#z",
    "plus+plus",
    "quote'\"<>&",
)
_MEBIBYTE = 1024 * 1024


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


def same_after_round_trip(s3: Any, adapter: S3Adapter) -> dict[str, Any]:
    before = asked(s3)
    records = round_trip(adapter)
    assert asked(s3) == before
    return records


def test_odd_keys_come_back(s3: Any, adapter: S3Adapter) -> None:
    versioned(s3)
    for key in ODD_KEYS:
        s3.put_object(Bucket="box", Key=key, Body=key.encode(), Tagging="k=v")
    records = same_after_round_trip(s3, adapter)
    assert {record.key for name, record in records.items() if name.startswith("object/")} == set(ODD_KEYS)
    assert {adapter.group_of(name)[2] for name in records if name.startswith("object/")} == set(ODD_KEYS)


def test_all_that_an_object_may_have_comes_back(s3: Any, adapter: S3Adapter) -> None:
    s3.put_object(
        Bucket="box",
        Key="full",
        Body=b"\x00\xff" * 10,
        Metadata={"Mixed-Case": "1", "z": "2"},
        ContentType="text/plain",
        ContentEncoding="gzip",
        ContentLanguage="de",
        ContentDisposition="inline",
        CacheControl="no-cache",
        Expires=datetime(2030, 1, 1, tzinfo=UTC),
        StorageClass="STANDARD_IA",
        Tagging="z=1&a=2",
        ACL="public-read",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId="key",
        BucketKeyEnabled=True,
        WebsiteRedirectLocation="/other",
        ChecksumAlgorithm="SHA256",
    )
    s3.put_object(Bucket="box", Key="empty", Body=b"")
    s3.put_object(Bucket="box", Key="granted", Body=b"x", GrantRead='id="somebody"')
    s3.put_object(Bucket="box", Key="large", Body=b"x" * (6 * _MEBIBYTE))  # the emulator has it on disk
    records = same_after_round_trip(s3, adapter)
    assert records["object/box/full@null"].acl == "public-read"
    assert records["object/box/granted@null"].acl[0].grantees[0].id == "somebody"
    assert records["object/box/full@null"].tags == [("z", "1"), ("a", "2")]


def test_versions_and_delete_markers_come_back(s3: Any, adapter: S3Adapter) -> None:
    s3.put_object(Bucket="box", Key="k", Body=b"before versions")
    versioned(s3)
    ids = [s3.put_object(Bucket="box", Key="k", Body=b"%d" % n)["VersionId"] for n in range(3)]
    markers = [s3.delete_object(Bucket="box", Key="k")["VersionId"] for _ in range(3)]
    s3.delete_object(Bucket="box", Key="k", VersionId=ids[1])
    records = same_after_round_trip(s3, adapter)
    assert records[f"object/box/k@{markers[1]}"].hides == markers[0]
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket="box", Key="k")
    answer = s3.delete_object(Bucket="box", Key="k", VersionId=markers[2])  # it is upon another
    assert answer["DeleteMarker"] is True
    s3.delete_object(Bucket="box", Key="k", VersionId=ids[2])  # from under a marker
    same_after_round_trip(s3, adapter)
    s3.delete_object(Bucket="box", Key="k", VersionId=markers[0])
    same_after_round_trip(s3, adapter)
    s3.delete_object(Bucket="box", Key="k", VersionId=markers[1])
    assert s3.get_object(Bucket="box", Key="k")["Body"].read() == b"0"


def test_what_a_gone_marker_was_upon_is_still_told(s3: Any, adapter: S3Adapter) -> None:
    versioned(s3)
    version = s3.put_object(Bucket="box", Key="k", Body=b"1")["VersionId"]
    first, second = (s3.delete_object(Bucket="box", Key="k")["VersionId"] for _ in range(2))
    for gone in (first, version):
        s3.delete_object(Bucket="box", Key="k", VersionId=gone)
    record = same_after_round_trip(s3, adapter)[f"object/box/k@{second}"]
    assert (record.hides, record.hides_marker) == (first, True)
    assert s3.delete_object(Bucket="box", Key="k", VersionId=second)["DeleteMarker"] is True


def test_suspended_versioning_comes_back(s3: Any, adapter: S3Adapter) -> None:
    versioned(s3)
    s3.put_object(Bucket="box", Key="kept", Body=b"1")
    s3.put_object(Bucket="box", Key="k", Body=b"1")
    versioned(s3, "Suspended")
    s3.put_object(Bucket="box", Key="k", Body=b"2")
    same_after_round_trip(s3, adapter)
    versioned(s3)
    s3.put_object(Bucket="box", Key="k", Body=b"3")
    records = same_after_round_trip(s3, adapter)
    assert next(name for name in records if name.startswith("object/box/k@")) == "object/box/k@null"


def test_locks_come_back(s3: Any, adapter: S3Adapter) -> None:
    here = {"LocationConstraint": REGION}
    s3.create_bucket(Bucket="vault", CreateBucketConfiguration=here, ObjectLockEnabledForBucket=True)
    version = s3.put_object(Bucket="vault", Key="k", Body=b"1")["VersionId"]
    until = datetime.now(UTC) + timedelta(days=1)
    retention = {"Mode": "COMPLIANCE", "RetainUntilDate": until}
    s3.put_object_retention(Bucket="vault", Key="k", VersionId=version, Retention=retention)
    held = s3.put_object(Bucket="vault", Key="held", Body=b"1")["VersionId"]
    s3.put_object_legal_hold(Bucket="vault", Key="held", LegalHold={"Status": "ON"})
    same_after_round_trip(s3, adapter)
    for key, one in (("k", version), ("held", held)):
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.delete_object(Bucket="vault", Key=key, VersionId=one)


def test_archived_objects_come_back_as_far_as_they_were_restored(s3: Any, adapter: S3Adapter) -> None:
    state_manager.set_transition("s3::keyrestore", {"progression": "manual", "times": 5})
    try:
        for key in ("cold", "warm"):
            s3.put_object(Bucket="box", Key=key, Body=b"ice", StorageClass="GLACIER")
        s3.restore_object(Bucket="box", Key="warm", RestoreRequest={"Days": 3})
        s3.head_object(Bucket="box", Key="warm")
        records = round_trip(adapter)
        warm = s3_backends[ACCOUNT]["aws"].buckets["box"].keys["warm"]
        assert records["object/box/warm@null"].restore_reads == warm._tick > 0
        assert records["object/box/cold@null"].restore_status is None
        for _ in range(10):
            s3.head_object(Bucket="box", Key="warm")
        assert s3.get_object(Bucket="box", Key="warm")["Body"].read() == b"ice"
        assert round_trip(adapter)["object/box/warm@null"].restore_status == "RESTORED"
    finally:
        state_manager.unset_transition("s3::keyrestore")


def test_uploads_in_progress_come_back_and_are_completed(s3: Any, adapter: S3Adapter) -> None:
    uploads = [begin(s3, key) for key in ("z", "a", "z")]  # listed in this order
    rich = begin(
        s3,
        "rich",
        Metadata={"M": "1"},
        Tagging="z=1&a=2",
        ACL="public-read",
        StorageClass="STANDARD_IA",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId="key",
        ChecksumAlgorithm="SHA256",
        ContentType="text/plain",
    )
    parts = [part(s3, "rich", rich, number, b"x" * (5 * _MEBIBYTE)) for number in (2, 1)]
    parts.append(part(s3, "rich", rich, 3, b"end"))
    part(s3, "a", uploads[1], 7, b"only")
    records = same_after_round_trip(s3, adapter)
    assert [record.id for name, record in records.items() if name.startswith("upload/")] == [*uploads, rich]
    assert records[f"part/box/{uploads[1]}/7"].size == 4
    complete(s3, "rich", rich, sorted(parts, key=lambda part: part["PartNumber"]))
    s3.copy_object(Bucket="box", Key="copy", CopySource={"Bucket": "box", "Key": "rich"})
    records = same_after_round_trip(s3, adapter)
    assert [part.body for part in records["object/box/rich@null"].completed.parts] == [None] * 3
    assert s3.head_object(Bucket="box", Key="rich", PartNumber=3)["PartsCount"] == 3
    assert s3.head_object(Bucket="box", Key="copy", PartNumber=3)["ContentLength"] == 3
    again = complete(s3, "rich", rich, sorted(parts, key=lambda part: part["PartNumber"]))
    assert again["ETag"] == s3.head_object(Bucket="box", Key="rich")["ETag"]
    s3.abort_multipart_upload(Bucket="box", Key="a", UploadId=uploads[1])
    same_after_round_trip(s3, adapter)


def test_copies_come_back(s3: Any, adapter: S3Adapter) -> None:
    s3.create_bucket(Bucket="other", CreateBucketConfiguration={"LocationConstraint": REGION})
    versioned(s3, bucket="other")
    s3.put_object(Bucket="box", Key="a b", Body=b"1", Metadata={"m": "1"}, Tagging="k=v", ChecksumAlgorithm="CRC32")
    source = {"Bucket": "box", "Key": "a b"}
    s3.copy_object(Bucket="box", Key="copy", CopySource=source)
    s3.copy_object(Bucket="other", Key="copy", CopySource=source, MetadataDirective="REPLACE", Metadata={"n": "2"})
    s3.copy_object(Bucket="other", Key="copy", CopySource=source, TaggingDirective="REPLACE", Tagging="x=y")
    s3.copy_object(Bucket="box", Key="a b", CopySource=source, StorageClass="STANDARD_IA")  # onto itself
    same_after_round_trip(s3, adapter)


def _tracked() -> list[Any]:
    keys: Any = FakeKey
    return list(keys.instances_tracked)


def test_the_same_place_can_be_restored_again_and_again(s3: Any, adapter: S3Adapter) -> None:
    versioned(s3)
    for number in range(5):
        s3.put_object(Bucket="box", Key="k", Body=b"%d" % number)
    s3.list_object_versions(Bucket="box")
    before, records, backend = asked(s3), take(adapter), s3_backends[ACCOUNT]["aws"]
    tracked = len(_tracked())
    for _ in range(5):
        s3.put_object(Bucket="box", Key="new", Body=b"x")
        adapter.install(backend, REGION, through_json(adapter, records))
        assert take(adapter) == records
    assert asked(s3) == before
    assert len(_tracked()) <= 6 * tracked  # what was replaced is not kept for ever


def test_bodies_are_read_once_and_left_alone(s3: Any) -> None:
    bodies = MemoryBodies()
    adapter = S3Adapter(bodies)
    s3.put_object(Bucket="box", Key="k", Body=b"1234")
    key = s3_backends[ACCOUNT]["aws"].buckets["box"].keys["k"]
    key._value_buffer.seek(3)
    assert adapter.bodies.get(take(adapter)["object/box/k@null"].body) == b"1234"
    assert key._value_buffer.tell() == 3
    bodies.kept.clear()
    take(adapter)
    assert not bodies.kept
    key.value, key._etag = b"abcd", None
    take(adapter)
    assert list(bodies.kept.values()) == [b"abcd"]
    adapter.install(s3_backends[ACCOUNT]["aws"], REGION, take(adapter))
    bodies.kept.clear()
    take(adapter)
    assert not bodies.kept


def test_a_restore_that_fails_changes_nothing(s3: Any) -> None:
    bodies = MemoryBodies()
    adapter = S3Adapter(bodies)
    for key in ("a", "b"):
        s3.put_object(Bucket="box", Key=key, Body=key.encode())
    before, records = asked(s3), take(adapter)
    del bodies.kept[records["object/box/b@null"].body]
    with pytest.raises(MissingBlob):
        adapter.install(s3_backends[ACCOUNT]["aws"], REGION, records)
    assert asked(s3) == before


def test_an_object_that_the_emulator_has_lost_is_told_of(s3: Any, adapter: S3Adapter) -> None:
    s3.put_object(Bucket="box", Key="k", Body=b"1234")
    s3_backends[ACCOUNT]["aws"].buckets["box"].keys["k"].dispose()
    record = round_trip(adapter)["object/box/k@null"]
    assert (record.size, record.body) == (4, None)


def test_other_accounts_write_into_a_bucket_of_its_owner(
    s3: Any, adapter: S3Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", OTHER_ACCOUNT)
    s3.put_object(Bucket="box", Key="k", Body=b"theirs")
    upload = begin(s3, "u")
    part(s3, "u", upload, 1, b"1")
    mine, theirs = s3_backends[ACCOUNT]["aws"], s3_backends[OTHER_ACCOUNT]["aws"]
    groups = {("uploads", "box"), ("parts", "box", upload), ("object", "box", "u")}
    touch = adapter.touches["complete_multipart_upload"]
    assert set(touch(mine, "box", upload)) == groups
    assert set(touch(theirs, "box", upload)) == {Elsewhere(ACCOUNT, "aws", group) for group in groups}
    assert list(adapter.touches["create_bucket"](theirs, "new", REGION)) == [("bucket", "new")]
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    records = same_after_round_trip(s3, adapter)
    assert records["object/box/k@null"].writer == records[f"upload/box/{upload}"].writer == OTHER_ACCOUNT
