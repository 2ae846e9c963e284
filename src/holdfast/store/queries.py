"""Named SQL statements, one text for both dialects.

A ``queries.sql`` file holds statements under ``-- name: …`` headings; parameters are written ``:name``.
``-- name: … [postgres]`` beside the common text is that dialect's variant. A heading ``-- part: …`` names a
fragment that other statements include as ``{…}``.

Set-based statements take their rows through one macro at the start of the statement::

    WITH r AS (@rows(flow bigint, run_id text))
    INSERT INTO steps (flow, run_id) SELECT flow, run_id FROM r

which becomes ``VALUES`` with bound parameters on SQLite (one ``sqlite3_step`` for the whole group, outside the
GIL) and one JSON parameter through ``json_to_recordset`` on PostgreSQL (a fifth of the client's time that array
parameters take; the server parses it on its own core).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Literal

Dialect = Literal["sqlite", "postgres"]

_HEADING = re.compile(r"^-- (name|part): (\w+)(?: \[(sqlite|postgres)\])?$", re.MULTILINE)
_PART = re.compile(r"\{(\w+)\}")
_ROWS = re.compile(r"@rows\(([^)]*)\)")
_TOKEN = re.compile(r"('(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|::)|(%)|:([A-Za-z_]\w*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Query:
    """A named statement.

    Attributes:
        name: its heading.
        sqlite, postgres: its text in each dialect, parameters as ``:name``.
    """

    name: str
    sqlite: str
    postgres: str


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement in a driver's own spelling.

    Attributes:
        text: what the driver gets.
        names: scalar parameters in the order of their places (SQLite with rows binds by position).
        columns: the columns of ``@rows``, empty without it.
    """

    text: str
    names: tuple[str, ...] = ()
    columns: tuple[str, ...] = field(default=())


def load_queries(package: str) -> dict[str, Query]:
    """The statements of ``queries.sql`` in ``package``, by name."""
    source = files(package).joinpath("queries.sql").read_text()
    parts: dict[str, str] = {}
    texts: dict[str, dict[str | None, str]] = {}
    headings = list(_HEADING.finditer(source))
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        body = source[heading.end() : following.start() if following else None].strip().rstrip(";")
        kind, name, dialect = heading.groups()
        if kind == "part":
            parts[name] = body
        else:
            texts.setdefault(name, {})[dialect] = _PART.sub(lambda m: parts[m.group(1)], body)
    return {
        name: Query(name, by.get("sqlite", by.get(None, "")), by.get("postgres", by.get(None, "")))
        for name, by in texts.items()
    }


@lru_cache(maxsize=2048)
def compile_postgres(sql: str) -> Compiled:
    """``sql`` as psycopg wants it: ``%(name)s``, and ``@rows`` as one JSON parameter named ``rows``."""
    columns: tuple[str, ...] = ()

    def rows(match: re.Match[str]) -> str:
        nonlocal columns
        columns = _column_names(match.group(1))
        return f"SELECT * FROM json_to_recordset(:rows) AS r({match.group(1)})"

    def token(match: re.Match[str]) -> str:
        literal, percent, name = match.groups()
        if name:
            return f"%({name})s" if name != "rows" else "%(rows)s::json"
        return literal.replace("%", "%%") if literal else percent * 2

    text = _ROWS.sub(rows, sql)
    return Compiled(_TOKEN.sub(token, text), columns=columns)


@lru_cache(maxsize=2048)
def compile_sqlite(sql: str, room: int = 0) -> Compiled:
    """``sql`` for sqlite3; with ``@rows``, for up to ``room`` rows, everything bound by position.

    Room comes in a few sizes only (:func:`sqlite_room`), so that the driver's statement cache holds; ``LIMIT``
    keeps the unused places out.
    """
    found = _ROWS.search(sql)
    if not found:
        return Compiled(sql)
    columns = _column_names(found.group(1))
    place = "(" + ",".join("?" * len(columns)) + ")"
    named = ", ".join(f"column{n} AS {column}" for n, column in enumerate(columns, 1))
    first = len(columns) * room + 1
    values = f"SELECT {named} FROM (VALUES {','.join([place] * room)}) LIMIT ?{first}"
    names: list[str] = []

    def token(match: re.Match[str]) -> str:
        name = match.group(3)
        if not name:
            return match.group(0)
        if name not in names:
            names.append(name)
        return f"?{first + 1 + names.index(name)}"

    body = _TOKEN.sub(token, sql[: found.start()] + "\0" + sql[found.end() :])
    return Compiled(body.replace("\0", values), tuple(names), columns)


def _column_names(declaration: str) -> tuple[str, ...]:
    return tuple(column.split()[0] for column in declaration.split(","))


MAX_ROOM = 1024


def sqlite_room(rows: int) -> int:
    """The smallest power of two that holds ``rows``."""
    return 1 << (rows - 1).bit_length()
