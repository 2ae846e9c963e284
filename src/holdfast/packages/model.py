"""Records of packages, and what makes one acceptable. Pure: no I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Final
from uuid import UUID

from holdfast.clock import to_datetime, to_micros
from holdfast.packages.errors import (
    ContentHashMismatch,
    InvalidContentHash,
    InvalidPackage,
    InvalidSplit,
    InvalidWorkflowType,
)

MAX_TYPE: Final = 200
"""Characters of a workflow type's name."""
WHOLE: Final = 10_000
"""All new flows, in the hundredths of a per cent that shares are counted in."""
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRecord:
    """A version of the code of a workflow type.

    Attributes:
        workflow_type: name of the workflows it executes.
        content_hash: lowercase hex of the SHA-256 of the whole archive (PK-9).
        archive: the bytes that were deployed.
        deployed_at: when, with a time zone, to the microsecond.
    """

    workflow_type: str
    content_hash: str
    archive: bytes = field(repr=False)
    deployed_at: datetime

    @classmethod
    def of(cls, workflow_type: str, archive: bytes, deployed_at: datetime) -> PackageRecord:
        """The record of ``archive``, its hash computed.

        Raises:
            InvalidPackage: the archive is no bytes.
        """
        _check_archive(archive)
        return cls(
            workflow_type=workflow_type,
            content_hash=sha256(archive).hexdigest(),
            archive=archive,
            deployed_at=deployed_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRouteRecord:
    """Which version new flows of a workflow type are started on."""

    workflow_type: str
    content_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSplitRecord:
    """Which version a share of the new flows of a workflow type is started on, instead of the route's (PK-13).

    Attributes:
        share: in hundredths of a per cent, 1 to 10,000.
    """

    workflow_type: str
    content_hash: str
    share: int

    @property
    def percent(self) -> float:
        """The share in per cent."""
        return percent_of(self.share)


@dataclass(frozen=True, slots=True)
class Holder:
    """A flow that is pinned to a version.

    Attributes:
        flow: its id.
        ended: it needs the version only if it is rewound or retried.
    """

    flow: UUID
    ended: bool


def percent_of(share: int) -> float:
    """Hundredths of a per cent as per cent."""
    return share / 100


def share_of(percent: object) -> int:
    """Per cent as hundredths of it.

    Raises:
        InvalidSplit: it is no number from 0 to 100 with at most two decimals.
    """
    if isinstance(percent, int | float) and not isinstance(percent, bool) and 0 <= percent <= 100:
        share = round(percent * 100)
        if abs(percent * 100 - share) < 1e-6:
            return share
    raise InvalidSplit(f"{percent!r:.80} is not a percentage.")


def check_share(share: object) -> None:
    """Raises:
    InvalidSplit: it is no number of hundredths of a per cent, or none of them.
    """
    if not isinstance(share, int) or isinstance(share, bool) or not 0 < share <= WHOLE:
        raise InvalidSplit(f"{share!r:.80} is not a share of the new flows.", remedy=f"Use 1 to {WHOLE}.")


def check_record(record: object) -> None:
    """Raises:
    InvalidPackage: it is no record at all.
    """
    if not isinstance(record, PackageRecord):
        raise InvalidPackage(f"A package is a PackageRecord, not {type(record).__name__}.")


def check_package(record: PackageRecord) -> None:
    """See that a record may be stored; its archive is hashed.

    Raises:
        InvalidWorkflowType, InvalidContentHash: as :func:`check_version`.
        ContentHashMismatch: the hash is another archive's.
        InvalidPackage: the archive is no bytes, the time has no time zone, or it is no record at all.
    """
    check_record(record)
    check_version(record.workflow_type, record.content_hash)
    _check_archive(record.archive)
    try:
        to_datetime(to_micros(record.deployed_at))
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        remedy = "Use a datetime with a time zone, between the years 1 and 9999 of UTC."
        raise InvalidPackage(f"{record.deployed_at!r} names no instant.", remedy=remedy) from error
    actual = sha256(record.archive).hexdigest()
    if actual != record.content_hash:
        raise ContentHashMismatch(record.content_hash, actual)


def _check_archive(archive: object) -> None:
    if not isinstance(archive, bytes):
        remedy = "Hand over bytes, such as Path.read_bytes() gives."
        raise InvalidPackage(f"An archive is bytes, not {type(archive).__name__}.", remedy=remedy)


def check_version(workflow_type: object, content_hash: object) -> None:
    """See that this can name a version, deployed or not.

    Raises:
        InvalidWorkflowType: as :func:`check_type`.
        InvalidContentHash: no lowercase hex of a SHA-256.
    """
    check_type(workflow_type)
    if not isinstance(content_hash, str) or not _HASH.fullmatch(content_hash):
        raise InvalidContentHash(f"{content_hash!r:.80} is not a content hash.")


def check_type(workflow_type: object) -> None:
    """See that this can name a workflow type.

    Raises:
        InvalidWorkflowType: it is empty, too long, or has characters that do not print.
    """
    if not isinstance(workflow_type, str) or not 0 < len(workflow_type) <= MAX_TYPE or not workflow_type.isprintable():
        raise InvalidWorkflowType(
            f"{workflow_type!r:.80} cannot be a workflow type.", remedy=f"Use 1 to {MAX_TYPE} printable characters."
        )
