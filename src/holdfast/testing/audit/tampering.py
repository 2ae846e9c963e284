"""Checks of the verifier: AU-5, AU-6. Rows are tampered with in memory, as they would be in the database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from holdfast.audit import GENESIS, Fault, Head, StoredRow
from holdfast.testing.audit.samples import (
    COLUMNS,
    ODD_DETAILS,
    Rows,
    Units,
    append,
    edited,
    expect_found,
    expect_sound,
    grow,
    head_of,
    rehashed,
    rows_of,
    suite,
    verdict,
    verdict_on_pages,
)
from holdfast.testing.conformance import expect, expect_equal

_ROWS = 12
_EDITS: dict[str, list[Any]] = {
    "at": [0, -1, 2**53, 2**62, None],
    "actor": ["", "eve", "system ", None],
    "act": ["", "plan.reverted", None],
    "subject": ["", "q", "\ud800", None],
    "detail": [
        "",
        "{",
        "{}",
        "null",
        "[]",
        "7",
        '"text"',
        '{"number":1.0}',
        '{"number":1e400}',
        '{"number":NaN}',
        '{"a":1,"a":2}',
        "[" * 10_000,
        '{"number":' + "9" * 5000 + "}",
        None,
    ],
    "prev_hash": ["", GENESIS, "zz", "f" * 64, "f" * 63, None],
    "hash": ["", GENESIS, "zz", "f" * 64, None],
}


@suite.check
def sound_chain_verifies(units: Units) -> None:
    """AU-5: a chain that nobody touched is sound, empty or with odd details, and its length and head are told."""
    empty = verdict(units, [], head=head_of(units))
    expect_sound(empty, "an empty chain")
    expect_equal((empty.rows, empty.head), (0, Head(0, GENESIS)), "the rows and the head of an empty chain")
    for detail in ODD_DETAILS:
        append(units, detail=detail)
    rows = rows_of(units)
    found = verdict(units, rows, head=head_of(units))
    expect_sound(found, "an untouched chain")
    expect_equal((found.rows, found.head), (len(rows), head_of(units)), "the rows and the head")


@suite.check
def pages_are_no_matter(units: Units) -> None:
    """AU-5: the verdict is the same however the rows are split into pages, empty ones included."""
    rows = grow(units, _ROWS)
    broken = [edited(row, actor="eve") if row[0] in (4, 5) else row for row in rows]
    for chain in (rows, broken):
        whole = verdict(units, chain)
        singles = [[row] for row in chain]
        expect_equal(verdict_on_pages(units, [[], *singles, []]), whole, "the verdict on single rows")


@suite.check
def every_edit_is_found(units: Units) -> None:
    """AU-5: an edit of any column of any row is found at that row, and no other row is blamed."""
    rows, head = grow(units, _ROWS), head_of(units)
    for at in (0, 1, _ROWS // 2, _ROWS - 1):
        for column, values in _EDITS.items():
            for value in values:
                tampered = edited(rows[at], **{column: value})
                if tampered == rows[at]:
                    continue
                found = verdict(units, [*rows[:at], tampered, *rows[at + 1 :]], head=head)
                expect_found(found, Fault.EDITED, at + 1, f"{column} of row {at + 1} set to {value!r:.40}")
                blamed = {finding.seq for finding in found.findings}
                expect_equal(blamed, {at + 1}, f"rows blamed for an edit of row {at + 1}")


@suite.check
def spaces_in_a_detail_are_found(units: Units) -> None:
    """AU-5: a detail with the same value and another spelling is found, even one whose hash was made anew."""
    append(units, detail={"a": 1, "b": "x"})
    (row,) = rows_of(units)
    for spelling in ('{"a": 1,"b":"x"}', '{"b":"x","a":1}', '{"a":1.0,"b":"x"}', '{"a":1,"b":"\\u0078"}'):
        expect_found(verdict(units, [edited(row, detail=spelling)]), Fault.EDITED, 1, f"the detail {spelling}")


@suite.check
def forged_row_is_found_by_the_next(units: Units) -> None:
    """AU-5: a row that was edited and hashed anew is found through the row behind it, the last one by the head."""
    rows, head = grow(units, _ROWS), head_of(units)
    for at in range(_ROWS):
        forged = rehashed(edited(rows[at], actor="eve"), rows[at][6] or "", {"forged": True})
        found = verdict(units, [*rows[:at], forged, *rows[at + 1 :]], head=head)
        if at < _ROWS - 1:
            expect_found(found, Fault.REPLACED, at + 1, f"row {at + 1} forged")
        else:
            expect_found(found, Fault.HEAD, at + 1, "the last row forged")


@suite.check
def deletion_is_found(units: Units) -> None:
    """AU-5: missing rows are told, one or several; a deletion that was papered over by renumbering is found too."""
    rows, head = grow(units, _ROWS), head_of(units)
    for first, last in ((1, 1), (1, 4), (5, 5), (5, 8), (_ROWS - 1, _ROWS - 1)):
        left = [row for row in rows if not first <= row[0] <= last]
        expect_found(verdict(units, left, head=head), Fault.MISSING, first, f"the rows {first} to {last} deleted")
        if first > 1:
            expect_found(verdict(units, _renumbered(left)), Fault.REORDERED, first, f"{first} deleted, renumbered")


@suite.check
def insertion_is_found(units: Units) -> None:
    """AU-5: a row that was put in is found: beside its original, renumbered, or hashed anew."""
    rows, head = grow(units, _ROWS), head_of(units)
    for at in (1, 5, _ROWS - 1):
        copied = [*rows[: at + 1], *rows[at:]]
        expect_found(verdict(units, copied, head=head), Fault.DUPLICATED, at + 1, f"row {at + 1} there twice")
        expect_found(verdict(units, _renumbered(copied)), Fault.DUPLICATED, at + 2, f"a copy of row {at + 1}")
        forged = rehashed(edited(rows[at], seq=at + 1, actor="eve"), rows[at][6] or "", {})
        put_in = _renumbered([*rows[:at], forged, *rows[at:]])
        expect_found(verdict(units, put_in), Fault.INSERTED, at + 1, f"a forged row {at + 1}, renumbered")
    beyond = verdict(units, [edited(rows[3], seq=-7), edited(rows[3], seq=0), *rows], head=head)
    expect_found(beyond, Fault.INSERTED, -7, "a row before the first")
    expect_found(beyond, Fault.INSERTED, 0, "a row before the first")


@suite.check
def reordering_is_found(units: Units) -> None:
    """AU-5: rows that changed places are found, next to each other or far apart, and rows that come out of order."""
    rows = grow(units, _ROWS)
    for left, right in ((0, 1), (3, 4), (1, 9), (0, _ROWS - 1)):
        swapped = list(rows)
        swapped[left], swapped[right] = swapped[right], swapped[left]
        found = verdict(units, _renumbered(swapped))
        for place in (left, right):
            expect(not found.sound, "two rows swapped: nothing was found")
            blamed = {(finding.code, finding.seq) for finding in found.findings}
            told = {(Fault.REORDERED, place + 1), (Fault.DUPLICATED, place + 1)} & blamed
            expect(bool(told), f"rows {left + 1} and {right + 1} swapped: {place + 1} is not named in {blamed}")
        expect(not verdict(units, swapped).sound, "rows out of order: nothing was found")


@suite.check
def head_must_be_the_last_row(units: Units) -> None:
    """AU-5: a head that is not the last row is found: behind it, beyond it, of another hash, or gone."""
    rows, head = grow(units, 4), head_of(units)
    for wrong in (Head(3, rows[2][7] or ""), Head(5, head.hash), Head(4, "f" * 64), Head(0, GENESIS), Head(-1, "")):
        expect_found(verdict(units, rows, head=wrong), Fault.HEAD, 4, f"the head {wrong}")
    expect_found(verdict(units, rows[:3], head=head), Fault.HEAD, 3, "the last row deleted")


@suite.check
def chain_may_grow_past_a_checkpoint(units: Units) -> None:
    """AU-6: checkpoints hold while the chain grows; how many were compared is told."""
    points = [units.run(lambda ports: ports.checkpoint())]
    for _ in range(3):
        grow(units, 3)
        points.append(units.run(lambda ports: ports.checkpoint()))
    grow(units, 3)
    expect_equal([point.seq for point in points], [0, 3, 6, 9], "the rows of the checkpoints")
    stored = units.run(lambda ports: ports.log.stored_checkpoints())
    expect_equal(sorted(stored, key=lambda point: point.seq), points, "the stored checkpoints")
    found = verdict(units, rows_of(units), head=head_of(units), checkpoints=points)
    expect_sound(found, "a chain that grew")
    expect_equal(found.checkpoints, 4, "checkpoints compared")


@suite.check
def removal_of_the_tail_is_found(units: Units) -> None:
    """AU-6: the tail removed, with the head moved along, is found against a checkpoint, though new rows follow."""
    grow(units, 6)
    point = units.run(lambda ports: ports.checkpoint())
    rows = rows_of(units)
    for kept in range(6):
        head = Head(kept, rows[kept - 1][7] or "") if kept else Head(0, GENESIS)
        expect_sound(verdict(units, rows[:kept], head=head), "a shorter chain alone")
        cut = verdict(units, rows[:kept], head=head, checkpoints=[point])
        expect_found(cut, Fault.CHECKPOINT, 6, f"all but {kept} rows removed")
    regrown = _forged_from(rows, 4)
    head = Head(6, regrown[-1][7] or "")
    expect_sound(verdict(units, regrown, head=head), "a rewritten chain alone")
    found = verdict(units, regrown, head=head, checkpoints=[point])
    expect_found(found, Fault.CHECKPOINT, 6, "the tail rewritten")


@suite.check
def checkpoint_of_another_hash_is_found(units: Units) -> None:
    """AU-6: a checkpoint of another hash, or of a row that is missing, is found."""
    rows = grow(units, 4)
    point = units.run(lambda ports: ports.checkpoint())
    for wrong in (replace(point, hash="f" * 64), replace(point, seq=3), replace(point, seq=99), replace(point, seq=0)):
        expect_found(verdict(units, rows, checkpoints=[wrong]), Fault.CHECKPOINT, wrong.seq, f"{wrong}")
    gone = verdict(units, [rows[0], *rows[2:]], checkpoints=[replace(point, seq=2, hash=rows[1][7] or "")])
    expect_found(gone, Fault.CHECKPOINT, 2, "a checkpoint of a deleted row")


def _renumbered(rows: Rows) -> Rows:
    return [edited(row, seq=seq) for seq, row in enumerate(rows, 1)]


def _forged_from(rows: Rows, seq: int) -> Rows:
    """The chain, rewritten from a row on by one who knows the rule."""
    forged: list[StoredRow] = list(rows[: seq - 1])
    for row in rows[seq - 1 :]:
        forged.append(rehashed(edited(row, actor="eve"), forged[-1][7] or "", {}))
    return forged


expect_equal(set(_EDITS) | {"seq", "key_id", "signature"}, set(COLUMNS), "the columns that are tampered with")
