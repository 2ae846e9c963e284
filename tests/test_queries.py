"""Named queries: one text for both databases, set-based where it says so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.store import Query, Store, load_queries, open_store
from holdfast.store.queries import MAX_ROOM, compile_postgres, compile_sqlite, sqlite_room

SIZES = [0, 1, 2, 3, 1000, MAX_ROOM - 1, MAX_ROOM, MAX_ROOM + 1, 5000]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Query]]:
    """Loads a ``queries.sql`` of that text."""

    def load(text: str) -> dict[str, Query]:
        package = tmp_path / "sample_queries"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "queries.sql").write_text(text)
        return load_queries("sample_queries")

    monkeypatch.syspath_prepend(tmp_path)
    yield load
    sys.modules.pop("sample_queries", None)


def test_variants_and_parts(load: Callable[[str], dict[str, Query]]) -> None:
    found = load(
        """A preamble that belongs to no statement.
-- part: columns
a, b
-- name: common
SELECT {columns} FROM t;

-- name: both
SELECT 1

-- name: both [postgres]
SELECT 2 -- not: a heading
-- name: one [sqlite]
SELECT {columns},
    {columns} FROM u
"""
    )
    assert found == {
        "common": Query("common", "SELECT a, b FROM t", "SELECT a, b FROM t"),
        "both": Query("both", "SELECT 1", "SELECT 2 -- not: a heading"),
        "one": Query("one", "SELECT a, b,\n    a, b FROM u", ""),
    }


def test_an_unknown_part_is_an_error(load: Callable[[str], dict[str, Query]]) -> None:
    with pytest.raises(KeyError, match="nowhere"):
        load("-- name: broken\nSELECT {nowhere}\n")


@pytest.mark.parametrize("package", ["holdfast.store", "holdfast.flows", "holdfast.flows.engine"])
def test_every_statement_is_there_in_both_dialects(package: str) -> None:
    queries = load_queries(package)
    assert queries
    for query in queries.values():
        assert query.sqlite, query.name
        assert query.postgres, query.name


@pytest.mark.parametrize(
    ("text", "params", "answer"),
    [
        ("SELECT :a, :b, :a", {"a": 1, "b": 2, "unused": 3}, [1, 2, 1]),
        ("SELECT 'a:b', ':a', '::a', 'it''s :a'", {"a": 1}, ["a:b", ":a", "::a", "it's :a"]),
        ("SELECT ':a', :a", {"a": 1}, [":a", 1]),
        ('SELECT :a AS "we:ird %s"', {"a": 1}, [1]),
        ("SELECT :a -- it's :b, 100%\n, 2", {"a": 1}, [1, 2]),
        ("SELECT :a /* it's :b\n100% */ , 2", {"a": 1}, [1, 2]),
        ("SELECT '/* :a', '-- :a', :a", {"a": 1}, ["/* :a", "-- :a", 1]),
        ("SELECT 7 % 4, '100%', '%s', '%(a)s', '%%'", {}, [3, "100%", "%s", "%(a)s", "%%"]),
        ("SELECT 7 % :a, '%s'", {"a": 4}, [3, "%s"]),
        ("SELECT '?', '?1', '$1', '@x', :a", {"a": 1}, ["?", "?1", "$1", "@x", 1]),
        ("SELECT :a_1, :A", {"a_1": 1, "A": 2}, [1, 2]),
        ("SELECT CAST(:a AS text)", {"a": "%s :b ' \" \\ é 😀"}, ["%s :b ' \" \\ é 😀"]),
        ("SELECT CAST(:a AS text)", {"a": None}, [None]),
        ("SELECT CAST(:a AS bigint)", {"a": 2**63 - 1}, [2**63 - 1]),
    ],
)
def test_one_text_for_both_databases(store_url: str, text: str, params: dict[str, Any], answer: list[Any]) -> None:
    with open_store(store_url) as store:
        assert store.read(lambda tx: tx.fetch(text, params)) == [tuple(answer)]
        assert store.read(lambda tx: tx.fetch_one(text, params)) == tuple(answer)


def test_casts_are_no_parameters(postgres_url: str) -> None:
    with open_store(postgres_url) as store:
        text = "SELECT '5'::int, :a::text, (:a)::bigint::text, ARRAY[1,2]::int[]"
        assert store.run(lambda tx: tx.fetch(text, {"a": "7"})) == [(5, "7", "7", [1, 2])]


@pytest.fixture
def store(store_url: str) -> Store:
    with open_store(store_url) as store:
        store.run(lambda tx: tx.execute("CREATE TABLE pairs (a bigint, b text)"))
        yield store


@pytest.mark.parametrize("count", SIZES)
def test_sets_of_rows(store: Store, count: int) -> None:
    """Written by one call, with parameters before and after the rows; the rows hold what looks like parameters."""
    rows = [(n, f"%s :a ?1 'é' {n}" if n % 2 else None) for n in range(count)]
    insert = """WITH r AS (@rows(a bigint, b text))
        INSERT INTO pairs (a, b) SELECT a + :plus, b FROM r WHERE a >= :least AND ':plus' <> '@'"""
    select = "WITH r AS (@rows(a bigint, b text)) SELECT a + :plus, b FROM r WHERE a >= :least"
    params = {"least": 0, "plus": 2**40}
    wanted = [(a + 2**40, b) for a, b in rows]
    assert store.run(lambda tx: tx.execute(insert, params, rows=rows)) == count
    assert sorted(store.read(lambda tx: tx.fetch(select, params, rows=rows))) == sorted(wanted, key=lambda row: row[0])
    assert store.read(lambda tx: tx.fetch("SELECT a, b FROM pairs ORDER BY a")) == wanted


def test_sets_of_rows_count_what_they_touch(store: Store) -> None:
    insert = "WITH r AS (@rows(a bigint)) INSERT INTO pairs (a) SELECT a FROM r WHERE a % 3 = :rest"
    assert store.run(lambda tx: tx.execute(insert, {"rest": 1}, rows=[(n,) for n in range(3000)])) == 1000
    delete = "WITH r AS (@rows(a bigint)) DELETE FROM pairs WHERE a IN (SELECT a FROM r)"
    assert store.run(lambda tx: tx.execute(delete, rows=[(n,) for n in range(1500)])) == 500


def test_values_of_rows_keep_their_types(store: Store) -> None:
    select = "WITH r AS (@rows(i bigint, d double precision, t text, b boolean)) SELECT i, d, t, b FROM r"
    rows = [(-(2**63), 0.1, "", True), (2**53 + 1, 1e300, '{"a": "\\u0000"}', False), (None, None, None, None)]
    assert store.read(lambda tx: tx.fetch(select, rows=rows)) == rows


@pytest.mark.parametrize(("rows", "room"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (1000, 1024), (1024, 1024)])
def test_room_comes_in_a_few_sizes(rows: int, room: int) -> None:
    assert sqlite_room(rows) == room


def test_compiled_texts() -> None:
    text = "WITH r AS (@rows(a bigint, b text)) SELECT a, :x, ':y' FROM r WHERE b = :z AND a <> :x"
    compiled = compile_sqlite(text, 2)
    assert compiled.columns == ("a", "b")
    assert compiled.names == ("x", "z")
    assert compiled.text == (
        "WITH r AS (SELECT column1 AS a, column2 AS b FROM (VALUES (?,?),(?,?)) LIMIT ?5) "
        "SELECT a, ?6, ':y' FROM r WHERE b = ?7 AND a <> ?6"
    )
    assert compile_postgres(text).text == (
        "WITH r AS (SELECT * FROM json_to_recordset(%(rows)s::json) AS r(a bigint, b text)) "
        "SELECT a, %(x)s, ':y' FROM r WHERE b = %(z)s AND a <> %(x)s"
    )
