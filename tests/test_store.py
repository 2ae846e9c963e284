"""Units of work: isolated from each other, committed in groups, answered once they are durable."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any

import psycopg
import pytest

from holdfast import Holdfast, workflow
from holdfast.audit import verify_store
from holdfast.errors import AsyncWork, InvalidInput, NestedUnit, ReadOnlyUnit, StoreClosed, StoreDamaged, StoreFull
from holdfast.flows import SqlFlowStore
from holdfast.store import Store, Transaction, Unit, open_store
from holdfast.store.blobs import BlobCorrupt, BlobNotFound, get_blob, put_blob
from holdfast.testing.flows.samples import make_flow
from tests.threads import aside

BIG = 1024 * 1024


@pytest.fixture
def points() -> list[str]:
    """The write points that the store passed."""
    return []


@pytest.fixture
def store(store_url: str, points: list[str]) -> Iterator[Store]:
    with open_store(store_url, probe=points.append) as store:
        store.run(lambda tx: tx.execute("CREATE TABLE notes (n bigint PRIMARY KEY, body text)"))
        yield store


@pytest.fixture
def sqlite_store(sqlite_url: str, points: list[str]) -> Iterator[Store]:
    with open_store(sqlite_url, probe=points.append) as store:
        store.run(lambda tx: tx.execute("CREATE TABLE notes (n bigint PRIMARY KEY, body text)"))
        yield store


def note(n: int, body: str = "") -> Callable[[Transaction], int]:
    def work(tx: Transaction) -> int:
        tx.execute("INSERT INTO notes (n, body) VALUES (:n, :body)", {"n": n, "body": body})
        return n

    return work


def noted(store: Store) -> list[int]:
    return [n for (n,) in store.read(lambda tx: tx.fetch("SELECT n FROM notes ORDER BY n"))]


class Answers:
    """Units that were submitted, and their answers once they come."""

    def __init__(self, store: Store) -> None:
        self.units: list[Unit] = []
        self._store = store
        self._answered: SimpleQueue[Unit] = SimpleQueue()

    def submit(self, *works: Callable[[Transaction], Any]) -> None:
        for work in works:
            self.units.append(Unit(work, self._answered.put))
            self._store.submit(self.units[-1])

    def wait(self) -> list[Any]:
        """Each unit's result or error."""
        for _ in self.units:
            self._answered.get(timeout=60)
        return [unit.result if unit.error is None else unit.error for unit in self.units]


@contextmanager
def one_group(store: Store) -> Iterator[Answers]:
    """What is submitted inside waits, and is then taken by SQLite's writer as one group."""
    answers, blocked, freed = Answers(store), Event(), Event()

    def block(tx: Transaction) -> bool:
        blocked.set()
        return freed.wait(60)

    blocker = Thread(target=lambda: store.run(block))
    blocker.start()
    blocked.wait()
    try:
        yield answers
    finally:
        freed.set()
        blocker.join()


# -- one unit -------------------------------------------------------------------------------------------------


def test_a_unit_returns_its_result_and_is_durable(store: Store) -> None:
    assert store.run(note(1)) == 1
    assert noted(store) == [1]


def test_a_unit_that_raises_leaves_nothing_and_gets_its_own_error(store: Store) -> None:
    class Own(Exception):
        pass

    thrown = Own("mine")

    def work(tx: Transaction) -> None:
        note(1)(tx)
        raise thrown

    with pytest.raises(Own) as caught:
        store.run(work)
    assert caught.value is thrown
    assert noted(store) == []


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit])
def test_no_error_of_a_unit_ends_the_store(store: Store, kind: type[BaseException]) -> None:
    def read(tx: Transaction) -> None:
        raise kind

    def write(tx: Transaction) -> None:
        note(1)(tx)
        raise kind

    with pytest.raises(kind):
        store.run(write)
    for _ in range(5):  # more than there are threads
        with pytest.raises(kind):
            store.read(read)
    assert store.run(note(2)) == 2
    assert noted(store) == [2]


def test_a_refused_statement_leaves_the_unit_undone(store: Store) -> None:
    store.run(note(1))

    def work(tx: Transaction) -> None:
        note(2)(tx)
        note(1)(tx)

    with pytest.raises(Exception, match=r"(?i)unique"):
        store.run(work)
    assert noted(store) == [1]


def test_units_see_the_clock_and_the_actor(store: Store) -> None:
    assert store.run(lambda tx: (tx.actor, tx.clock is store.clock)) == ("system", True)
    assert store.run(lambda tx: tx.actor, actor="ann") == "ann"
    assert asyncio.run(store.arun(lambda tx: tx.actor, actor="bob")) == "bob"
    assert store.run(lambda tx: tx.actor) == "system"


def test_a_transaction_ends_with_its_unit(store: Store) -> None:
    kept: list[Transaction] = []
    store.run(kept.append)
    store.read(kept.append)
    with pytest.raises(ZeroDivisionError):
        store.run(lambda tx: kept.append(tx) or 1 / 0)
    assert len(kept) == 3
    for tx in kept:
        for use in (tx.fetch, tx.fetch_one, tx.execute):
            with pytest.raises(StoreClosed) as caught:
                use("SELECT 1")
            assert "inside its unit of work" in caught.value.remedy


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_reads_see_one_state(kind: str, request: pytest.FixtureRequest) -> None:
    """What is committed while a reader reads stays out of its view."""
    with open_store(request.getfixturevalue(f"{kind}_url")) as store:
        store.run(lambda tx: tx.execute("CREATE TABLE notes (n bigint PRIMARY KEY, body text)"))

        def work(tx: Transaction) -> list[int]:
            before = len(tx.fetch("SELECT n FROM notes"))
            aside(lambda: store.run(note(1)))
            return [before, len(tx.fetch("SELECT n FROM notes"))]

        assert store.read(work) == [0, 0]
        assert noted(store) == [1]


def test_a_reading_unit_cannot_write(store: Store) -> None:
    store.run(note(1))
    for act in (store.read, lambda work: asyncio.run(store.aread(work))):
        for work in (note(2), lambda tx: tx.execute("DELETE FROM notes"), lambda tx: tx.execute("DROP TABLE notes")):
            with pytest.raises(ReadOnlyUnit) as caught:
                act(work)
            assert "store.run" in caught.value.remedy
    assert noted(store) == [1]
    assert store.run(note(2)) == 2, "only reading units are kept from writing"


def test_a_reading_unit_keeps_its_own_error(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        store.read(lambda tx: 1 / 0)
    assert store.run(note(1)) == 1


@pytest.mark.parametrize("inner", ["run", "read", "arun", "aread"])
@pytest.mark.parametrize("outer", ["run", "read"])
def test_a_unit_inside_a_unit_is_refused_at_once(store: Store, outer: str, inner: str) -> None:
    def nest(tx: Transaction) -> Any:
        if inner.startswith("a"):
            return asyncio.run(getattr(store, inner)(noted_by))
        return getattr(store, inner)(noted_by)

    with pytest.raises(NestedUnit) as caught:
        getattr(store, outer)(nest)
    assert "functions that take tx" in caught.value.remedy
    assert noted(store) == []


def noted_by(tx: Transaction) -> int:
    return len(tx.fetch("SELECT n FROM notes"))


@workflow
async def nothing_much() -> None: ...


def test_a_flow_is_not_started_or_waited_for_inside_a_unit(store_url: str) -> None:
    with Holdfast(store_url, workflows=[nothing_much]) as hf:
        flow = hf.start(nothing_much)
        for act in (lambda: hf.start(nothing_much), flow.result, lambda: verify_store(hf.store)):
            with pytest.raises(NestedUnit):
                hf.store.run(lambda tx, act=act: act())
        flow.result(timeout=30)


def test_a_unit_may_wait_for_another_store(store: Store) -> None:
    with open_store("sqlite://") as other:
        assert store.run(lambda tx: other.run(lambda inner: inner.fetch("SELECT 1"))) == [(1,)]


@pytest.mark.parametrize("reach", ["run", "read", "arun", "aread"])
def test_asynchronous_work_is_refused(store: Store, reach: str, recwarn: pytest.WarningsRecorder) -> None:
    async def work(tx: Transaction) -> None:
        note(1)(tx)

    async def works(tx: Transaction) -> AsyncIterator[int]:
        yield note(1)(tx)

    def half(tx: Transaction) -> Any:
        if not reach.endswith("read"):
            note(2)(tx)
        return work(tx)

    act = getattr(store, reach)
    for each in (work, works, half):
        with pytest.raises(AsyncWork, match="arun") as caught:
            asyncio.run(act(each)) if reach.startswith("a") else act(each)
        assert isinstance(caught.value, TypeError)
    assert noted(store) == []
    assert [str(warning.message) for warning in recwarn if "never awaited" in str(warning.message)] == []


def test_a_table_of_ours_that_is_gone_is_damage_one_of_yours_is_your_own_error(store: Store) -> None:
    store.run(lambda tx: tx.execute("DROP TABLE blob_holders"))
    with pytest.raises(StoreDamaged, match="blob_holders"):
        store.run(lambda tx: put_blob(tx, b"body", holder="me"))
    for act in (store.run, store.read):
        with pytest.raises((sqlite3.OperationalError, psycopg.errors.UndefinedTable), match="nothing"):
            act(lambda tx: tx.fetch("SELECT * FROM nothing"))


def test_execute_counts_rows(store: Store) -> None:
    def work(tx: Transaction) -> list[int]:
        insert = "INSERT INTO notes (n) VALUES (:n), (:n + 1), (:n + 2)"
        return [
            tx.execute(insert, {"n": 1}),
            tx.execute("INSERT INTO notes (n) VALUES (1), (9) ON CONFLICT DO NOTHING"),
            tx.execute("UPDATE notes SET body = 'x' WHERE n < 3"),
            tx.execute("UPDATE notes SET body = 'x' WHERE n > 100"),
            tx.execute("DELETE FROM notes"),
        ]

    assert store.run(work) == [3, 1, 2, 0, 4]


def test_fetch_of_what_returns_nothing_is_empty(store: Store) -> None:
    assert store.run(lambda tx: tx.fetch("INSERT INTO notes (n) VALUES (1)")) == []
    assert store.run(lambda tx: tx.fetch_one("INSERT INTO notes (n) VALUES (2)")) is None
    assert store.run(lambda tx: tx.fetch_one("SELECT n FROM notes WHERE n = 3")) is None
    assert store.run(lambda tx: tx.fetch("INSERT INTO notes (n) VALUES (4) RETURNING n")) == [(4,)]


# -- many units -----------------------------------------------------------------------------------------------


def test_threads_and_loops_share_a_store(store: Store) -> None:
    async def many(start: int) -> list[int]:
        return await asyncio.gather(*(store.arun(note(n)) for n in range(start, start + 20)))

    with ThreadPoolExecutor(4) as pool:
        loops = [pool.submit(lambda start: asyncio.run(many(start)), start) for start in (0, 20)]
        plain = list(pool.map(lambda n: store.run(note(n)), range(40, 60)))
        assert [n for loop in loops for n in loop.result()] + plain == list(range(60))
    assert noted(store) == list(range(60))


def test_an_abandoned_coroutine_harms_nobody(store: Store) -> None:
    async def main() -> None:
        task = asyncio.create_task(store.arun(note(1)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await store.arun(note(2)) == 2

    asyncio.run(main())
    assert noted(store)[-1] == 2


def test_waiting_units_are_committed_as_one_group(sqlite_store: Store, points: list[str]) -> None:
    with one_group(sqlite_store) as answers:
        points.clear()
        answers.submit(*(note(n) for n in range(100)))
    assert answers.wait() == list(range(100))
    assert points == 2 * ["before commit", "after commit"], "the blocker's commit and the group's"
    assert noted(sqlite_store) == list(range(100))


def test_answers_come_after_the_commit(store: Store, points: list[str]) -> None:
    passed: list[int] = []
    points.clear()
    for n in range(3):
        store.run(note(n))
        passed.append(points.count("after commit"))
    assert passed == [1, 2, 3]


def test_a_failing_unit_leaves_the_others_of_its_group(sqlite_store: Store, points: list[str]) -> None:
    def half(tx: Transaction) -> None:
        note(10)(tx)
        raise InvalidInput("no")

    def caught(tx: Transaction) -> str:
        try:
            note(1)(tx)
        except sqlite3.IntegrityError:
            note(11)(tx)
        return "went on"

    with one_group(sqlite_store) as answers:
        points.clear()
        answers.submit(note(1), half, note(2), note(1), caught, lambda tx: tx.execute("nonsense"), note(3))
    first, refused, second, duplicate, went_on, nonsense, third = answers.wait()
    assert (first, second, went_on, third) == (1, 2, "went on", 3)
    assert isinstance(refused, InvalidInput)
    assert isinstance(duplicate, sqlite3.IntegrityError)
    assert isinstance(nonsense, sqlite3.OperationalError)
    assert noted(sqlite_store) == [1, 2, 3, 11]
    assert points.count("before commit") == 2, "the blocker's commit and the group's"


def test_units_of_a_group_see_those_before_them(sqlite_store: Store) -> None:
    def count(tx: Transaction) -> int:
        return len(tx.fetch("SELECT n FROM notes"))

    with one_group(sqlite_store) as answers:
        answers.submit(note(1), count, note(2), count)
    assert answers.wait() == [1, 1, 2, 2]


def test_what_ends_the_whole_transaction_costs_only_its_own_unit(sqlite_store: Store) -> None:
    """A conflict clause can roll the whole transaction back; the other units are then run singly."""
    sqlite_store.run(note(1))

    def fatal(tx: Transaction) -> None:
        tx.execute("INSERT OR ROLLBACK INTO notes (n) VALUES (1)")

    with one_group(sqlite_store) as answers:
        answers.submit(note(2), fatal, note(3))
    second, error, third = answers.wait()
    assert (second, third) == (2, 3)
    assert isinstance(error, sqlite3.IntegrityError)
    assert noted(sqlite_store) == [1, 2, 3]


def test_closing_finishes_what_is_queued(store_url: str) -> None:
    store = open_store(store_url)
    answers = Answers(store)
    answers.submit(*(lambda tx, n=n: n + 1 for n in range(200)))
    store.close()
    assert [unit.result for unit in answers.units] == list(range(1, 201))
    store.close()


def test_a_closed_store_says_so(store_url: str) -> None:
    with open_store(store_url) as store:
        pass
    for call in (store.run, store.read, lambda work: asyncio.run(store.arun(work))):
        with pytest.raises(StoreClosed) as caught:
            call(lambda tx: 1)
        assert caught.value.code == "store_closed"


def test_no_unit_is_forgotten_when_a_store_closes(store_url: str) -> None:
    """Whoever submits while it closes is either answered or refused."""
    store = open_store(store_url)
    began = Event()

    def keep_submitting() -> int:
        done = 0
        while True:
            began.set()
            try:
                done += store.run(lambda tx: 1)
            except StoreClosed:
                return done

    with ThreadPoolExecutor(4) as pool:
        counts = [pool.submit(keep_submitting) for _ in range(4)]
        began.wait()
        store.close()
        assert all(count.result() >= 0 for count in counts)


# -- a full disk ----------------------------------------------------------------------------------------------


def pages(tx: Transaction) -> int:
    ((count,),) = tx.fetch("PRAGMA page_count")
    return count


@pytest.fixture(params=["sqlite", "memory"])
def limited(request: pytest.FixtureRequest, sqlite_url: str) -> Iterator[Store]:
    """A SQLite store that may grow by a few pages only."""
    with open_store(sqlite_url if request.param == "sqlite" else "sqlite://") as store:
        store.run(lambda tx: tx.execute("CREATE TABLE notes (n bigint PRIMARY KEY, body text)"))
        limit = store.run(pages) + 8
        store.run(lambda tx: tx.fetch(f"PRAGMA max_page_count = {limit}"))
        yield store


def test_a_full_database_refuses_what_does_not_fit(limited: Store) -> None:
    with one_group(limited) as answers:
        answers.submit(note(1), note(2, "x" * BIG), note(3))
    first, full, third = answers.wait()
    assert (first, third) == (1, 3)
    assert isinstance(full, StoreFull)
    assert full.code == "store_full"
    assert noted(limited) == [1, 3]
    with pytest.raises(StoreFull):
        limited.run(note(4, "x" * BIG))
    assert limited.run(note(5)) == 5
    limited.run(lambda tx: tx.fetch("PRAGMA max_page_count = 1073741823"))
    assert limited.run(note(6, "x" * BIG)) == 6
    assert noted(limited) == [1, 3, 5, 6]
    assert limited.read(lambda tx: tx.fetch("PRAGMA integrity_check")) == [("ok",)]


def test_flows_go_on_once_there_is_space(limited: Store) -> None:
    small, big = make_flow(), make_flow(state={"big": "x" * BIG})
    with one_group(limited) as answers:
        answers.submit(*(lambda tx, flow=flow: SqlFlowStore(tx).insert(flow) or flow.id for flow in (small, big)))
    inserted, full = answers.wait()
    assert inserted == small.id
    assert isinstance(full, StoreFull)
    grown = replace(small, state=big.state)
    with pytest.raises(StoreFull):
        limited.run(lambda tx: SqlFlowStore(tx).update_and_append(grown, "grown", {}))
    assert limited.read(lambda tx: SqlFlowStore(tx).get(big.id)) is None
    unchanged = limited.read(lambda tx: SqlFlowStore(tx).get(small.id))
    assert unchanged is not None
    assert (unchanged.state, unchanged.revision) == ({}, 0)
    assert limited.read(lambda tx: SqlFlowStore(tx).list_events(small.id)).items == []
    limited.run(lambda tx: tx.fetch("PRAGMA max_page_count = 1073741823"))
    updated, event = limited.run(lambda tx: SqlFlowStore(tx).update_and_append(grown, "grown", {}))
    assert (updated.state, updated.revision, event.kind) == (big.state, 1, "grown")


@contextmanager
def small_disk(path: Path, spare: int) -> Iterator[None]:
    """No file may grow beyond what the log of ``path`` takes now, and ``spare`` bytes."""
    log = path.with_name(path.name + "-wal")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + spare, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_at_the_commit(sqlite_store: Store) -> None:
    """The statements pass, in the page cache; it is the commit that fails. The units are then run singly."""
    path = sqlite_store.backend.path
    assert path
    with small_disk(path, 200_000):
        with one_group(sqlite_store) as answers:
            answers.submit(note(1), note(2, "x" * BIG), note(3))
        first, full, third = answers.wait()
        with pytest.raises(StoreFull):
            sqlite_store.run(note(4, "x" * BIG))
    assert (first, third) == (1, 3)
    assert isinstance(full, StoreFull)
    assert sqlite_store.run(note(5, "x" * BIG)) == 5
    assert noted(sqlite_store) == [1, 3, 5]
    assert sqlite_store.read(lambda tx: tx.fetch("PRAGMA integrity_check")) == [("ok",)]


# -- blobs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"\0", b"text", bytes(range(256)) * 4096], ids=["empty", "nul", "text", "1 MiB"])
def test_blobs_read_back(store: Store, body: bytes) -> None:
    digest = store.run(lambda tx: put_blob(tx, body))
    assert len(digest) == 64
    assert store.read(lambda tx: get_blob(tx, digest)) == body


def test_a_blob_is_stored_once(store: Store) -> None:
    first = store.run(lambda tx: [put_blob(tx, b"one"), put_blob(tx, b"one"), put_blob(tx, b"two")])
    again = store.run(lambda tx: put_blob(tx, b"one"))
    assert first[0] == first[1] == again != first[2]
    assert store.read(lambda tx: tx.fetch("SELECT count(*), sum(size) FROM blobs")) == [(2, 6)]


@pytest.mark.parametrize("digest", ["", "0" * 64, "é", "' OR 1=1 --"])
def test_a_blob_that_is_not_there(store: Store, digest: str) -> None:
    store.run(lambda tx: put_blob(tx, b"other"))
    with pytest.raises(BlobNotFound):
        store.read(lambda tx: get_blob(tx, digest))


def test_a_blob_that_was_tampered_with(store: Store) -> None:
    digest = store.run(lambda tx: put_blob(tx, b"honest"))
    store.run(lambda tx: tx.execute("UPDATE blobs SET body = :body", {"body": b"forged"}))
    with pytest.raises(BlobCorrupt, match=digest):
        store.read(lambda tx: get_blob(tx, digest))


def test_a_blob_of_a_failed_unit_is_gone(store: Store) -> None:
    digests: list[str] = []

    def work(tx: Transaction) -> None:
        digests.append(put_blob(tx, b"lost"))
        raise LookupError

    with pytest.raises(LookupError):
        store.run(work)
    with pytest.raises(BlobNotFound):
        store.read(lambda tx: get_blob(tx, digests[0]))
