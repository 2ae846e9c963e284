"""Archives: one canonical file for a version of a package, hostile until every rule held."""

from __future__ import annotations

from holdfast.packages.archive.diffing import PackageDiff, diff
from holdfast.packages.archive.locks import Requirement, parse_lock, requirements
from holdfast.packages.archive.manifest import (
    Manifest,
    QueueItem,
    RateItem,
    ScheduleItem,
    StepItem,
    WorkflowItem,
    make_manifest,
    parse_manifest,
    this_python,
    write_manifest,
)
from holdfast.packages.archive.reading import Archive, open_archive
from holdfast.packages.archive.signing import (
    Signature,
    read_signatures,
    sign,
    signature_path,
    verify,
    write_signatures,
)
from holdfast.packages.archive.unpacking import unpack
from holdfast.packages.archive.writing import pack

__all__ = [
    "Archive",
    "Manifest",
    "PackageDiff",
    "QueueItem",
    "RateItem",
    "Requirement",
    "ScheduleItem",
    "Signature",
    "StepItem",
    "WorkflowItem",
    "diff",
    "make_manifest",
    "open_archive",
    "pack",
    "parse_lock",
    "parse_manifest",
    "read_signatures",
    "requirements",
    "sign",
    "signature_path",
    "this_python",
    "unpack",
    "verify",
    "write_manifest",
    "write_signatures",
]
