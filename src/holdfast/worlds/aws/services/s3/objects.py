"""The emulator's versions of objects, delete markers and uploads into records, and back."""

from __future__ import annotations

from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from threading import Lock
from typing import Any

from moto.moto_api import state_manager
from moto.s3 import models
from moto.settings import get_s3_default_key_buffer_size
from moto.utilities.utils import LowercaseDict

from holdfast.worlds.aws.adapter import Bodies
from holdfast.worlds.aws.services.s3.digests import Digests
from holdfast.worlds.aws.services.s3.names import part_name, upload_name, version_name
from holdfast.worlds.aws.services.s3.records import CompletedUpload, DeleteMarker, ObjectVersion, Upload, UploadPart
from holdfast.worlds.aws.services.s3.settings import Acl
from holdfast.worlds.aws.services.s3.shapes import ACL, METADATA, TAGS, UPLOAD_METADATA
from holdfast.worlds.aws.shapes import SAME, Coverage, Shape

_READS = {"_tick": "how often an object was read"}
_MANAGED = ("_transitions", "model_name")
_BUFFER = ("_value_buffer", "_max_buffer_size", "lock", "disposed")
_PLACE = ("account_id", "region_name", "partition")
_TRANSITIONS = [(None, "IN_PROGRESS"), ("IN_PROGRESS", "RESTORED")]
_STATE_MODEL = "s3::keyrestore"
_OBJECT = Shape(
    models.FakeKey,
    ObjectVersion,
    names={
        "key": "name",
        "version": "_version_id",
        "size": "contentsize",
        "etag": "_etag",
        "versioned": "_is_versioned",
        "metadata": "_metadata",
        "storage_class": "_storage_class",
        "expiry": "_expiry",
        "restore_status": "_status",
        "status_since": "_time_progressed",
    },
    ways={"last_modified": SAME, "expiry": SAME, "status_since": SAME, "metadata": METADATA},
    extra=("acl", "body", "tags", "restore_reads", "completed", "writer"),
    rebuilt=(*_MANAGED, *_BUFFER, *_PLACE, "acl", "bucket_name", "multipart"),
    left=_READS,
)
_SAME_IN_EACH_PART: dict[str, Any] = {
    "_version_id": None,
    "_is_versioned": False,
    "_storage_class": "STANDARD",
    "_expiry": None,
    "_status": None,
    "bucket_name": None,
    "multipart": None,
    "website_redirect_location": None,
    "bucket_key_enabled": None,
    **dict.fromkeys(("checksum_algorithm", "checksum_value", "checksum_type", "checksum_parts")),
    **dict.fromkeys(("lock_mode", "lock_legal_status", "lock_until")),
}
_PART = Shape(
    models.FakeKey,
    UploadPart,
    names={"number": "name", "size": "contentsize", "etag": "_etag", "status_since": "_time_progressed"},
    ways={"last_modified": SAME, "status_since": SAME},
    extra=("body",),
    rebuilt=(*_MANAGED, *_BUFFER, *_PLACE, *_SAME_IN_EACH_PART, "acl", "_metadata"),
    left=_READS,
)
_MARKER = Shape(
    models.FakeDeleteMarker,
    DeleteMarker,
    names={"key": "name", "version": "_version_id"},
    ways={"last_modified": SAME},
    extra=("hides", "hides_marker"),
    left={"key": "deleted versions that a delete marker was put upon"},
)
_UPLOAD = Shape(
    models.FakeMultipart,
    Upload,
    names={"key": "key_name", "storage_class": "storage", "encryption": "sse_encryption"},
    ways={"metadata": UPLOAD_METADATA, "tags": TAGS, "acl": ACL},
    extra=("writer",),
    rebuilt=("account_id", "region_name", "parts", "partlist"),
)
COVERAGE: tuple[Coverage, ...] = (_OBJECT.coverage, _PART.coverage, _MARKER.coverage, _UPLOAD.coverage)


class Reader:
    """Of one of the emulator's backends.

    Args:
        backend: that the buckets are in.
        digests: of its objects.
    """

    def __init__(self, backend: Any, digests: Digests) -> None:
        self._account = backend.account_id
        self._tags = backend.tagger.tags
        self._digests = digests

    def versions(self, bucket: str, key: str, found: list[Any]) -> dict[str, ObjectVersion | DeleteMarker]:
        """All that is to be had under a key."""
        return {version_name(bucket, key, one.version_id): self._version(one) for one in found}

    def uploads(self, bucket: str, found: dict[str, Any]) -> dict[str, Upload]:
        """All uploads of a bucket in progress, without their parts."""
        return {upload_name(bucket, ident): self._upload(one) for ident, one in found.items()}

    def parts(self, bucket: str, found: Any) -> dict[str, UploadPart]:
        """The parts of an upload."""
        return {part_name(bucket, found.id, part.number): part for part in self._parts(found)}

    def _version(self, found: Any) -> ObjectVersion | DeleteMarker:
        if isinstance(found, models.FakeDeleteMarker):
            hidden = found.key
            is_marker = isinstance(hidden, models.FakeDeleteMarker)
            return _MARKER.capture(found, hides=hidden.version_id, hides_marker=is_marker)
        tags = self._tags.get(found.arn)
        completed = found.multipart
        return _OBJECT.capture(
            found,
            acl=ACL.into(found.acl),
            body=self._digests.of(found),
            tags=list(tags.items()) if tags else [],
            restore_reads=found._tick if _restores_by_reads() else 0,
            completed=completed and CompletedUpload(upload=self._upload(completed), parts=list(self._parts(completed))),
            writer=self._writer(found),
        )

    def _upload(self, found: Any) -> Upload:
        return _UPLOAD.capture(found, writer=self._writer(found))

    def _parts(self, found: Any) -> Iterator[UploadPart]:
        return (_PART.capture(part, body=self._digests.of(part)) for part in found.parts.values())

    def _writer(self, found: Any) -> str | None:
        return None if found.account_id == self._account else found.account_id


def _restores_by_reads() -> bool:
    return bool(state_manager.get_transition(_STATE_MODEL)["progression"] == "manual")


class Builder:
    """For one of the emulator's backends.

    Args:
        backend: that the objects are for.
        bodies: what they hold.
        digests: to be told of it.

    Attributes:
        made: all that hold bytes; the emulator has to know of them, to dispose of them.
    """

    def __init__(self, backend: Any, bodies: Bodies, digests: Digests) -> None:
        self.made: list[Any] = []
        self._account = backend.account_id
        self._partition = backend.partition
        self._bodies = bodies
        self._digests = digests
        self._canned: dict[str, Any] = {}
        self._buffer_size = get_s3_default_key_buffer_size()

    def discard(self) -> None:
        """Dispose of all that was made: it is not needed."""
        for holder in self.made:
            holder.dispose()

    def version(self, bucket: str, record: ObjectVersion) -> Any:
        """A version of an object."""
        completed = record.completed
        return self._holder(
            _OBJECT,
            record,
            acl=self._acl(record.acl),
            bucket_name=bucket,
            account_id=record.writer or self._account,
            multipart=completed and self.upload(completed.upload, completed.parts),
            _tick=record.restore_reads,
        )

    def marker(self, record: DeleteMarker) -> Any:
        """A delete marker upon nothing yet."""
        return _MARKER.build(record, key=None)

    def hidden(self, record: DeleteMarker, versions: list[Any]) -> Any:
        """What a delete marker is upon: one of the versions of its key, or, in place of one that was deleted from
        under it, something of which only the kind is the same."""
        kind = models.FakeDeleteMarker if record.hides_marker else models.FakeKey
        found = next((one for one in versions if isinstance(one, kind) and one.version_id == record.hides), None)
        return found or self._gone(record)

    def upload(self, record: Upload, parts: list[UploadPart]) -> Any:
        """An upload with its parts."""
        account = record.writer or self._account
        upload = _UPLOAD.build(record, account_id=account, region_name=self._partition, parts={}, partlist=[])
        for part in parts:
            self.part(upload, part)
        return upload

    def part(self, upload: Any, record: UploadPart) -> None:
        """A part, added to its upload."""
        upload.parts[record.number] = self._holder(
            _PART,
            record,
            account_id=upload.account_id,
            acl=self._acl("private"),
            _metadata=LowercaseDict({"Content-Type": "binary/octet-stream"}),
            _tick=0,
            **_SAME_IN_EACH_PART,
        )
        upload.partlist = sorted(upload.parts)

    def _holder(self, shape: Shape[Any], record: ObjectVersion | UploadPart, **attributes: Any) -> Any:
        body = b"" if record.body is None else self._bodies.get(record.body)
        buffer = SpooledTemporaryFile(self._buffer_size)  # noqa: SIM115 - it is the emulator's to close
        buffer.write(body)
        if record.body is None:
            buffer.close()
        else:
            attributes["contentsize"] = len(body)
        made = shape.build(
            record,
            region_name=self._partition,
            partition=self._partition,
            model_name=_STATE_MODEL,
            _transitions=list(_TRANSITIONS),
            _max_buffer_size=self._buffer_size,
            _value_buffer=buffer,
            lock=Lock(),
            disposed=record.body is None,
            **attributes,
        )
        self.made.append(made)
        if record.body is not None:
            self._digests.know(made, record.body)
        return made

    def _acl(self, record: Acl) -> Any:
        """Canned lists are shared, as the emulator itself shares a bucket's among its objects: none is ever changed."""
        if not isinstance(record, str):
            return ACL.back(record)
        if record not in self._canned:
            self._canned[record] = ACL.back(record)
        return self._canned[record]

    def _gone(self, record: DeleteMarker) -> Any:
        key, version, since = record.key, record.hides, record.last_modified
        if record.hides_marker:
            return self.marker(DeleteMarker(key=key, version=version, last_modified=since, hides="null"))
        lost = ObjectVersion(
            key=key,
            version=version,
            size=0,
            etag="",
            last_modified=since,
            status_since=since,
            metadata={},
            acl="private",
            storage_class="STANDARD",
        )
        return self.version("", lost)
