"""Holds: one holder at a time, until it releases or dies, whatever else it does."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from holdfast.errors import StorePathUnusable, StoreUnreachable
from holdfast.store import open_store
from holdfast.store.database import Backend
from holdfast.store.postgres import PostgresBackend
from holdfast.store.sqlite import SqliteBackend

OPEN_FILES = Path("/proc/self/fd")


@pytest.fixture
def backend(store_url: str) -> Iterator[Backend]:
    with open_store(store_url) as store:
        yield store.backend


@pytest.fixture
def file(tmp_path: Path) -> SqliteBackend:
    return SqliteBackend(tmp_path / "store.db")


def take(backend: Backend, name: str = "world") -> Callable[[], None]:
    """Hold the name, which must be free."""
    release = backend.hold(name)
    assert release is not None
    return release


def test_a_name_has_one_holder(backend: Backend) -> None:
    release = take(backend)
    assert backend.hold("world") is None
    take(backend, "another")()
    release()
    take(backend)()


def test_releasing_again_does_not_release_the_next_holder(backend: Backend) -> None:
    first = take(backend)
    first()
    second = take(backend)
    first()
    assert backend.hold("world") is None
    second()
    take(backend)()


def test_a_link_to_a_file_is_the_file(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")
    urls = [f"sqlite:///{tmp_path / name}" for name in ("real.db", "link.db")]
    with open_store(urls[0]) as real, open_store(urls[1]) as link:
        release = take(real.backend)
        assert link.backend.hold("world") is None
        release()
    assert not list(tmp_path.glob("link.db-*"))


def test_a_link_to_itself_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "link.db")
    with pytest.raises(StorePathUnusable):
        open_store(f"sqlite:///{tmp_path / 'link.db'}")


def test_a_hold_is_released_though_a_child_has_its_file(file: SqliteBackend) -> None:
    release = take(file)
    with child(signal.pause):
        release()
        take(file)()


def test_a_child_does_not_keep_the_hold_of_a_parent_that_died(file: SqliteBackend) -> None:
    hear, tell = os.pipe()

    def parent() -> None:
        take(file)
        pid = os.fork()
        if pid:
            os.write(tell, pid.to_bytes(4, "big"))
        signal.pause()

    with child(parent):
        orphan = int.from_bytes(os.read(hear, 4), "big")
        assert file.hold("world") is None
    try:
        take(file)()
    finally:
        os.kill(orphan, signal.SIGKILL)
        os.close(hear)
        os.close(tell)


def test_a_release_in_a_child_is_not_the_parents(file: SqliteBackend) -> None:
    release = take(file)
    pid = os.fork()
    if pid == 0:
        release()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert file.hold("world") is None
    release()


def test_a_file_that_cannot_be_locked_is_closed(file: SqliteBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    before = list(OPEN_FILES.iterdir())
    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StorePathUnusable, match="No locks available"):
        file.hold("world")
    assert len(list(OPEN_FILES.iterdir())) == len(before)


def test_names_of_one_short_hash_are_told_apart(postgres_url: str) -> None:
    with open_store(postgres_url) as store:
        ((name, other),) = store.read(
            lambda tx: tx.fetch(
                """
                SELECT min(name), max(name) FROM (SELECT 'world-' || n AS name FROM generate_series(1, 400000) n) names
                GROUP BY hashtext(current_schema() || ' ' || name) HAVING count(*) > 1 LIMIT 1
                """
            )
        )
        release = take(store.backend, name)
        take(store.backend, other)()
        release()


def test_what_was_released_is_free_at_once(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = PostgresBackend(postgres_url)
    with ExitStack() as stack:
        waiting = [stack.enter_context(backend.connect()) for _ in range(20)]
        monkeypatch.setattr(backend, "connect", waiting.pop)
        while waiting:
            take(backend)()


def test_a_hold_whose_connection_is_cut_is_free(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is told; releasing it is no error, and takes nothing from the next holder."""
    backend = PostgresBackend(postgres_url)
    with backend.connect() as holding, backend.connect() as other:
        with monkeypatch.context() as patch:
            patch.setattr(backend, "connect", lambda: holding)
            release = take(backend)
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [holding.info.backend_pid])
        next_release = take(backend)
        release()
        assert backend.hold("world") is None
        next_release()


def test_a_hold_that_cannot_be_asked_for_leaves_no_connection(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = PostgresBackend(postgres_url)
    with backend.connect() as cut, backend.connect() as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [cut.info.backend_pid])
        monkeypatch.setattr(backend, "connect", lambda: cut)
        with pytest.raises(StoreUnreachable):
            backend.hold("world")
        assert cut.closed
    with PostgresBackend(postgres_url).connect() as sound:
        monkeypatch.setattr(backend, "connect", lambda: sound)
        with pytest.raises(psycopg.DataError):
            backend.hold("a\0b")
        assert sound.closed


def test_a_server_that_ends_idle_sessions_does_not_end_a_hold(postgres_url: str) -> None:
    backend = PostgresBackend(f"{postgres_url}&options=-c%20idle_session_timeout%3D200ms")
    release = take(backend)
    with backend.connect() as idle:
        select.select([idle], [], [])  # until it is ended
        with pytest.raises(psycopg.OperationalError):
            idle.execute("SELECT 1")
    assert backend.hold("world") is None
    release()


class child:  # noqa: N801 (used as a context)
    """A forked process that does ``work`` until it is killed, at the end of the block."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work

    def __enter__(self) -> None:
        self._pid = os.fork()
        if self._pid == 0:
            try:
                self._work()
            finally:
                os._exit(1)

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
