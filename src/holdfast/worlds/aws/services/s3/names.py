"""How resources of S3 are named, and to which groups they belong. Pure: no I/O."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, unquote

from holdfast.worlds.aws.adapter import Group

_quoted = lru_cache(4096)(lambda text: quote(text, safe=""))
_unquoted = lru_cache(4096)(unquote)
_unchanged = re.compile(r"[A-Za-z0-9_.~/-]*", re.ASCII).fullmatch
"""Of a text that :func:`quote` leaves as it is, in a fraction of the time."""


def bucket_name(bucket: str) -> str:
    """``bucket/BUCKET``."""
    return f"bucket/{_quoted(bucket)}"


def version_name(bucket: str, key: str, version: str) -> str:
    """``object/BUCKET/KEY@VERSION``: a key keeps its slashes, since it comes last, but no ``@``."""
    path = key if _unchanged(key) else quote(key)
    return f"object/{_quoted(bucket)}/{path}@{version if version == 'null' else quote(version, safe='')}"


def upload_name(bucket: str, upload: str) -> str:
    """``upload/BUCKET/ID``."""
    return f"upload/{_quoted(bucket)}/{_quoted(upload)}"


def part_name(bucket: str, upload: str, number: int) -> str:
    """``part/BUCKET/ID/NUMBER``."""
    return f"part/{_quoted(bucket)}/{_quoted(upload)}/{number}"


def bucket_of(name: str) -> str:
    """The bucket that a resource is, or belongs to."""
    return _unquoted(name.split("/", 2)[1])


def upload_of(name: str) -> str:
    """The upload that a resource is, or is a part of."""
    return _unquoted(name.split("/", 3)[2])


def group_of(name: str) -> Group:
    """The group of the resource of that name."""
    kind = name.partition("/")[0]
    if kind == "object":
        return kind, bucket_of(name), unquote(name.split("/", 2)[2].rpartition("@")[0])
    if kind == "upload":
        return "uploads", bucket_of(name)
    if kind == "part":
        return "parts", bucket_of(name), upload_of(name)
    return kind, bucket_of(name)
