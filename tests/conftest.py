"""Fixtures: stores of every kind. A PostgreSQL that cannot be started fails the tests, it never skips them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from holdfast.ids import new_id
from holdfast.testing import postgres
from holdfast.testing.matrix import Row, table
from tests.cli_kit import run, samples, samples_on_sqlite, url  # noqa: F401 (fixtures)

KINDS = ("sqlite", "memory", "postgres")
PROVED_ON_POSTGRES = {
    "test_audit_cli.py",
    "test_audit_concurrency.py",
    "test_aws_kills.py::test_killed_at_each_write_point_of_the_journal",
    "test_cli.py",
    "test_cli_flows.py",
    "test_council_crash.py",
    "test_crash.py::test_every_write_point",
    "test_fencing.py",
    "test_hosting_hostile.py",
    "test_hosting_lives.py",
    "test_inbox_cli.py",
    "test_operation_crash.py",
    "test_package_crash.py::test_killed_anywhere",
    "test_package_load.py::test_no_flow_changes_version",
    "test_plan_race.py::test_killed_at_every_write_point",
    "test_queue_cli.py",
    "test_queue_kills.py::test_limits_hold_while_workers_are_killed",
    "test_random_waits.py::test_random_workflows_that_wait",
    "test_recovery.py",
    "test_world_cli.py",
    "test_world_crash.py",
}
"""Explorations that take long on PostgreSQL, and the commands, which know of no database: there by ``make prove``, in
the suite on SQLite."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to ``make prove`` what takes long."""
    for item in items:
        name = item.nodeid.rpartition("/")[2].partition("[")[0]
        if PROVED_ON_POSTGRES & {name, name.partition("::")[0]} and "postgres" in item.nodeid:
            item.add_marker(pytest.mark.prove)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the matrix: port, backend, clauses held; its rows come with the reports of the tests, from each process."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    calls = [report for report in reports if getattr(report, "when", None) == "call"]
    found = [pair for report in calls for pair in report.user_properties]
    if rows := [Row(**row) for name, row in found if name == "matrix"]:
        terminalreporter.write_line("")
        Console(file=terminalreporter._tw._file, width=130).print(table(sorted(rows, key=lambda row: row.port)))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a real PostgreSQL: the one that ``HOLDFAST_TEST_POSTGRES`` names, or one started for this session."""
    with postgres.postgres_server() as server:
        yield server


@pytest.fixture
def new_postgres_url(postgres_server: str) -> Iterator[Callable[[], str]]:
    """Gives a schema of its own at each call."""
    with postgres.postgres_schemas(postgres_server) as new:
        yield new


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
