"""What is deployed, without the bodies of the archives: for lists, and for finding what somebody means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from holdfast.clock import to_datetime
from holdfast.packages.errors import AmbiguousHash, InvalidContentHash, NoVersionBegins
from holdfast.packages.model import WHOLE, Holder, check_type, percent_of
from holdfast.packages.ports import MANY
from holdfast.packages.sql import SqlPackageStore, newest_first, version_cursor
from holdfast.packages.troubles import Trouble, trouble_of
from holdfast.pages import Page, page_of, rows_wanted
from holdfast.store import Row, Transaction, as_transaction, load_queries

_q = load_queries("holdfast.packages")
LEAST_DIGITS = 8
_DIGITS = 64
_CANDIDATES_NAMED = 5
_HEX = re.compile("[0-9a-f]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A deployed version of a workflow type.

    Attributes:
        package: name of the package it is of; ``None`` for one that was deployed as a bare record.
        label: what people call it, if they do.
        routed: the type's route points at it.
        percent: of the type's new flows that start on it, by the route and a split.
        pinned: flows on it that have not ended; :data:`~holdfast.packages.ports.MANY` stands for that many or more.
        ended: flows on it that have ended and could be rewound; likewise.
        trouble: what keeps it from being loaded.
    """

    workflow_type: str
    content_hash: str
    deployed_at: datetime
    package: str | None
    label: str | None
    routed: bool
    percent: float
    pinned: int
    ended: int
    trouble: Trouble | None


def versions(
    tx: Transaction,
    *,
    workflow_type: str | None = None,
    package: str | None = None,
    limit: int | None = None,
    after: str | None = None,
) -> Page[Version]:
    """The deployed versions, newest first.

    Args:
        workflow_type, package: only those of this type, this package.

    Raises:
        ValueError: a negative limit or a malformed cursor.
    """
    scalars = newest_first(after) | {"of_type": workflow_type or "", "of_package": package or ""}
    rows = as_transaction(tx).fetch(_q["list_versions"], scalars | {"many": MANY, "limit": rows_wanted(limit)})
    return page_of(rows, limit, _version, version_cursor)


def holders(tx: Transaction, workflow_type: str, content_hash: str, *, limit: int) -> list[Holder]:
    """Up to ``limit`` flows that are pinned to a version, those that have not ended first (PK-8).

    Raises:
        ValueError: a negative limit.
    """
    return SqlPackageStore(tx).pinned_flows(workflow_type, content_hash, limit=limit)


def find_hash(tx: Transaction, text: str, workflow_type: str | None = None) -> str:
    """The hash that ``text`` spells, whether it is deployed or not; or the only one among those that are deployed (for
    that type) which begins with its at least eight hex digits.

    Raises:
        InvalidContentHash: it is none, nor the beginning of one.
        NoVersionBegins, AmbiguousHash: none begins so, or several do.
    """
    digits = text.lower()
    if not _HEX.fullmatch(digits) or not LEAST_DIGITS <= len(digits) <= _DIGITS:
        remedy = f"Give the whole hash, or at least {LEAST_DIGITS} of its first hex digits."
        raise InvalidContentHash(f"{text!r:.80} is not a content hash.", remedy=remedy)
    if len(digits) == _DIGITS:
        return digits
    if workflow_type is not None:
        check_type(workflow_type)
    low, high = (digits.ljust(_DIGITS, end) for end in "0f")
    query = "hashes_between" if workflow_type is None else "hashes_of_type"
    between = {"low": low, "high": high, "workflow_type": workflow_type, "limit": _CANDIDATES_NAMED + 1}
    found = [row[0] for row in tx.fetch(_q[query], between)]
    if not found:
        raise NoVersionBegins(text, workflow_type)
    if len(found) > 1:
        raise AmbiguousHash(text, found[:_CANDIDATES_NAMED], more=len(found) > _CANDIDATES_NAMED)
    return str(found[0])


def _version(row: Row) -> Version:
    content_hash, routed_to, split_to, share = row[1], row[5], row[6], row[7] or 0
    whole = WHOLE if content_hash == routed_to else 0
    gets = share if content_hash == split_to else max(whole - share, 0)
    return Version(
        workflow_type=row[0],
        content_hash=content_hash,
        deployed_at=to_datetime(row[2]),
        package=row[3],
        label=row[4] or None,
        routed=content_hash == routed_to,
        percent=percent_of(gets),
        pinned=row[8],
        ended=row[9],
        trouble=None if row[10] is None else trouble_of(row[10:15]),
    )
