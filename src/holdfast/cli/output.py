"""What commands print: tables for people, JSON for programs, errors on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TextIO

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from holdfast import codec
from holdfast.errors import Conflict, HoldfastError, InvalidInput, NotFound

FAILED, USAGE, NOT_FOUND, CONFLICT, INTERRUPTED, UNHEARD = 1, 2, 3, 4, 130, 141
_PIPED_WIDTH = 240
_STYLES = {
    "finished": "green",
    "succeeded": "green",
    "living": "green",
    "failed": "red",
    "halted": "red",
    "gone": "red",
    "frozen": "red",
    "silent": "yellow",
    "paused": "yellow",
    "cancelled": "yellow",
    "running": "cyan",
}
_unlimited = 1 << 40


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command's answer goes.

    Attributes:
        json: for programs: one JSON document on stdout, and nothing else there.
    """

    json: bool

    def one(self, thing: Any, *human: RenderableType) -> None:
        """Answer with one thing: as a JSON object, or as ``human`` shows it."""
        if self.json:
            _write_json(sys.stdout, thing)
        else:
            self.say(*human)

    def many(self, items: Sequence[Any], following: str | None, *human: RenderableType) -> None:
        """Answer with a page of a list; ``following`` is the cursor of the next page, or ``None``."""
        self.one({"items": items, "next": following}, *human)

    def say(self, *human: RenderableType) -> None:
        """Tell people; programs hear nothing of it."""
        if not self.json:
            console = human_console(sys.stdout)
            for part in human:  # a line is a line, also where it goes into a file
                console.print(part, soft_wrap=isinstance(part, str | Text) and not console.is_terminal)

    def fail(self, code: str, message: str, remedy: str) -> None:
        """Report an error on stderr."""
        if self.json:
            _write_json(sys.stderr, {"error": {"code": code, "message": message, "remedy": remedy}})
        else:
            line = Text.assemble((f"error: {clean(message)}", "bold red"), f" {clean(remedy)}")
            human_console(sys.stderr).print(line, soft_wrap=True)


def exit_code(error: HoldfastError) -> int:
    """The exit code of an error's family."""
    families: tuple[tuple[type[HoldfastError], int], ...] = (
        (InvalidInput, USAGE),
        (NotFound, NOT_FOUND),
        (Conflict, CONFLICT),
    )
    return next((code for family, code in families if isinstance(error, family)), FAILED)


def human_console(stream: TextIO) -> Console:
    """A console that does not cut tables to 80 columns when it is piped."""
    return Console(file=stream, width=None if stream.isatty() else _PIPED_WIDTH, highlight=False, emoji=False)


def table(*columns: str, rows: Iterable[Sequence[Any]], title: str | None = None) -> Table:
    """A table of values; ids are never cut."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold", title_style="bold")
    for column in columns:
        made.add_column(column, no_wrap=column in ("id", "at", "run id"), overflow="fold")
    for row in rows:
        made.add_row(*[cell(value) for value in row])
    return made


def fields(pairs: Iterable[tuple[str, Any]]) -> Table:
    """One thing as two columns; what is ``None`` or empty is left out."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs:
        if value is not None and value != "":
            made.add_row(name, cell(value))
    return made


def cell(value: Any) -> RenderableType:
    """``value`` for people; never interpreted as markup or as control sequences of the terminal."""
    if isinstance(value, Text | Table):
        return value
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}Z"
    text = clean(str(value))
    return Text(text, style=_STYLES.get(text, ""))


def counted(count: int, noun: str) -> str:
    """``1 flow``, ``2 flows``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def clean(text: str) -> str:
    """``text`` without anything that a terminal would obey."""
    return "".join(ch if ch.isprintable() or ch in "\n\t" else ch.encode("unicode_escape").decode() for ch in text)


def _write_json(stream: TextIO, value: Any) -> None:
    stream.write(codec.encode(value, what="The answer", max_bytes=_unlimited) + "\n")
    stream.flush()
