"""Checks of look-ups: AU-8."""

from __future__ import annotations

from functools import partial

from holdfast.testing.audit.samples import Units, append, grow, last_of, listed, suite
from holdfast.testing.conformance import expect, expect_equal, expect_raises

_MALFORMED = ("", "x", "1.2", "--1", "1;DROP TABLE audit_rows", "9" * 40, "1.5e3")


@suite.check
def list_is_newest_first(units: Units) -> None:
    """AU-8: rows are listed newest first, all or those of one subject."""
    grow(units, 9)
    everything = listed(units)
    expect_equal([row.seq for row in everything.items], list(range(9, 0, -1)), "all rows")
    expect_equal(everything.next, None, "the cursor of a whole list")
    expect_equal([row.seq for row in listed(units, "subject 0").items], [9, 5, 1], "the rows of one subject")
    for nobody in ("nobody", "\0", "\ud800", ""):
        expect_equal(listed(units, nobody).items, [], f"rows of {nobody!r}")


@suite.check
def pages_go_on_where_they_ended(units: Units) -> None:
    """AU-8: a cursor goes on behind the last row, though others were added meanwhile."""
    grow(units, 9)
    for subject, wanted in ((None, list(range(9, 0, -1))), ("subject 0", [9, 5, 1])):
        seqs: list[int] = []
        page = listed(units, subject, limit=2)
        while True:
            expect(len(page.items) <= 2, f"a page of 2 holds {len(page.items)}")
            seqs += [row.seq for row in page.items]
            append(units, subject="newcomer")
            if page.next is None:
                break
            page = listed(units, subject, limit=2, after=page.next)
        expect_equal([seq for seq in seqs if seq <= 9], wanted, f"rows of {subject!r}, two at a time")


@suite.check
def bad_limits_and_cursors(units: Units) -> None:
    """AU-8: a negative limit or a malformed cursor is a ValueError."""
    grow(units, 3)
    expect_equal(listed(units, limit=0).items, [], "a page of none")
    expect_raises(ValueError, "a negative limit", lambda: listed(units, limit=-1))
    for cursor in _MALFORMED:
        expect_raises(ValueError, f"the cursor {cursor!r}", partial(listed, units, after=cursor))


@suite.check
def last_is_the_newest_of_its_kind(units: Units) -> None:
    """AU-8: last is the newest row of that act on that subject, or None."""
    append(units, "deploy", "a", {"n": 1})
    append(units, "deploy", "b", {"n": 2})
    newest = append(units, "deploy", "a", {"n": 3})
    append(units, "remove", "a", {"n": 4})
    expect_equal(last_of(units, "a", "deploy"), newest, "the last deploy of a")
    for subject, act in (("a", "nothing"), ("c", "deploy"), ("\0", "deploy"), ("a", "\ud800"), ("deploy", "a")):
        expect_equal(last_of(units, subject, act), None, f"the last {act!r} of {subject!r}")
