"""What tests of S3 in views share: all that a client can ask, and a round trip that compares every version."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError, FlexibleChecksumError
from moto.s3.models import s3_backends

from holdfast.worlds.aws.services.s3 import S3Adapter
from tests import aws_kit
from tests.aws_kit import ACCOUNT, REGION

_OF_A_BUCKET = (
    "get_bucket_accelerate_configuration",
    "get_bucket_acl",
    "get_bucket_cors",
    "get_bucket_encryption",
    "get_bucket_lifecycle_configuration",
    "get_bucket_location",
    "get_bucket_logging",
    "get_bucket_notification_configuration",
    "get_bucket_ownership_controls",
    "get_bucket_policy",
    "get_bucket_policy_status",
    "get_bucket_replication",
    "get_bucket_tagging",
    "get_bucket_versioning",
    "get_bucket_website",
    "get_object_lock_configuration",
    "get_public_access_block",
    "head_bucket",
    "list_bucket_inventory_configurations",
    "list_multipart_uploads",
    "list_object_versions",
    "list_objects",
    "list_objects_v2",
)
_OF_A_VERSION = ("get_object", "head_object", "get_object_acl", "get_object_tagging", "get_object_legal_hold")
_ATTRIBUTES = ["ETag", "Checksum", "ObjectSize", "StorageClass"]


def asked(s3: Any) -> dict[str, Any]:
    """Every answer to every read of everything there is."""
    found = {"buckets": _answer(s3.list_buckets)}
    for bucket in found["buckets"]["Buckets"]:
        found[bucket["Name"]] = {name: _answer(getattr(s3, name), Bucket=bucket["Name"]) for name in _OF_A_BUCKET}
        found[bucket["Name"]] |= dict(_of_versions(s3, bucket["Name"]))
        found[bucket["Name"]] |= dict(_of_uploads(s3, bucket["Name"]))
    return found


def _of_versions(s3: Any, bucket: str) -> Iterator[tuple[str, Any]]:
    listed = s3.list_object_versions(Bucket=bucket)
    for one in (*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())):
        key = {"Bucket": bucket, "Key": one["Key"]}
        version = {**key, "VersionId": one["VersionId"]}
        for place in (key, version) if one["IsLatest"] else (version,):
            for name in _OF_A_VERSION:
                yield f"{name} {place}", _answer(getattr(s3, name), **place)
            yield f"attributes {place}", _answer(s3.get_object_attributes, **place, ObjectAttributes=_ATTRIBUTES)
        if one in listed.get("Versions", ()):  # of a delete marker, the emulator fails
            yield f"part {version}", _answer(s3.head_object, **version, PartNumber=1)


def _of_uploads(s3: Any, bucket: str) -> Iterator[tuple[str, Any]]:
    for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", ()):
        place = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
        yield upload["UploadId"], _answer(s3.list_parts, **place)


def _answer(read: Any, **arguments: Any) -> Any:
    try:
        answer = read(**arguments)
    except ClientError as error:
        return error.response["Error"]
    except AttributeError as error:  # of a delete marker's parts, the emulator fails
        return str(error)
    del answer["ResponseMetadata"]
    if "Body" in answer:
        answer["Body"] = _read(answer["Body"])
    return answer


def _read(body: Any) -> bytes | str:
    try:
        return bytes(body.read())
    except FlexibleChecksumError as error:  # the emulator took that of the body as it was sent, in chunks
        return str(error)


def round_trip(adapter: S3Adapter, account: str = ACCOUNT, region: str = REGION) -> dict[str, Any]:
    """As :func:`tests.aws_kit.round_trip`, and all versions of the keys are compared, not the latest alone."""
    place = adapter.place(region)
    old = s3_backends[account][place]
    records = aws_kit.round_trip(adapter, account, region)
    new = s3_backends[account][place]
    skipped = {coverage.model: set(coverage.left) for coverage in adapter.coverage}
    assert list(aws_kit.differences(list(_lists(old)), list(_lists(new)), skipped)) == []
    return records


def _lists(backend: Any) -> Iterator[Any]:
    for bucket in backend.buckets.values():
        yield [dict.__getitem__(bucket.keys, key) for key in bucket.keys]
        yield [
            part._value_buffer.closed or part.value for up in bucket.multiparts.values() for part in up.parts.values()
        ]
        yield [
            one._value_buffer.closed or one.value
            for versions in dict.values(bucket.keys)
            for one in versions
            if hasattr(one, "_value_buffer")
        ]


def versioned(s3: Any, status: str = "Enabled", bucket: str = "box") -> None:
    """Set whether a bucket has versions."""
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def begin(s3: Any, key: str, **options: Any) -> str:
    """Begin an upload to the bucket ``box``; returns its id."""
    return str(s3.create_multipart_upload(Bucket="box", Key=key, **options)["UploadId"])


def part(s3: Any, key: str, upload: str, number: int, body: bytes) -> dict[str, Any]:
    """Upload a part; returns what :func:`complete` names it by."""
    etag = s3.upload_part(Bucket="box", Key=key, UploadId=upload, PartNumber=number, Body=body)["ETag"]
    return {"PartNumber": number, "ETag": etag}


def complete(s3: Any, key: str, upload: str, parts: list[dict[str, Any]]) -> Any:
    """Complete an upload."""
    return s3.complete_multipart_upload(Bucket="box", Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
