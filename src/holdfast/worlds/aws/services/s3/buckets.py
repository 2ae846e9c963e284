"""The emulator's buckets into records, and back into their place."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from moto.s3 import models
from moto.s3.utils import _VersionedKeyStore

from holdfast.worlds.aws.services.s3.names import bucket_of, upload_of
from holdfast.worlds.aws.services.s3.objects import Builder
from holdfast.worlds.aws.services.s3.records import (
    Bucket,
    DeleteMarker,
    ObjectVersion,
    S3Record,
    Upload,
    UploadPart,
)
from holdfast.worlds.aws.services.s3.settings import Tags
from holdfast.worlds.aws.services.s3.shapes import BUCKET_WAYS
from holdfast.worlds.aws.shapes import Shape

_BUCKET = Shape(
    models.FakeBucket,
    Bucket,
    names={
        "namespace": "bucket_namespace",
        "created": "creation_date",
        "versioning": "versioning_status",
        "ownership": "ownership_rule",
        "lifecycle": "rules",
        "website": "website_configuration",
        "notifications": "notification_configuration",
        "inventories": "inventory_configs",
        "acceleration": "accelerate_configuration",
        "object_lock": "object_lock_enabled",
    },
    ways=BUCKET_WAYS,
    extra=("tags",),
    rebuilt=("account_id", "region_name", "partition", "keys", "multiparts"),
)
COVERAGE = (_BUCKET.coverage,)


def capture_bucket(backend: Any, found: Any) -> Bucket:
    """The record of a bucket, without what is in it."""
    return _BUCKET.capture(found, tags=list(backend.tagger.tags.get(found.arn, {}).items()))


class Region:
    """A region's buckets, built beside those that are there.

    Args:
        backend: that the buckets are for.
        name: of the region.
        builder: of what is in them.
        resources: checked, in the order of their ranks.
    """

    def __init__(self, backend: Any, name: str, builder: Builder, resources: Mapping[str, S3Record]) -> None:
        self._backend = backend
        self._name = name
        self._builder = builder
        self._tags: dict[str, dict[str, str | None]] = {}
        self._markers: list[tuple[Any, DeleteMarker, list[Any]]] = []
        self._buckets = {one.name: self._bucket(one) for one in resources.values() if isinstance(one, Bucket)}
        for name, record in resources.items():
            if isinstance(record, Upload):
                self._buckets[bucket_of(name)].multiparts[record.id] = builder.upload(record, [])
        for name, record in resources.items():
            self._fill(self._buckets[bucket_of(name)], name, record)
        for marker, record, versions in self._markers:
            marker.key = builder.hidden(record, versions)

    def _bucket(self, record: Bucket) -> Any:
        backend = self._backend
        bucket = _BUCKET.build(
            record,
            account_id=backend.account_id,
            region_name=self._name,
            partition=backend.partition,
            keys=_VersionedKeyStore(),
            multiparts=models.MultipartDict(),
        )
        self._tag(bucket, record.tags)
        return bucket

    def _fill(self, bucket: Any, name: str, record: S3Record) -> None:
        if isinstance(record, ObjectVersion):
            version = self._builder.version(bucket.name, record)
            _versions_of(bucket, record.key).append(version)
            self._tag(version, record.tags)
        elif isinstance(record, DeleteMarker):
            marker, versions = self._builder.marker(record), _versions_of(bucket, record.key)
            versions.append(marker)
            self._markers.append((marker, record, versions))
        elif isinstance(record, UploadPart):
            self._builder.part(bucket.multiparts[upload_of(name)], record)

    def _tag(self, tagged: Any, tags: Tags) -> None:
        if tags:
            self._tags[tagged.arn] = dict(tags)

    def put_in_place(self) -> None:
        """Make these the region's buckets, and dispose of those that were."""
        backend, buckets, accounts = self._backend, self._buckets, models.s3_backends.bucket_accounts
        old = {name: bucket for name, bucket in backend.buckets.items() if bucket.region_name == self._name}
        concerned = old.keys() | buckets.keys()
        start = len(f"arn:{backend.partition}:s3:::")
        others = {
            arn: tags for arn, tags in backend.tagger.tags.items() if arn[start:].partition("/")[0] not in concerned
        }
        backend.buckets = dict(_arranged(backend.buckets, old, buckets))
        backend.tagger.tags = others | self._tags
        models.s3_backends.bucket_accounts = {
            **{name: holder for name, holder in accounts.items() if name not in old},
            **dict.fromkeys(buckets, (backend.partition, backend.account_id)),
        }
        for bucket in old.values():
            _dispose(bucket)
        known = models.FakeKey.instances_tracked  # type: ignore[attr-defined]
        models.FakeKey.instances_tracked = [*_alive(known), *_alive(self._builder.made)]  # type: ignore[attr-defined]


def _versions_of(bucket: Any, key: str) -> list[Any]:
    """Those of a key, in the emulator's own list of them."""
    versions: list[Any] = dict.setdefault(bucket.keys, key, [])
    return versions


def _arranged(present: dict[str, Any], old: Container[str], new: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """All buckets of an account, as they are listed: in the order of their making, whatever their regions and whichever
    of these was put in place first; of one moment, those that stay where they were, the rest behind."""
    yield from sorted(_in_place(present, old, new), key=lambda item: item[1].creation_date.replace(tzinfo=None))


def _in_place(present: dict[str, Any], old: Container[str], new: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    rest = iter(new.items())
    for name, bucket in present.items():
        if name not in old:
            yield name, bucket
        elif name in new:
            yield next(rest)
    yield from rest


def _alive(holders: Iterable[Any]) -> list[Any]:
    """Those that the emulator has not disposed of; it would keep the others as long as it runs."""
    return [holder for holder in holders if not getattr(holder, "disposed", False)]


def _dispose(bucket: Any) -> None:
    for versions in dict.values(bucket.keys):
        for version in versions:
            if isinstance(version, models.FakeKey):
                version.dispose()
    for upload in bucket.multiparts.values():
        upload.dispose()
