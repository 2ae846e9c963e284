"""What is wrong with a view of S3 whose values are of the right types. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from holdfast.worlds.aws.adapter import Fault
from holdfast.worlds.aws.services.given import NOT_WRITTEN, TWINS, has_twins, is_lossless
from holdfast.worlds.aws.services.s3.names import (
    bucket_name,
    bucket_of,
    part_name,
    upload_name,
    upload_of,
    version_name,
)
from holdfast.worlds.aws.services.s3.records import Bucket, ObjectVersion, S3Record, Upload, UploadPart
from holdfast.worlds.aws.services.s3.shapes import is_acl

_SEGMENTS = {"bucket": 2, "object": 3, "upload": 3, "part": 4}


def faults(resources: Mapping[str, S3Record]) -> Iterator[Fault]:
    """References that lead nowhere, names that are not those of their records, lists of grants nobody knows."""
    for name, record in resources.items():
        kind = name.partition("/")[0]
        if name.count("/") + 1 < _SEGMENTS.get(kind, 99):
            yield Fault(name, "type", "nothing has such a name")
            continue
        field, expected = _expected(name, record)
        if name != expected:
            yield Fault(name, field, f"it is that of {expected!r}")
            continue
        yield from _dangling(name, record, resources)
        acl = record.acl if isinstance(record, Bucket | ObjectVersion | Upload) else None
        if not is_acl(acl):
            yield Fault(name, "acl", f"there is no canned list {acl!r}")
        if isinstance(record, Bucket | ObjectVersion | Upload) and has_twins(record.tags):
            yield Fault(name, "tags", TWINS)
        if isinstance(record, ObjectVersion) and any(one != one.lower() for one in record.metadata):
            yield Fault(name, "metadata", "the emulator has its names in lower case")
        if isinstance(record, Bucket):
            yield from _faults_of_settings(name, record)


def _faults_of_settings(name: str, bucket: Bucket) -> Iterator[Fault]:
    for field in ("policy", "website"):
        if not is_lossless(getattr(bucket, field)):
            yield Fault(name, field, NOT_WRITTEN)
    if has_twins([(one.id,) for one in bucket.inventories]):
        yield Fault(name, "inventories", TWINS)
    heard = bucket.notifications
    for one in () if heard is None else (*heard.topic, *heard.queue, *heard.cloud_function):
        if not _is_filter(one.filters):
            yield Fault(name, "notifications", f"the filter of {one.id!r} has no rules")


def _is_filter(filters: dict[str, Any]) -> bool:
    keys = filters.get("S3Key", {"FilterRule": []})
    rules = keys.get("FilterRule") if isinstance(keys, dict) else None
    return isinstance(rules, list) and all(isinstance(one, dict) and {"Name", "Value"} <= one.keys() for one in rules)


def _expected(name: str, record: S3Record) -> tuple[str, str]:
    """The field that names a record, and the name that it gives it."""
    if isinstance(record, Bucket):
        return "name", bucket_name(record.name)
    bucket = bucket_of(name)
    if isinstance(record, Upload):
        return "id", upload_name(bucket, record.id)
    if isinstance(record, UploadPart):
        upload = upload_of(name) if name.startswith("part/") else ""
        return "number", part_name(bucket, upload, record.number)
    return "key", version_name(bucket, record.key, record.version or "null")


def _dangling(name: str, record: S3Record, resources: Mapping[str, S3Record]) -> Iterator[Fault]:
    bucket = bucket_of(name)
    if bucket_name(bucket) not in resources:
        yield Fault(name, "key", f"there is no bucket {bucket!r}")
    if isinstance(record, UploadPart):
        upload = upload_name(bucket, upload_of(name))
        if upload not in resources:
            yield Fault(name, "number", f"there is no upload {upload!r}")
        if record.number < 1:
            yield Fault(name, "number", "parts begin with 1")
