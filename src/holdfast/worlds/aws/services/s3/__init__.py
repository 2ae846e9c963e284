"""S3: buckets with their objects, all versions of them, and uploads in progress."""

from __future__ import annotations

from holdfast.worlds.aws.services.s3.adapter import S3Adapter
from holdfast.worlds.aws.services.s3.records import Bucket, DeleteMarker, ObjectVersion, Upload, UploadPart

__all__ = ["Bucket", "DeleteMarker", "ObjectVersion", "S3Adapter", "Upload", "UploadPart"]
