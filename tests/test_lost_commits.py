"""A unit of work happens exactly once, whenever the connection to PostgreSQL is cut."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from holdfast.errors import StoreUnreachable
from holdfast.ids import new_id
from holdfast.store import Store, Transaction, open_store
from tests.cutting_proxy import MANNERS, CuttingProxy


class Wire(CuttingProxy):
    """Cuts the connection of the next commit, once it is armed.

    Attributes:
        armed: how to cut it.
    """

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url, folder, cuts=0)
        self.armed: str | None = None

    def manner(self) -> str | None:
        manner, self.armed = self.armed, None
        if manner:
            self.made[manner] += 1
        return manner


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="hf-"))  # short: the path of a socket has about 100 characters
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def wire(postgres_url: str, folder: Path) -> Iterator[Wire]:
    with Wire(postgres_url, folder) as wire:
        yield wire


@contextmanager
def counting(url: str, probe: Callable[[str], None] = lambda point: None, patience: float = 30) -> Iterator[Store]:
    """A store with a table of counts."""
    with open_store(url, probe=probe, patience=patience) as store:
        store.run(lambda tx: tx.execute("CREATE TABLE counts (mark text)"), idempotent=False)
        yield store


def count(tx: Transaction) -> str:
    """Not idempotent: each time it happens it leaves a mark of its own."""
    mark = str(new_id())
    tx.execute("INSERT INTO counts VALUES (:mark)", {"mark": mark})
    return mark


def marks(store: Store) -> list[str]:
    return [mark for (mark,) in store.read(lambda tx: tx.fetch("SELECT mark FROM counts"))]


@pytest.mark.parametrize("manner", MANNERS)
def test_a_commit_that_was_not_answered_is_resolved(wire: Wire, manner: str) -> None:
    with counting(wire.url) as store:
        for turn in range(1, 4):
            wire.armed = manner
            mark = store.run(count)
            assert wire.made == {manner: turn}, "the connection was not cut"
            found = marks(store)
            assert len(found) == turn, f"{len(found)} marks of {turn} units"
            assert mark in found, "the unit's answer is not what was committed"


def test_what_was_committed_before_the_cut_is_not_run_again(wire: Wire) -> None:
    runs: list[str] = []

    def work(tx: Transaction) -> str:
        runs.append(count(tx))
        return runs[-1]

    with counting(wire.url) as store:
        wire.armed = "unheard"
        answer = store.run(work)
        assert runs == [answer] == marks(store)


def test_a_unit_that_failed_is_not_taken_for_committed(wire: Wire) -> None:
    """The key of a unit goes with its transaction: a refused unit leaves none."""

    def refuse(tx: Transaction) -> None:
        count(tx)
        raise LookupError("no")

    with counting(wire.url) as store:
        keys = store.read(lambda tx: tx.fetch("SELECT count(*) FROM unit_keys"))
        with pytest.raises(LookupError):
            store.run(refuse)
        assert marks(store) == []
        assert store.read(lambda tx: tx.fetch("SELECT count(*) FROM unit_keys")) == keys


@pytest.mark.parametrize("point", ["before commit", "after commit"])
def test_a_backend_that_is_terminated(postgres_server: str, postgres_url: str, point: str) -> None:
    state: dict[str, int] = {}

    def terminate(where: str) -> None:
        if where == point and "pid" in state:
            with psycopg.connect(postgres_server, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [state.pop("pid")])
                state["terminated"] = 1

    def work(tx: Transaction) -> str:
        if "terminated" not in state:
            ((state["pid"],),) = tx.fetch("SELECT pg_backend_pid()")
        return count(tx)

    with counting(postgres_url, terminate) as store:
        mark = store.run(work)
        assert state == {"terminated": 1}
        assert marks(store) == [mark]
        again = store.run(count)
        assert sorted(marks(store)) == sorted([mark, again])


def test_a_backend_that_is_terminated_in_the_middle_of_a_unit(postgres_url: str) -> None:
    runs: list[str] = []

    def work(tx: Transaction) -> str:
        runs.append(count(tx))
        if len(runs) < 3:
            tx.fetch("SELECT pg_terminate_backend(pg_backend_pid())")
        return runs[-1]

    with counting(postgres_url) as store:
        assert store.run(work) == runs[-1]
        assert len(runs) == 3
        assert marks(store) == runs[-1:]


def test_a_server_that_is_gone_and_comes_back(postgres_url: str, folder: Path) -> None:
    with ExitStack() as stack:
        with Wire(postgres_url, folder) as wire:
            store = stack.enter_context(counting(wire.url, patience=0.3))
        with pytest.raises(StoreUnreachable) as caught:
            store.run(count)
        assert caught.value.code == "store_unreachable"
        stack.enter_context(Wire(postgres_url, folder))
        mark = store.run(count)
        assert marks(store) == [mark]
