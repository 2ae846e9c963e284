"""A page of a list, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType

from holdfast.cli.output import clean, table


def listed(
    nothing: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], following: str | None
) -> list[RenderableType]:
    """A table of ``rows``, or that there is ``nothing``; and how to go on after the cursor ``following``."""
    shown: list[RenderableType] = [table(*columns, rows=rows) if rows else nothing]
    if following:
        shown.append(f"There are more: --after {clean(following)}")
    return shown


def shortened(text: str, most: int) -> str:
    """``text``, cut where it is longer than ``most`` characters."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters; --json has all)"
