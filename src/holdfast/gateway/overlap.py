"""Whether some request meets the conditions of two routes at once: what makes a tie ambiguous (PL-14). Pure: no I/O.

A set has up to half a million pairs, and whoever hands it over may choose patterns that are alike for as long as can
be. So a pair costs a few operations on long integers, which compare all characters of two patterns at once.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from holdfast.gateway.model import MAX_ROUTES, Conditions

_KEPT = 4 * MAX_ROUTES
_FIXED = re.compile(r"[^*?]*")
_BITS = 32
"""Of a character in a row of them."""


def conditions_overlap(left: Conditions, right: Conditions) -> bool:
    """Whether some request meets both; exact."""
    return (
        (left.key_id is None or right.key_id is None or left.key_id == right.key_id)
        and all(right.tags.get(name, value) == value for name, value in left.tags.items())
        and patterns_overlap(left.model, right.model)
    )


def patterns_overlap(left: str, right: str) -> bool:
    """Whether some text matches both patterns; exact."""
    one, other = _shape(left), _shape(right)
    if not (one.head.agrees(other.head) and one.tail.agrees(other.tail)):
        return False
    if one.starred and other.starred:
        return True  # between the ends, a star of each takes in whatever the other one fixes
    if one.starred:
        return bool(_takes(left)(right))
    if other.starred:
        return bool(_takes(right)(left))
    return len(left) == len(right)


def fixed_head(pattern: str) -> str:
    """The text that whatever matches the pattern begins with."""
    found = _FIXED.match(pattern)
    return found.group() if found else ""


@dataclass(frozen=True, slots=True)
class _Row:
    """Characters side by side.

    Attributes:
        text: theirs, 32 bits each.
        fixed: ones where the character is fixed, zeros where any one will do, and beyond the end.
    """

    text: int
    fixed: int

    @classmethod
    def of(cls, symbols: str) -> _Row:
        fixed = "".join("\0" if symbol == "?" else "x" for symbol in symbols)
        mask = _number(fixed) // ord("x") * ((1 << _BITS) - 1)
        return cls(_number(symbols) & mask, mask)

    def agrees(self, other: _Row) -> bool:
        """Whether no place is fixed to two characters."""
        return not (self.text ^ other.text) & self.fixed & other.fixed


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is fixed at the ends of a pattern.

    Attributes:
        head: what comes before its first star; all of it where there is none.
        tail: what comes behind its last star, from the end.
    """

    head: _Row
    tail: _Row
    starred: bool


@lru_cache(maxsize=_KEPT)
def _shape(pattern: str) -> _Shape:
    parts = pattern.split("*")
    return _Shape(_Row.of(parts[0]), _Row.of(parts[-1][::-1]), len(parts) > 1)


@lru_cache(maxsize=_KEPT)
def _takes(pattern: str) -> Callable[[str], object]:
    """What tells whether the pattern overlaps with one without stars: a text in which ``?`` may be any character."""
    loose = (symbol if symbol in "*?" else "[]?]" if symbol == "]" else f"[?{symbol}]" for symbol in pattern)
    return re.compile(fnmatch.translate("".join(loose))).match


def _number(symbols: str) -> int:
    return int.from_bytes(symbols.encode("utf-32-le", "surrogatepass"), "little")
