"""Opening a store: what can be wrong with a URL, a path, a server or a schema, and what the schema is."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from holdfast.errors import (
    HoldfastError,
    StoreDamaged,
    StoreError,
    StorePathUnusable,
    StoreTooNew,
    StoreUnreachable,
    StoreUrlInvalid,
)
from holdfast.store import Store, Transaction, check_store, migrate, open_store
from holdfast.store.postgres import OPENING_SECONDS, PostgresBackend


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "store.db",
        "sqlite:",
        "sqlite:/store.db",
        "sqlite:store.db",
        "sqlite://host/store.db",
        "mysql://host/db",
        "postgresql",
        "postgresql:host/db",
        "postgresql://host:port/db",
        "postgresql://host:-1x/db",
        "postgresql://[::1/db",
        "postgresql://user@host/db?nonsense=1",
        "postgresql://user@host/db?schema=",
        "postgresql://user@host/db?schema=a%00b",
        f"postgresql://user@host/db?schema={'x' * 64}",
        f"postgresql://user@host/db?schema={'é' * 32}",
    ],
)
def test_malformed_urls(url: str) -> None:
    with pytest.raises(StoreUrlInvalid) as caught:
        open_store(url)
    expect_explained(caught.value, "store_url_invalid")


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ("out.db", "Use sqlite:///out.db."),
        ("/a/out.sqlite", "Use sqlite:////a/out.sqlite."),
        ("sqlite:out.db", "Use sqlite:///out.db."),
        ("sqlite://out.db", "Use sqlite:///out.db."),
        (Path("out"), "Use sqlite:///out."),
        (Path("/a/out.db"), "Use sqlite:////a/out.db."),
        ("sqlite:///out.db?mode=ro", "Use sqlite:///out.db."),
        (None, StoreUrlInvalid.remedy),
        (b"out.db", StoreUrlInvalid.remedy),
        ("ann:secret@host/x.db", StoreUrlInvalid.remedy),
    ],
)
def test_what_is_nearly_a_url_is_told_the_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Any, remedy: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreUrlInvalid) as caught:
        open_store(given)
    expect_explained(caught.value, "store_url_invalid")
    assert caught.value.remedy == remedy
    assert not list(tmp_path.iterdir())


def expect_explained(error: HoldfastError, code: str) -> None:
    assert error.code == code
    assert error.message
    assert error.remedy in str(error)


def test_secrets_stay_out_of_the_shown_url() -> None:
    with pytest.raises(StoreUnreachable) as caught:
        open_store("postgresql://user:hunter2@127.0.0.1:1/db?password=hunter3&schema=s", patience=0)
    assert "hunter" not in str(caught.value)
    assert "postgresql://user@127.0.0.1:1/db?schema=s" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user@127.0.0.1:1/db",
        "postgresql://127.0.0.1:1,127.0.0.1:2/db",
        "postgresql:///db?host=/nowhere",
        "postgres://user@no-such-host.invalid/db",
    ],
)
def test_unreachable_servers(url: str) -> None:
    with pytest.raises(StoreUnreachable) as caught:
        open_store(url, patience=0.1)
    expect_explained(caught.value, "store_unreachable")


@pytest.mark.parametrize("option", ["dbname=no_such_database", "user=no_such_role"])
def test_what_the_server_refuses_is_told_at_once(postgres_url: str, option: str) -> None:
    began = time.monotonic()
    with pytest.raises(StoreUnreachable, match=option.partition("=")[2]) as caught:
        open_store(f"{postgres_url}&{option}")
    assert time.monotonic() - began < 3
    assert "in the URL" in caught.value.remedy
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "reason", ['password authentication failed for user "ann"', "fe_sendauth: no password supplied"]
)
def test_a_wrong_password_is_told_at_once(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise psycopg.OperationalError(f'connection to server at "db", port 5432 failed: FATAL:  {reason}')

    monkeypatch.setattr(psycopg, "connect", refuse)
    began = time.monotonic()
    with pytest.raises(StoreUnreachable, match=f"port 5432 failed: FATAL: {reason}"):
        open_store("postgresql://ann:secret@db/db")
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("migrate", [True, False])
def test_opening_is_not_patient(migrate: bool) -> None:
    """A server that never answered is waited for as long as one that restarts takes at most."""
    began = time.monotonic()
    with (
        pytest.raises(StoreUnreachable, match=r'127\.0\.0\.1", port 1 failed: Connection refused'),
        open_store("postgresql://user@127.0.0.1:1/db", migrate=migrate) as store,
    ):
        check_store(store)
    assert OPENING_SECONDS <= time.monotonic() - began < OPENING_SECONDS + 3


def test_who_has_answered_once_is_waited_for_patiently(postgres_url: str) -> None:
    backend = PostgresBackend(postgres_url, patience=60)
    assert backend.patience == OPENING_SECONDS
    backend.connect().close()
    assert backend.patience == 60


def test_schemas_of_any_name_are_tenants_of_their_own(postgres_url: str) -> None:
    names = [f"{postgres_url}{suffix}" for suffix in ("", "-%22%25s%3A%27", "%20é", "A")]
    for url in names:
        with open_store(url) as store:
            store.run(lambda tx: tx.execute("CREATE TABLE mine (n int)"))
            store.run(lambda tx, of=store: of.backend.announce(tx))
            ((schema,),) = store.run(lambda tx: tx.fetch("SELECT current_schema()"))
            store.run(lambda tx, name=schema: tx.execute(f'DROP SCHEMA "{name.replace(chr(34), 2 * chr(34))}" CASCADE'))


@pytest.fixture
def unwritable(tmp_path: Path) -> Path:
    """A directory in which nobody, root included, can make a file."""
    if os.geteuid() == 0:
        return Path("/proc/self")
    folder = tmp_path / "unwritable"
    folder.mkdir(mode=0o500)
    return folder


def test_an_unwritable_directory(unwritable: Path) -> None:
    with pytest.raises(StorePathUnusable) as caught:
        open_store(f"sqlite:///{unwritable / 'store.db'}")
    expect_explained(caught.value, "store_path_unusable")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "is a directory"),
        (".", "is a directory"),
        ("missing/store.db", "does not exist"),
        ("file/store.db", "does not exist"),
        ("a\0b.db", "NUL"),
        ("~no_such_user/store.db", "cannot be a path"),
        (f"{'x' * 300}.db", "cannot be a path"),
    ],
)
def test_unusable_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, reason: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(StorePathUnusable, match=reason) as caught:
        open_store(f"sqlite:///{path}")
    expect_explained(caught.value, "store_path_unusable")


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(content)
    with pytest.raises(StorePathUnusable) as caught:
        open_store(f"sqlite:///{path}")
    expect_explained(caught.value, "store_path_unusable")
    assert path.read_bytes() == content


def test_a_file_that_lost_a_page_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with open_store(f"sqlite:///{path}") as store:
        store.run(lambda tx: tx.execute("CREATE TABLE notes (n bigint)"))
        ((page,),) = store.read(lambda tx: tx.fetch("SELECT rootpage FROM sqlite_master WHERE name = 'notes'"))
        ((size,),) = store.read(lambda tx: tx.fetch("PRAGMA page_size"))
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    with open_store(f"sqlite:///{path}") as store:
        for act in (store.run, store.read):
            with pytest.raises(StoreDamaged, match="malformed") as caught:
                act(lambda tx: tx.fetch("SELECT * FROM notes"))
            expect_explained(caught.value, "store_damaged")


def test_paths_with_odd_characters(tmp_path: Path) -> None:
    path = tmp_path / "a b#c%20d é.db"
    for _ in range(2):
        with open_store(f"sqlite:///{path}") as store:
            assert store.run(migrate.schema_version) == len(migrate.migrations())
    assert path.exists()


def test_relative_paths_do_not_follow_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with open_store("sqlite:///store.db") as store:
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert store.read(migrate.schema_version) == len(migrate.migrations())
    assert (tmp_path / "store.db").exists()


# -- the schema -----------------------------------------------------------------------------------------------


@pytest.fixture
def reopened(new_store_url: Callable[[], str], tmp_path: Path) -> str:
    """The URL of a store that outlives its Store."""
    url = new_store_url()
    return f"sqlite:///{tmp_path / 'store.db'}" if url == "sqlite://" else url


def test_a_newer_schema_is_refused(reopened: str) -> None:
    with open_store(reopened) as store:
        newer = len(migrate.migrations()) + 1
        store.run(
            lambda tx: tx.execute("INSERT INTO holdfast_migrations VALUES (:version, 'later', 0)", {"version": newer})
        )
    with pytest.raises(StoreTooNew, match=str(newer)) as caught:
        open_store(reopened)
    expect_explained(caught.value, "store_too_new")


def test_opening_again_changes_nothing(reopened: str) -> None:
    with open_store(reopened) as store:
        first = described(store), store.read(lambda tx: tx.fetch("SELECT * FROM holdfast_migrations"))
    with open_store(reopened) as store:
        assert store.run(migrate.migrate) == 0
        assert (described(store), store.read(lambda tx: tx.fetch("SELECT * FROM holdfast_migrations"))) == first


def test_a_migrated_schema_equals_a_fresh_one(
    new_store_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever version one comes from, also one that holds data already."""
    known = migrate.migrations()
    with open_store(new_store_url()) as store:
        fresh = described(store)
    for version in range(1, len(known)):
        monkeypatch.setattr(migrate, "migrations", lambda upto=version: known[:upto])
        with open_store(new_store_url()) as store:
            assert store.run(migrate.schema_version) == version
            monkeypatch.setattr(migrate, "migrations", lambda: known)
            assert store.run(migrate.migrate) == len(known) - version
            assert described(store) == fresh


def test_a_migration_that_fails_leaves_the_schema_as_it_was(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = migrate.migrations()
    broken = migrate.Migration(len(known) + 1, "broken", (migrate.Query("x", *2 * ["CREATE TABLE half (n int)"]),) * 2)
    with open_store(store_url) as store:
        before = described(store)
        monkeypatch.setattr(migrate, "migrations", lambda: (*known, broken))
        with pytest.raises(Exception, match="half"):
            store.run(migrate.migrate)
        assert described(store) == before


def test_the_dialects_have_the_same_tables(sqlite_url: str, postgres_url: str) -> None:
    with open_store(sqlite_url) as left, open_store(postgres_url) as right:
        assert columns(left) == columns(right)
        assert index_names(left) == index_names(right)
        assert left.read(migrate.schema_version) == right.read(migrate.schema_version)


def test_many_open_one_new_store_at_once(reopened: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(open_store, [reopened] * 6))
    versions = [store.read(migrate.schema_version) for store in stores]
    for store in stores:
        store.close()
    assert versions == [len(migrate.migrations())] * 6


def columns(store: Store) -> set[tuple[str, str, bool]]:
    """Table, column, and whether it may be null."""
    if store.url.startswith("sqlite"):
        text = """SELECT t.name, c.name, NOT (c."notnull" OR c.pk) FROM sqlite_master t, pragma_table_xinfo(t.name) c
            WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'"""
    else:
        text = """SELECT table_name, column_name, is_nullable = 'YES' FROM information_schema.columns
            WHERE table_schema = current_schema()"""
    return {(table, column, bool(null)) for table, column, null in store.read(lambda tx: tx.fetch(text))}


def index_names(store: Store) -> set[str]:
    """Those that a migration names."""
    if store.url.startswith("sqlite"):
        text = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    else:
        text = """SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()
            AND indexname NOT IN (SELECT conname FROM pg_constraint)"""
    return {name for (name,) in store.read(lambda tx: tx.fetch(text))}


def described(store: Store) -> object:
    """The whole schema, comparable with another of the same dialect."""
    if store.url.startswith("sqlite"):
        return store.read(lambda tx: sorted(tx.fetch("SELECT type, name, tbl_name, sql FROM sqlite_master"), key=str))
    return store.read(_postgres_schema)


def _postgres_schema(tx: Transaction) -> object:
    found = tx.fetch(
        """SELECT table_name, column_name, ordinal_position, data_type, is_nullable, column_default, collation_name,
            is_identity FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY 1, 3"""
    )
    indexes = tx.fetch("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1")
    ((schema,),) = tx.fetch("SELECT current_schema()")
    return found, [(name, text.replace(schema, "schema")) for name, text in indexes]


def test_a_file_of_another_program_with_such_tables_is_refused_whole(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE flows (theirs text)")
    other.close()
    with pytest.raises(StoreError, match="flows"):
        open_store(f"sqlite:///{path}")
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("flows",)]
    other.close()
