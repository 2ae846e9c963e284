"""Names of resources that are made of several parts, whatever is in them. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote


def name_of(kind: str, *parts: str) -> str:
    """``kind/PART/…/LAST``: what could be mistaken is percent-encoded, but in the last part, which stays as it is."""
    *heads, last = parts
    return "/".join([kind, *(quote(part, safe="") for part in heads), last])


def parts_of(name: str, counts: Mapping[str, int]) -> tuple[str, ...]:
    """The kind and the parts of which :func:`name_of` has made ``name``.

    Args:
        counts: by kind, how many parts its names have.

    Raises:
        ValueError: it is no name of these kinds.
    """
    kind = name.partition("/")[0]
    _, *parts = name.split("/", counts.get(kind, 0))
    if not parts or len(parts) != counts[kind]:
        raise ValueError(f"{name!r:.200} is no name of a resource")
    return kind, *(unquote(part) for part in parts[:-1]), parts[-1]
