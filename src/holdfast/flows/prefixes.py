"""Which flow is meant where people write down the beginning of an id."""

from __future__ import annotations

import re
from uuid import UUID

from holdfast.errors import InvalidId
from holdfast.flows.errors import AmbiguousId, NoFlowBegins
from holdfast.ids import parse_id
from holdfast.store import Transaction, load_queries

LEAST_DIGITS = 8
DIGITS = 32
CANDIDATES_NAMED = 5
_HEX = re.compile(r"[0-9a-f]+")
_q = load_queries("holdfast.flows")


def find_id(tx: Transaction, text: str) -> UUID:
    """The id that ``text`` spells, whether there is such a flow or not; or the only one among the flows' that begins
    with its at least eight hex digits.

    Raises:
        InvalidId: it is no id, nor the beginning of one.
        NoFlowBegins, AmbiguousId: none begins so, or several do.
    """
    digits = text.replace("-", "").lower()
    if len(digits) >= DIGITS or not _HEX.fullmatch(digits):
        return parse_id(text)
    if len(digits) < LEAST_DIGITS:
        remedy = f"Give the whole id, or at least {LEAST_DIGITS} of its first hex digits."
        raise InvalidId(f"{text!r} is not an id.", remedy=remedy)
    low, high = (str(UUID(hex=digits.ljust(DIGITS, end))) for end in "0f")
    rows = tx.fetch(_q["ids_between"], {"low": low, "high": high, "limit": CANDIDATES_NAMED + 1})
    found = [UUID(row[0]) for row in rows]
    if not found:
        raise NoFlowBegins(text)
    if len(found) > 1:
        raise AmbiguousId(text, found[:CANDIDATES_NAMED], more=len(found) > CANDIDATES_NAMED)
    return found[0]
