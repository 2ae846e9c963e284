"""Names that a world of files leaves alone. Pure: no I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import translate

from holdfast.text import is_storable
from holdfast.worlds.directory.errors import InvalidPattern

_NOTED = "excluded: "


class Exclusions:
    """Patterns as of :mod:`fnmatch`, in which ``*`` matches ``/`` as well. One without a ``/`` names a part of a path;
    one with a ``/`` names a path from the root (``/build``: in the root alone). A ``/`` at the end means nothing.
    What is below something excluded is excluded, too.

    Raises:
        InvalidPattern: one that names nothing.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        if isinstance(patterns, str):
            raise InvalidPattern(patterns, "it is one text, not several")
        self.patterns = tuple(sorted({_checked(pattern) for pattern in patterns}))
        self._part = _any_of([pattern for pattern in self.patterns if "/" not in pattern])
        self._path = _any_of([pattern.lstrip("/") for pattern in self.patterns if "/" in pattern])

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def match(self, path: str, name: str) -> bool:
        """Whether ``path``, whose last part is ``name``, is excluded by itself, and not by what it is in."""
        return self._part(name) is not None or self._path(path) is not None

    def covering(self, path: str) -> str | None:
        """``path`` itself, or the topmost folder above it, that is excluded; ``None`` if none is."""
        place = 0
        while place >= 0:
            end = path.find("/", place)
            above = path if end < 0 else path[:end]
            if self.match(above, above[place:]):
                return above
            place = end + 1 if end >= 0 else -1
        return None

    def described(self) -> tuple[str, ...]:
        """As a view lists them among what it does not capture."""
        return tuple(_NOTED + pattern for pattern in self.patterns)


def patterns_of(not_captured: Iterable[str]) -> tuple[str, ...]:
    """The patterns among what a view lists as not captured."""
    return tuple(item.removeprefix(_NOTED) for item in not_captured if item.startswith(_NOTED))


def _checked(pattern: object) -> str:
    if not isinstance(pattern, str):
        raise InvalidPattern(pattern, "it is not a text")
    bare = pattern.rstrip("/")
    if not bare or not is_storable(bare):
        raise InvalidPattern(pattern, "it names nothing")
    if not {"", ".", ".."}.isdisjoint(bare.removeprefix("/").split("/")):
        raise InvalidPattern(pattern, "it has an empty part, '.' or '..'")
    return bare


def _any_of(patterns: Sequence[str]) -> Callable[[str], object]:
    if not patterns:
        return lambda text: None
    return re.compile("|".join(map(translate, patterns))).match
