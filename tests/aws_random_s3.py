"""Random operations of clients on S3, and all that one can ask of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st

from tests.aws_kit import REGION
from tests.aws_random_kit import Clients, answer, few, operation, texts

BUCKETS, KEYS = ("red", "blue"), ("a", "b/c", "ü@1")
buckets, keys = map(st.sampled_from, (BUCKETS, KEYS))
bodies = st.sampled_from([b"", b"one", b"two", bytes(range(256)) * 40])
_OF_BUCKETS = (
    "get_bucket_acl",
    "get_bucket_cors",
    "get_bucket_lifecycle_configuration",
    "get_bucket_policy",
    "get_bucket_tagging",
    "get_bucket_versioning",
    "get_public_access_block",
    "list_multipart_uploads",
    "list_objects_v2",
)


class S3Clients(Clients):
    service = "s3"
    operations = st.one_of(
        operation("put", buckets, keys, bodies, texts),
        operation("put", buckets, keys, bodies, texts),
        operation("delete", buckets, keys),
        operation("delete_version", buckets, keys, few),
        operation("delete_several", buckets, st.lists(keys, min_size=1, max_size=3)),
        operation("copy", buckets, keys, buckets, keys),
        operation("versioning", buckets, st.sampled_from(["Enabled", "Enabled", "Suspended"])),
        operation("begin_upload", buckets, keys),
        operation("part", few, st.integers(1, 3), bodies),
        operation("complete", few),
        operation("abort", few),
        operation("tag", buckets, keys, texts),
        operation("untag", buckets, keys),
        operation("acl", buckets, keys, st.sampled_from(["private", "public-read"])),
        operation("configure", buckets, st.integers(0, 5), few),
        operation("unconfigure", buckets),
        operation("create_bucket", buckets),
        operation("delete_bucket", buckets),
    )

    def begin(self) -> None:
        self._uploads: list[tuple[dict[str, str], dict[int, str]]] = []
        for bucket in BUCKETS:
            self.create_bucket(bucket)
        self.versioning(BUCKETS[1], "Enabled")

    def answers(self) -> dict[str, Any]:
        return dict(self._answers())

    def _answers(self) -> Iterator[tuple[str, Any]]:
        found = self.client.list_buckets()["Buckets"]
        yield "buckets", found
        for bucket in (one["Name"] for one in found):
            yield from ((f"{read} {bucket}", answer(getattr(self.client, read), Bucket=bucket)) for read in _OF_BUCKETS)
            listed = self.client.list_object_versions(Bucket=bucket)
            yield f"list_versions {bucket}", {**listed, "ResponseMetadata": None}
            for one in (*listed.get("Versions", ()), *listed.get("DeleteMarkers", ())):
                place = {"Bucket": bucket, "Key": one["Key"]}
                if one["IsLatest"]:
                    yield f"latest {place}", answer(self._whole, **place)
                place["VersionId"] = one["VersionId"]
                for read in (self._whole, self.client.get_object_acl, self.client.get_object_tagging):
                    yield f"{read.__name__} {place}", answer(read, **place)
            for one in self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", ()):
                place = {"Bucket": bucket, "Key": one["Key"], "UploadId": one["UploadId"]}
                yield f"parts {place}", answer(self.client.list_parts, **place)

    def _whole(self, **place: str) -> dict[str, Any]:
        found = self.client.get_object(**place)
        return {**found, "Body": found["Body"].read()}

    def alone(self, answers: dict[str, Any]) -> dict[str, Any]:
        return {read: told for read, told in answers.items() if not read.startswith(("buckets", "list_"))}

    def create_bucket(self, bucket: str) -> None:
        self.client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})

    def delete_bucket(self, bucket: str) -> None:
        self.client.delete_bucket(Bucket=bucket)

    def put(self, bucket: str, key: str, body: bytes, text: str) -> None:
        self.client.put_object(Bucket=bucket, Key=key, Body=body, Metadata={"text": str(len(text))})

    def delete(self, bucket: str, key: str) -> None:
        self.client.delete_object(Bucket=bucket, Key=key)

    def delete_version(self, bucket: str, key: str, number: int) -> None:
        listed = self.client.list_object_versions(Bucket=bucket, Prefix=key)
        found = [one["VersionId"] for kind in ("Versions", "DeleteMarkers") for one in listed.get(kind, ())]
        if found:
            self.client.delete_object(Bucket=bucket, Key=key, VersionId=found[number % len(found)])

    def delete_several(self, bucket: str, several: list[str]) -> None:
        self.client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in several]})

    def copy(self, source: str, key: str, bucket: str, target: str) -> None:
        self.client.copy_object(CopySource={"Bucket": source, "Key": key}, Bucket=bucket, Key=target)

    def versioning(self, bucket: str, status: str) -> None:
        self.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})

    def begin_upload(self, bucket: str, key: str) -> None:
        told = self.client.create_multipart_upload(Bucket=bucket, Key=key, Metadata={"by": "parts"})
        self._uploads.append(({"Bucket": bucket, "Key": key, "UploadId": told["UploadId"]}, {}))

    def part(self, upload: int, number: int, body: bytes) -> None:
        if self._uploads:
            place, parts = self._uploads[upload % len(self._uploads)]
            parts[number] = self.client.upload_part(**place, PartNumber=number, Body=body)["ETag"]

    def complete(self, upload: int) -> None:
        if self._uploads:
            place, parts = self._uploads[upload % len(self._uploads)]
            listed = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(parts.items())]
            self.client.complete_multipart_upload(**place, MultipartUpload={"Parts": listed})

    def abort(self, upload: int) -> None:
        if self._uploads:
            self.client.abort_multipart_upload(**self._uploads[upload % len(self._uploads)][0])

    def tag(self, bucket: str, key: str, text: str) -> None:
        tags = {"TagSet": [{"Key": "text", "Value": f"t{len(text)}"}]}
        self.client.put_object_tagging(Bucket=bucket, Key=key, Tagging=tags)

    def untag(self, bucket: str, key: str) -> None:
        self.client.delete_object_tagging(Bucket=bucket, Key=key)

    def acl(self, bucket: str, key: str, canned: str) -> None:
        self.client.put_object_acl(Bucket=bucket, Key=key, ACL=canned)

    def configure(self, bucket: str, kind: int, number: int) -> None:
        tags = {"TagSet": [{"Key": "number", "Value": str(number)}]}
        rule = {"AllowedMethods": ["GET"], "AllowedOrigins": [f"https://{number}.example"]}
        life = {"ID": str(number), "Status": "Enabled", "Filter": {"Prefix": "x"}, "Expiration": {"Days": number + 1}}
        policy = {"Version": "2012-10-17", "Statement": [{"Sid": str(number), "Effect": "Allow", "Action": "s3:*"}]}
        acts: list[Callable[[], object]] = [
            lambda: self.client.put_bucket_tagging(Bucket=bucket, Tagging=tags),
            lambda: self.client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]}),
            lambda: self.client.put_bucket_lifecycle_configuration(
                Bucket=bucket, LifecycleConfiguration={"Rules": [life]}
            ),
            lambda: self.client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy)),
            lambda: self.client.put_bucket_acl(Bucket=bucket, ACL="public-read" if number % 2 else "private"),
            lambda: self.client.put_public_access_block(
                Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicAcls": number % 2 == 1}
            ),
        ]
        acts[kind]()

    def unconfigure(self, bucket: str) -> None:
        self.client.delete_bucket_tagging(Bucket=bucket)
        self.client.delete_bucket_cors(Bucket=bucket)
        self.client.delete_bucket_policy(Bucket=bucket)
