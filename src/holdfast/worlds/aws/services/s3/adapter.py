"""S3: the emulator's buckets, objects and uploads into records, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any, ClassVar

from moto.s3 import models
from moto.utilities.utils import get_partition

from holdfast.worlds.aws.adapter import Adapter, Bodies, Fault, Group, Part
from holdfast.worlds.aws.services.s3 import buckets, names, objects, shapes
from holdfast.worlds.aws.services.s3.checks import faults
from holdfast.worlds.aws.services.s3.digests import Digests
from holdfast.worlds.aws.services.s3.records import Bucket, ObjectVersion, S3Record, UploadPart
from holdfast.worlds.aws.services.s3.touches import TOUCHES
from holdfast.worlds.aws.shapes import backend_coverage
from holdfast.worlds.model import StateView

_BACKEND = backend_coverage(
    models.S3Backend,
    held=("buckets", "tagger"),
    rebuilt=("inventory_configs",),  # the emulator never uses this one
    left={
        "table_buckets": "S3 Tables and their buckets",
        "_pagination_tokens": "continuation tokens of listings under way",
        "tagger": "tags that deleted buckets and objects have left behind",
    },
)


class S3Adapter(Adapter[S3Record]):
    """Buckets; each key a group of its versions; the uploads of a bucket, and the parts of each.

    Bucket names are global: one that another account or region holds is an :meth:`obstacle`.
    """

    service_name = "s3"
    view_type = StateView[S3Record]
    merged_below = frozenset({"object"})
    coverage = (_BACKEND, *buckets.COVERAGE, *objects.COVERAGE, *shapes.COVERAGE)
    extra_not_captured = ("tags of S3 Control's resources", "tags that an account gives to another's objects")
    touches: ClassVar = TOUCHES

    def __init__(self, bodies: Bodies) -> None:
        super().__init__(bodies)
        self._digests = Digests(bodies)

    @property
    def backends(self) -> Any:
        return models.s3_backends

    def place(self, region: str) -> str:
        return get_partition(region)

    def groups(self, backend: Any, region: str | None = None) -> Iterator[Group]:
        for name, bucket in backend.buckets.items():
            if region is not None and bucket.region_name != region:
                continue
            yield "bucket", name
            if bucket.multiparts:
                yield "uploads", name
            for upload in bucket.multiparts.values():
                if upload.parts:
                    yield "parts", name, upload.id
            for key in bucket.keys:
                yield "object", name, key

    def read(self, backend: Any, group: Group) -> Part[S3Record] | None:
        bucket = backend.buckets.get(group[1])
        if bucket is None:
            return None
        found = self._read(backend, bucket, group)
        return Part(bucket.region_name, found) if found else None

    def _read(self, backend: Any, bucket: Any, group: Group) -> dict[str, Any]:
        reader = objects.Reader(backend, self._digests)
        kind = group[0]
        if kind == "object":
            return reader.versions(bucket.name, group[2], bucket.keys.getlist(group[2], []))
        if kind == "uploads":
            return reader.uploads(bucket.name, bucket.multiparts)
        if kind == "parts":
            upload = bucket.multiparts.get(group[2])
            return {} if upload is None else reader.parts(bucket.name, upload)
        return {names.bucket_name(bucket.name): buckets.capture_bucket(backend, bucket)}

    def group_of(self, name: str) -> Group:
        return names.group_of(name)

    def install(self, backend: Any, region: str, resources: Mapping[str, S3Record]) -> None:
        builder = objects.Builder(backend, self.bodies, self._digests)
        try:
            built = buckets.Region(backend, region, builder, resources)
        except BaseException:
            builder.discard()
            raise
        built.put_in_place()

    def check(self, resources: Mapping[str, S3Record]) -> Iterator[Fault]:
        return faults(resources)

    def digests(self, record: S3Record) -> Iterable[str]:
        if isinstance(record, ObjectVersion) and record.completed is not None:
            parts = [part.body for part in record.completed.parts]
            return [body for body in (record.body, *parts) if body is not None]
        if isinstance(record, ObjectVersion | UploadPart) and record.body is not None:
            return (record.body,)
        return ()

    def claims(self, resources: Mapping[str, S3Record]) -> Mapping[str, str]:
        return {record.name: name for name, record in resources.items() if isinstance(record, Bucket)}

    def without(self, resources: Mapping[str, S3Record], claimed: Set[str]) -> dict[str, S3Record]:
        return {name: record for name, record in resources.items() if self.group_of(name)[1] not in claimed}

    def obstacle(self, account_id: str, region: str, resources: Mapping[str, S3Record]) -> Fault | None:
        for name, record in resources.items():
            if isinstance(record, Bucket) and (holder := self._other_holder(account_id, region, record.name)):
                return Fault(name, "name", f"the bucket {record.name!r} belongs to {holder}")
        return None

    def _other_holder(self, account_id: str, region: str, bucket: str) -> str | None:
        """Who has a bucket of that name, if not this region of the account."""
        held = models.s3_backends.bucket_accounts.get(bucket)
        if held is None:
            return None
        partition, account = held
        if account != account_id:
            return f"the account {account}"
        found = models.s3_backends[account][partition].buckets.get(bucket)
        if found is None:
            return "S3 Tables"
        return None if found.region_name == region else f"the region {found.region_name}"
