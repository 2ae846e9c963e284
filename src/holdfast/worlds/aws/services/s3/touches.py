"""What the emulator's methods of S3 may change, each a group of the bucket that it is given: wherever that is, since an
account's backend does to others' buckets what it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from moto.s3.models import s3_backends

from holdfast.worlds.aws.adapter import Elsewhere, Group, Touch


def _wherever(touch: Callable[..., Iterable[Group]]) -> Touch:
    """The groups where their buckets are."""

    def found(backend: Any, *args: Any, **kwargs: Any) -> Iterator[Group | Elsewhere]:
        for group in touch(backend, *args, **kwargs):
            holder = _holder(backend, group[1])
            yield group if holder is backend else Elsewhere(holder.account_id, holder.region_name, group)

    return found


def _holder(backend: Any, bucket: str) -> Any:
    """The backend that holds a bucket; ``backend`` itself, where none does."""
    if bucket in backend.buckets:
        return backend
    place = s3_backends.bucket_accounts.get(bucket)
    return backend if place is None else s3_backends[place[1]][place[0]]


def _nothing(*_: Any, **__: Any) -> Iterable[Group]:
    return ()


def _bucket(backend: Any, bucket_name: str, *_: Any, **__: Any) -> Iterator[Group]:
    yield "bucket", bucket_name


def _whole_bucket(backend: Any, bucket_name: str, *_: Any, **__: Any) -> Iterator[Group]:
    yield "bucket", bucket_name
    yield "uploads", bucket_name
    for upload in _uploads(backend, bucket_name):
        yield "parts", bucket_name, upload


def _tagged(backend: Any, arn: str, *_: Any, **__: Any) -> Iterator[Group]:
    yield "bucket", arn.split(":")[-1]


def _object(backend: Any, bucket_name: str, key_name: str, *_: Any, **__: Any) -> Iterator[Group]:
    yield "object", bucket_name, key_name


def _objects(backend: Any, bucket_name: str, objects: Any, *_: Any, **__: Any) -> Iterator[Group]:
    for one in objects:
        yield "object", bucket_name, one["Key"]


def _tagged_object(backend: Any, key: Any, *_: Any, **__: Any) -> Iterator[Group]:
    yield "object", key.bucket_name, key.name


def _copy(backend: Any, src_key: Any, dest_bucket_name: str, dest_key_name: str, *_: Any, **__: Any) -> Iterator[Group]:
    yield "object", dest_bucket_name, dest_key_name


def _uploads_of(backend: Any, bucket_name: str, *_: Any, **__: Any) -> Iterator[Group]:
    yield "uploads", bucket_name


def _upload(backend: Any, bucket_name: str, multipart_id: str, *_: Any, **__: Any) -> Iterator[Group]:
    yield "uploads", bucket_name
    yield "parts", bucket_name, multipart_id


def _completed(backend: Any, bucket_name: str, multipart_id: str, *_: Any, **__: Any) -> Iterator[Group]:
    yield from _upload(backend, bucket_name, multipart_id)
    upload = _uploads(backend, bucket_name).get(multipart_id)
    if upload is not None:
        yield "object", bucket_name, upload.key_name


def _part(backend: Any, bucket_name: str, multipart_id: str, *_: Any, **__: Any) -> Iterator[Group]:
    yield "parts", bucket_name, multipart_id


def _copied_part(backend: Any, dest_bucket_name: str, multipart_id: str, *_: Any, **__: Any) -> Iterator[Group]:
    yield "parts", dest_bucket_name, multipart_id


def _uploads(backend: Any, bucket_name: str) -> dict[str, Any]:
    bucket = _holder(backend, bucket_name).buckets.get(bucket_name)
    return bucket.multiparts if bucket is not None else {}


_OF_BUCKETS = (
    "create_bucket",
    "delete_bucket_cors",
    "delete_bucket_encryption",
    "delete_bucket_lifecycle",
    "delete_bucket_ownership_controls",
    "delete_bucket_policy",
    "delete_bucket_replication",
    "delete_bucket_tagging",
    "delete_bucket_website",
    "delete_public_access_block",
    "put_bucket_accelerate_configuration",
    "put_bucket_acl",
    "put_bucket_cors",
    "put_bucket_encryption",
    "put_bucket_inventory_configuration",
    "put_bucket_lifecycle",
    "put_bucket_lifecycle_configuration",
    "put_bucket_logging",
    "put_bucket_notification_configuration",
    "put_bucket_ownership_controls",
    "put_bucket_policy",
    "put_bucket_replication",
    "put_bucket_tagging",
    "put_bucket_versioning",
    "put_bucket_website",
    "put_object_lock_configuration",
    "put_public_access_block",
)
_OF_OBJECTS = (
    "delete_object",
    "delete_object_tagging",
    "get_object",  # handlers change what it gives, and a restore from the archive goes on by being looked at
    "head_object",
    "put_object",
    "put_object_acl",
    "put_object_legal_hold",
    "put_object_retention",
    "restore_object",
    "select_object_content",
)
_OF_NOTHING_HERE = (
    "create_table_storage_bucket",
    "default_vpc_endpoint_service",
    "default_vpc_endpoint_service_factory",
    "delete_table_storage_bucket",
    "is_truncated",
    "log_incoming_request",  # it puts a log by `put_object`
    "owns_arn",
    "upload_file",
    "upload_fileobj",
    "vpce_random_number",
)
_BY_METHOD: dict[str, Callable[..., Iterable[Group]]] = {
    **dict.fromkeys(_OF_BUCKETS, _bucket),
    **dict.fromkeys(_OF_OBJECTS, _object),
    **dict.fromkeys(_OF_NOTHING_HERE, _nothing),
    "delete_bucket": _whole_bucket,
    "tag_resource": _tagged,
    "untag_resource": _tagged,
    "delete_objects": _objects,
    "put_object_tagging": _tagged_object,
    "copy_object": _copy,
    "create_multipart_upload": _uploads_of,
    "abort_multipart_upload": _upload,
    "complete_multipart_upload": _completed,
    "upload_part": _part,
    "upload_part_copy": _copied_part,
}
TOUCHES: dict[str, Touch] = {name: _wherever(touch) for name, touch in _BY_METHOD.items()}
