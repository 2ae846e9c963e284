"""Migrations: numbered alike in both dialects, forward only, applied under a lock."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from holdfast.errors import StoreMissing, StoreOutdated, StoreTooNew
from holdfast.store.queries import Dialect, Query, load_queries
from holdfast.store.transaction import Transaction

_queries = load_queries("holdfast.store")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered change of the schema, as statements of each dialect."""

    version: int
    name: str
    statements: tuple[Query, ...]


@cache
def migrations() -> tuple[Migration, ...]:
    """All migrations, in order."""
    texts = {dialect: _texts(dialect) for dialect in ("sqlite", "postgres")}
    if texts["sqlite"].keys() != texts["postgres"].keys():
        raise RuntimeError("the two dialects have different migrations")
    return tuple(
        Migration(int(name[:4]), name[5:], _pair(texts["sqlite"][name], texts["postgres"][name]))
        for name in sorted(texts["sqlite"])
    )


def migrate(tx: Transaction) -> int:
    """Bring the schema up to this code's version; returns how many migrations were applied.

    Raises:
        StoreTooNew: the database is ahead of this code.
    """
    tx.lock("migrate")
    tx.execute(_queries["create_migrations"])
    known = migrations()
    present = schema_version(tx)
    _refuse_newer(present)
    for migration in known[present:]:
        for statement in migration.statements:
            tx.execute(statement)
        tx.execute(
            _queries["record_migration"],
            {"version": migration.version, "name": migration.name, "at": tx.clock.micros()},
        )
    return len(known) - present


def found_version(tx: Transaction) -> int | None:
    """:func:`schema_version`, asked without writing; ``None`` where there is no store."""
    return schema_version(tx) if tx.fetch_one(_queries["has_migrations"]) else None


def check_version(found: int | None) -> None:
    """Raises:
    StoreMissing: there is no store.
    StoreTooNew, StoreOutdated: its schema is not this code's.
    """
    if found is None:
        raise StoreMissing("The database holds no Holdfast store.")
    _refuse_newer(found)
    if found < len(migrations()):
        raise StoreOutdated(f"The database has schema {found}, this Holdfast needs {len(migrations())}.")


def _refuse_newer(found: int) -> None:
    if found > len(migrations()):
        raise StoreTooNew(f"The database has schema {found}, this Holdfast knows {len(migrations())}.")


def schema_version(tx: Transaction) -> int:
    """The number of the newest migration that was applied."""
    row = tx.fetch_one(_queries["schema_version"])
    return row[0] if row else 0


def _texts(dialect: Dialect) -> dict[str, str]:
    folder = files("holdfast.store").joinpath("migrations", dialect)
    return {entry.name[:-4]: entry.read_text() for entry in folder.iterdir() if entry.name.endswith(".sql")}


def _pair(sqlite: str, postgres: str) -> tuple[Query, ...]:
    """Statements to run: those of one dialect are empty in the other."""
    return tuple(Query("migration", text, "") for text in _split(sqlite)) + tuple(
        Query("migration", "", text) for text in _split(postgres)
    )


def _split(script: str) -> list[str]:
    lines = [line for line in script.splitlines() if not line.lstrip().startswith("--")]
    return [statement.strip() for statement in "\n".join(lines).split(";") if statement.strip()]
