"""The suite of the audit chain, and what its checks are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, TypeVar, cast

import rfc8785

from holdfast.audit import GENESIS, AuditLog, AuditRow, Checkpoint, Fault, Head, StoredRow, Trust, Verification
from holdfast.pages import Page
from holdfast.testing.audit.ports import AuditPorts
from holdfast.testing.conformance import Suite, expect, expect_equal
from holdfast.testing.shapes import parts_of, units_of
from holdfast.testing.units import UnitRunner

R = TypeVar("R")
Units = UnitRunner[AuditPorts]
Rows = list[StoredRow]

suite: Suite[Units] = Suite(
    "AuditLog",
    units_of(
        "Yield StoreUnits(store, make), where make(tx) gives AuditPorts: SqlAuditPorts, or what has actor, log,"
        " checkpoint and verify as it has.",
        "actor",
        *parts_of(AuditLog, "log"),
        "checkpoint",
        "verify",
    ),
)
COLUMNS = ("seq", "at", "actor", "act", "subject", "detail", "prev_hash", "hash", "key_id", "signature")

ODD_DETAILS: list[dict[str, Any]] = [
    {},
    {"": {"": [{}, [[]], ""]}},
    {"null": None, "true": True, "false": False, "zero": 0, "minus": -1},
    {"integers": [2**53 - 1, -(2**53) + 1, 10**15, 1]},
    {"fractions": [0.1, -0.0, 5.0, 5e-324, 1.7976931348623157e308, 1e21, 1e20, 1e-6, 1e-7, 123456789012345.6]},
    {"b": 1, "a": {"z": 1, "y": 2}, "B": 3, "aa": 4},
    {"\U0001f600": "beyond the basic plane", "\ufb33": "sorts behind it by UTF-16, before it by code point"},
    {"é": "é", "e\u0301": "two code points", "日本語": "日本語", "\u2028": "\u2029\x7f\ufeff"},
    {"escapes": '"\\/\b\f\n\r\t\x00\x01\x1f', 'key "\\\n': "</script>"},
    {"quotes": "'; DROP TABLE audit_rows; --", "marks": "%s %(x)s {} :name ::text ? ?1 $1"},
    {"text": "1.0", "digits": "12345678901234567890", "list": "[1.5,9007199254740993]"},
    {"long": "x" * 50_000},
]
"""Details that careless canonicalisation bends."""


def append(
    units: Units, act: str = "plan.applied", subject: str = "p", detail: dict[str, Any] | None = None
) -> AuditRow:
    """Append in a unit of its own."""
    return units.run(lambda ports: ports.log.append(act, subject, detail or {}))


def grow(units: Units, count: int) -> Rows:
    """Append ``count`` different rows; returns the chain as it is stored."""
    for number in range(count):
        append(units, f"act.{number % 3}", f"subject {number % 4}", {"number": number, "text": "é" * (number % 3)})
    return rows_of(units)


def rows_of(units: Units) -> Rows:
    """The chain as it is stored."""
    return units.run(lambda ports: [row for page in ports.log.pages() for row in page])


def listed(
    units: Units, subject: str | None = None, *, limit: int | None = None, after: str | None = None
) -> Page[AuditRow]:
    """A page of rows."""
    return units.run(lambda ports: ports.log.list(subject=subject, limit=limit, after=after))


def last_of(units: Units, subject: str, act: str) -> AuditRow | None:
    """The newest row of that act on that subject."""
    return units.run(lambda ports: ports.log.last(subject, act))


def head_of(units: Units) -> Head:
    """The chain's head."""
    return units.run(lambda ports: ports.log.head())


def verdict(
    units: Units,
    rows: Iterable[StoredRow],
    *,
    head: Head | None = None,
    checkpoints: Sequence[Checkpoint] = (),
    trust: Trust | None = None,
) -> Verification:
    """What the verifier says of ``rows``."""
    pages = [list(rows)]
    return units.run(lambda ports: ports.verify(pages, head=head, checkpoints=checkpoints, trust=trust))


def verdict_on_pages(units: Units, pages: Sequence[Rows]) -> Verification:
    """What the verifier says of rows that come in these pages."""
    return units.run(lambda ports: ports.verify(pages))


def expect_sound(found: Verification, what: str) -> None:
    """Raises:
    Violation: something was found.
    """
    expect_equal(list(found.findings), [], f"findings in {what}")


def expect_found(found: Verification, fault: Fault, seq: int, what: str) -> None:
    """Raises:
    Violation: that fault at that row is not among the findings.
    """
    told = [(finding.code, finding.seq) for finding in found.findings]
    expect((fault, seq) in told, f"{what}: wanted {fault} at row {seq}, found {told}")
    expect(all(finding.message and finding.remedy for finding in found.findings), f"{what}: a finding says nothing")


def edited(row: StoredRow, **columns: Any) -> StoredRow:
    """``row`` with other values in these columns."""
    return cast(StoredRow, tuple(columns.get(name, value) for name, value in zip(COLUMNS, row, strict=True)))


def rehashed(row: StoredRow, prev_hash: str, detail: dict[str, Any]) -> StoredRow:
    """``row`` chained to ``prev_hash``, as one who knows the rule would forge it; ``detail`` is that of its text."""
    linked = edited(row, prev_hash=prev_hash, detail=rfc8785.dumps(detail).decode())
    return edited(linked, hash=reference_hash(linked, detail))


def reference_hash(row: StoredRow, detail: Any) -> str:
    """The contract's own rule, written down a second time: the suite trusts no code that it tests."""
    seq, at, actor, act, subject = row[:5]
    record = {"act": act, "actor": actor, "at": at, "detail": detail, "seq": seq, "subject": subject}
    return sha256(bytes.fromhex(row[6] or GENESIS) + rfc8785.dumps(record)).hexdigest()
