"""AU-4: appenders never fork the chain: threads, processes, processes that are killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Thread

import pytest

from holdfast.audit import SqlAuditLog, verify_chain
from holdfast.store import Store, Transaction, open_store
from holdfast.testing import StoreUnits, Violation
from holdfast.testing.audit import SqlAuditPorts
from holdfast.testing.audit.records import appenders_never_fork_the_chain
from tests.threads import aside

THREADS, APPENDS = 16, 25
PROCESSES, SHARE = 4, 40
KILLS = 6

APPENDER = """
import sys
from holdfast.audit import SqlAuditLog
from holdfast.store import open_store

with open_store(sys.argv[1]) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(int(sys.argv[2])):
        row = store.run(lambda tx: SqlAuditLog(tx).append("act", "s", {"n": number}), actor=sys.argv[3])
        print(row.seq, flush=True)
"""


@contextmanager
def appender(url: str, count: int, name: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is ready to append ``count`` rows once it is given a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", APPENDER, url, str(count), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def expect_chain(store: Store, length: int) -> None:
    found = store.read(verify_chain)
    assert found.findings == ()
    assert (found.rows, found.head.seq) == (length, length)


def test_threads(new_store_url: Callable[[], str]) -> None:
    with open_store(new_store_url()) as store, ThreadPoolExecutor(THREADS) as pool:
        append = lambda n: store.run(lambda tx: SqlAuditLog(tx).append("act", f"s{n}", {"n": n})).seq  # noqa: E731
        seqs = list(pool.map(append, range(THREADS * APPENDS)))
        assert sorted(seqs) == list(range(1, THREADS * APPENDS + 1))
        expect_chain(store, THREADS * APPENDS)


def test_processes_from_the_very_first_row(url: str) -> None:
    with open_store(url) as store:
        expect_chain(store, 0)
        with ExitStack() as stack:
            children = [stack.enter_context(appender(url, SHARE, f"p{n}")) for n in range(PROCESSES)]
            for child in children:
                go(child)
            seqs = [int(line) for child in children for line in child.stdout or ()]
        assert sorted(seqs) == list(range(1, PROCESSES * SHARE + 1))
        expect_chain(store, PROCESSES * SHARE)


def test_processes_that_are_killed(url: str) -> None:
    """Killed at any instruction: what was answered is there, the chain is whole, and others go on."""
    chance = random.Random(7)
    with open_store(url) as store:
        answered = 0
        for turn in range(KILLS):
            with appender(url, 10**6, f"victim {turn}") as victim, appender(url, SHARE, f"other {turn}") as other:
                go(victim)
                go(other)
                assert victim.stdout is not None
                for _ in range(chance.randint(1, 40)):
                    answered = int(victim.stdout.readline())
                victim.send_signal(signal.SIGKILL)
                answered = max([answered, *map(int, other.stdout or ())])
            found = store.read(verify_chain)
            assert found.findings == ()
            assert found.head.seq >= answered
        expect_chain(store, found.rows)


def test_the_second_appender_waits_for_the_first(postgres_url: str) -> None:
    """AU-4: on PostgreSQL it blocks on the head, and then goes on behind the row that was committed."""
    with open_store(postgres_url) as store:
        later: list[tuple[int, str]] = []

        def late() -> None:
            row = store.run(lambda tx: SqlAuditLog(tx).append("second", "s", {}))
            later.append((row.seq, row.prev_hash))

        thread = Thread(target=late)

        def first(tx: Transaction) -> tuple[int, str]:
            row = SqlAuditLog(tx).append("first", "s", {})
            if not thread.ident:
                thread.start()
            while not waiting_for_the_head(store):
                assert thread.is_alive(), "the second row was appended while the first was not committed"
            assert not later
            return row.seq, row.hash

        assert store.run(first)[0] == 1
        thread.join()
        ((head,),) = store.read(lambda tx: tx.fetch("SELECT hash FROM audit_rows WHERE seq = 1"))
        assert later == [(2, head)]
        expect_chain(store, 2)


def waiting_for_the_head(store: Store) -> bool:
    query = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE audit_head%'"
    return bool(aside(lambda: store.read(lambda tx: tx.fetch(query))))


class Unlocked(SqlAuditLog):
    """Reads the head without a lock, and overwrites whoever was faster."""

    def _lock_head(self) -> tuple[int, str]:
        head = self.head()
        self._tx.execute("UPDATE audit_head SET seq = seq")  # now it waits, too late
        self._tx.execute("DELETE FROM audit_rows WHERE seq = :seq", {"seq": head.seq + 1})
        self._tx.execute("UPDATE audit_head SET seq = :seq", {"seq": head.seq + 1})
        return head.seq + 1, head.hash


class UnlockedPorts(SqlAuditPorts):
    def __init__(self, tx: Transaction) -> None:
        super().__init__(tx)
        self.log = Unlocked(tx)


def test_the_suite_sees_a_fork(postgres_url: str) -> None:
    """The check of AU-4 can fail: without the lock, rows are lost where units really run side by side."""
    with open_store(postgres_url) as store, pytest.raises(Violation):
        appenders_never_fork_the_chain(StoreUnits(store, UnlockedPorts))
