"""The directory world holds the contract of stateful services on every database, and the suite notices when not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from holdfast.ids import new_id
from holdfast.testing.conformance import clause_of
from holdfast.testing.worlds import exercise_stateful_service, suite
from holdfast.testing.worlds.directory import DirectorySubject, directory_subject


def test_the_directory_world_holds_every_clause(new_store_url: Callable[[], str], tmp_path: Path) -> None:
    def fresh() -> AbstractContextManager[DirectorySubject]:
        return directory_subject(new_store_url(), tmp_path / new_id().hex)

    assert set(exercise_stateful_service(fresh)) == {clause_of(check) for check in suite.checks}
