"""Checks of what is appended: AU-1, AU-2, AU-3, AU-4."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from typing import Any

from holdfast.audit import GENESIS, AuditRow
from holdfast.clock import to_micros
from holdfast.errors import InvalidInput
from holdfast.testing.audit.ports import AuditPorts
from holdfast.testing.audit.samples import (
    ODD_DETAILS,
    Units,
    append,
    expect_sound,
    grow,
    head_of,
    reference_hash,
    rows_of,
    suite,
    verdict,
)
from holdfast.testing.conformance import expect_equal, expect_json, expect_raises

_THREADS = 8
_APPENDS = 12
_BAD_DETAILS: list[Any] = [
    None,
    [],
    "text",
    {"nan": float("nan")},
    {"infinite": [float("inf")]},
    {"large": 2**53},
    {"large": -(2**53)},
    {"surrogate": "\ud800"},
    {"\ud800": "surrogate"},
    {1: "no text"},
    {"object": object()},
    {"bytes": b"x"},
    {"set": {1}},
    {"size": "x" * 300_000},
]


class _Thrown(Exception):
    """Raised by a unit to make it fail."""


@suite.check
def act_is_recorded_whole(units: Units) -> None:
    """AU-1: an act is one row: who did what to what, when, with which detail; as it is returned, so it is stored."""
    actor = units.run(lambda ports: ports.actor)
    for number, detail in enumerate(ODD_DETAILS, 1):
        row = append(units, f"act {number} é", f"subject {number} '\"\\ 😀", detail)
        told = (row.seq, row.actor, row.act, row.subject)
        expect_equal(told, (number, actor, f"act {number} é", f"subject {number} '\"\\ 😀"), "the appended row")
        expect_equal(row.at.utcoffset(), UTC.utcoffset(None), "the offset of a row's time")
        (stored,) = units.run(lambda ports: ports.log.list(limit=1)).items
        expect_equal(stored, row, "the stored row")
        expect_equal(stored.detail, detail, "the detail")
    expect_equal(len(rows_of(units)), len(ODD_DETAILS), "rows after as many acts")


@suite.check
def order_of_keys_is_no_matter(units: Units) -> None:
    """AU-1: a detail is stored in its canonical form: sorted keys, no spaces."""
    append(units, detail={"b": [1, {"d": 2, "c": 3}], "a": "x"})
    expect_equal(rows_of(units)[0][5], '{"a":"x","b":[1,{"c":3,"d":2}]}', "the stored detail")


@suite.check
def bad_acts_are_refused(units: Units) -> None:
    """AU-1: what cannot be recorded is InvalidInput, and nothing of it is written."""
    append(units)
    before = head_of(units), rows_of(units)
    deep: dict[str, Any] = {}
    for _ in range(500):
        deep = {"in": deep}
    endless: dict[str, Any] = {}
    endless["self"] = endless
    for detail in [*_BAD_DETAILS, deep, endless]:
        _expect_refused(units, "act", "subject", detail)
    for text in ("", "\0", "\ud800", None, 7):
        _expect_refused(units, text, "subject", {})
        _expect_refused(units, "act", text, {})
    expect_equal((head_of(units), rows_of(units)), before, "the chain after refused acts")


def _expect_refused(units: Units, act: Any, subject: Any, detail: Any) -> None:
    told = f"an act {act!r:.20} on {subject!r:.20} with {type(detail).__name__}"
    expect_raises(InvalidInput, told, lambda: units.run(lambda ports: ports.log.append(act, subject, detail)))


@suite.check
def places_are_gap_free_from_one(units: Units) -> None:
    """AU-2: seq counts from 1 without gaps, several in one unit too; the head is the last row."""
    expect_equal((head_of(units).seq, head_of(units).hash), (0, GENESIS), "the head of an empty chain")
    append(units)
    units.run(lambda ports: [ports.log.append("act", "s", {"n": n}) for n in range(3)])
    last = append(units)
    expect_equal([row[0] for row in rows_of(units)], [1, 2, 3, 4, 5], "the places")
    expect_equal((head_of(units).seq, head_of(units).hash), (5, last.hash), "the head")


@suite.check
def times_go_on(units: Units) -> None:
    """AU-2: a later row is not earlier."""
    times = [row[1] for row in grow(units, 20)]
    expect_equal(times, sorted(times, key=lambda at: at or 0), "times in the order of the rows")


@suite.check
def hash_is_the_contracts(units: Units) -> None:
    """AU-3: hash = SHA-256(prev_hash ‖ JCS(row)), whatever the detail; it covers neither itself nor the signature."""
    for detail in ODD_DETAILS:
        row = append(units, "act", "subject", detail)
        stored = rows_of(units)[-1]
        expect_equal(stored[1], to_micros(row.at), "the time that is hashed")
        expect_equal(row.hash, reference_hash(stored, detail), f"the hash of a row with {detail!s:.60}")


@suite.check
def each_row_carries_the_hash_before_it(units: Units) -> None:
    """AU-3: prev_hash is the previous row's hash, and zeros in the first."""
    rows = grow(units, 6)
    expect_equal([row[6] for row in rows], [GENESIS, *(row[7] for row in rows[:-1])], "the previous hashes")


@suite.check
def alike_acts_differ_in_hash(units: Units) -> None:
    """AU-3: the same act on the same subject has another hash in each place."""
    hashes = {append(units).hash for _ in range(5)}
    expect_equal(len(hashes), 5, "different hashes of five like acts")


@suite.check
def appenders_never_fork_the_chain(units: Units) -> None:
    """AU-4: appenders at the same time queue, the very first ones too: one chain, no gap, no row lost."""
    with ThreadPoolExecutor(_THREADS) as pool:
        rows: list[AuditRow] = list(pool.map(lambda n: append(units, "act", f"s{n}"), range(_THREADS * _APPENDS)))
    expect_equal(sorted(row.seq for row in rows), list(range(1, len(rows) + 1)), "the places that were given")
    stored = rows_of(units)
    expect_equal({row[7] for row in stored}, {row.hash for row in rows}, "the stored hashes")
    expect_sound(verdict(units, stored, head=head_of(units)), "a chain with many appenders")


@suite.check
def failed_unit_leaves_no_trace(units: Units) -> None:
    """AU-4: a unit that fails after it appended leaves no gap; the next row takes its place."""
    append(units)

    def fail(ports: AuditPorts) -> None:
        ports.log.append("never", "was", {})
        raise _Thrown

    for _ in range(3):
        expect_raises(_Thrown, "a unit that throws", lambda: units.run(fail))
        append(units)
    rows = rows_of(units)
    expect_json([row[0] for row in rows], [1, 2, 3, 4], "the places")
    expect_equal([row[3] for row in rows if row[3] == "never"], [], "acts of failed units")
    expect_sound(verdict(units, rows, head=head_of(units)), "a chain with failed units")
