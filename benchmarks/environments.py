"""Where benchmarks run: the peers' own virtual environments, and databases on the checkout's disk.

``python -m benchmarks.environments`` makes each peer's environment in ``.bench/<peer>``. One that cannot be made (no
network, say) is skipped with a note: the benchmarks then leave that peer's figures out.

Environment variables:
    HOLDFAST_BENCH_ENVS: a directory of ready-made environments, instead of ``.bench``.
    HOLDFAST_TEST_POSTGRES: the URL of a PostgreSQL server to use, instead of one of our own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from benchmarks.measure import note
from holdfast.testing.postgres import postgres_server

ROOT = Path(__file__).resolve().parents[1]
PEERS = ("dbos", "langgraph", "absurd")
_BENCH = ROOT / ".bench"
_SCRIPTS = ROOT / "benchmarks" / "peers"


def peer_script(name: str) -> Path:
    """The script with a peer's workloads."""
    return _SCRIPTS / f"{name}_peer.py"


def peer_python(peer: str) -> Path | None:
    """The interpreter of a peer's environment, or ``None`` if there is no such environment."""
    python = Path(os.environ.get("HOLDFAST_BENCH_ENVS") or _BENCH) / peer / "bin" / "python"
    return python if python.exists() else None


def make_environment(peer: str) -> None:
    """Make a peer's environment, or leave it alone if it was made from the same requirements.

    Raises:
        subprocess.CalledProcessError: its packages could not be installed.
    """
    requirements = _SCRIPTS / f"requirements-{peer}.txt"
    folder = _BENCH / peer
    made_from = folder / requirements.name
    if made_from.exists() and made_from.read_bytes() == requirements.read_bytes():
        return
    note(f"making {folder}")
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "-r", requirements], check=True)
    shutil.copyfile(requirements, made_from)


@dataclass(frozen=True)
class Database:
    """A fresh database.

    Attributes:
        url: as Holdfast takes it.
        path: its file, if it is SQLite.
        server: the server's URL, if it is PostgreSQL.
        schema: its schema there.
    """

    url: str
    path: Path | None = None
    server: str = ""
    schema: str = ""


class Workspace:
    """A directory for the databases of one run, on the checkout's disk: a temporary one may be in memory, where
    nothing is durable. Removed in the end."""

    def __init__(self) -> None:
        self._ending = ExitStack()

    def __enter__(self) -> Workspace:
        _BENCH.mkdir(exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="run-", dir=_BENCH))
        self._ending.callback(shutil.rmtree, self._folder, ignore_errors=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.close()

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A fresh directory."""
        made = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            yield made
        finally:
            shutil.rmtree(made)

    @contextmanager
    def sqlite(self) -> Iterator[Database]:
        """A fresh SQLite file, not yet there."""
        with self.folder() as folder:
            path = folder / "bench.db"
            yield Database(f"sqlite:///{path}", path)

    @contextmanager
    def schema(self) -> Iterator[Database]:
        """A fresh schema in PostgreSQL, not yet there."""
        name = f"bench_{uuid.uuid4().hex[:12]}"
        separator = "&" if urlsplit(self.server).query else "?"
        try:
            yield Database(f"{self.server}{separator}schema={name}", None, self.server, name)
        finally:
            self._administer(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))

    def store(self, backend: str) -> AbstractContextManager[Database]:
        """A fresh database for a store of ours: ``sqlite`` or ``postgres``."""
        return self.sqlite() if backend == "sqlite" else self.schema()

    @contextmanager
    def database(self) -> Iterator[Database]:
        """A fresh database of a PostgreSQL server, for a peer that picks its own schema."""
        name = f"bench_{uuid.uuid4().hex[:12]}"
        self._administer(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = urlunsplit(urlsplit(self.server)._replace(path=f"/{name}"))
        try:
            yield Database(url, None, url)
        finally:
            self._administer(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    @cached_property
    def server(self) -> str:
        """The URL of a PostgreSQL server, started when first asked for."""
        return self._ending.enter_context(postgres_server(self._folder))

    @cached_property
    def postgres_durability(self) -> str:
        """What the server says about its version and its commits."""
        with closing(psycopg.connect(self.server, autocommit=True)) as connection:
            version, fsync, commit = (
                _scalar(connection, f"SHOW {name}") for name in ("server_version", "fsync", "synchronous_commit")
            )
        return f"PostgreSQL {version.split()[0]} fsync={fsync} synchronous_commit={commit}"

    def _administer(self, statement: sql.Composed) -> None:
        with closing(psycopg.connect(self.server, autocommit=True)) as connection:
            connection.execute(statement)


def _scalar(connection: psycopg.Connection[Any], statement: str) -> str:
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return str(row[0])


def main() -> None:
    for peer in PEERS:
        try:
            make_environment(peer)
        except subprocess.CalledProcessError as error:
            note(f"no environment for {peer}, so its figures will be missing: {error}")


if __name__ == "__main__":
    main()
