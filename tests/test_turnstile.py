"""Several processes write to one SQLite file: all get their turn, nobody sees a locked database."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from holdfast.store import open_store, units
from holdfast.store.turnstile import holder

PROCESSES = 4
WRITES = 400
SHARE = 4
"""The slowest writer gets at least this fraction (one over it) of the fastest one's turns."""

WRITER = """
import os, sys, time
from holdfast.store import open_store

with open_store(sys.argv[1]) as store:
    def write(kind):
        store.run(lambda tx: tx.execute("INSERT INTO writes (pid, kind) VALUES (:pid, :kind)",
            {"pid": os.getpid(), "kind": kind}))
    write("ready")
    while store.read(lambda tx: tx.fetch("SELECT count(*) FROM writes WHERE kind = 'ready'")) < [(int(sys.argv[2]),)]:
        time.sleep(0.01)
    for _ in range(int(sys.argv[3])):
        write("turn")
"""

HOLDER = """
import sys
from holdfast.store import open_store

def hold(tx):
    tx.execute("INSERT INTO writes (pid, kind) VALUES (0, 'held')")
    print("holding", flush=True)
    sys.stdin.readline()

with open_store(sys.argv[1]) as store:
    store.run(hold)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "shared.db"
    with open_store(f"sqlite:///{path}") as store:
        store.run(lambda tx: tx.execute("CREATE TABLE writes (num integer PRIMARY KEY, pid integer, kind text)"))
    return path


@contextmanager
def process(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with child:
        try:
            yield child
        finally:
            child.kill()


@contextmanager
def holding(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of a unit of work."""
    with process(HOLDER, f"sqlite:///{path}") as child:
        assert child.stdout
        assert child.stdout.readline() == "holding\n"
        yield child


def writes(path: Path, kind: str) -> list[int]:
    with open_store(f"sqlite:///{path}") as store:
        found = store.read(
            lambda tx: tx.fetch("SELECT pid FROM writes WHERE kind = :kind ORDER BY num", {"kind": kind})
        )
    return [pid for (pid,) in found]


def until(holds: Callable[[], bool]) -> None:
    """Wait; pytest's own time-out ends it when it never comes true."""
    while not holds():
        time.sleep(0.005)


def test_writers_share_the_turns(path: Path) -> None:
    arguments = f"sqlite:///{path}", PROCESSES, WRITES
    children = [
        subprocess.Popen([sys.executable, "-c", WRITER, *map(str, arguments)], stderr=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    said = [child.communicate()[1] for child in children]
    assert [child.returncode for child in children] == [0] * PROCESSES, said
    assert said == [""] * PROCESSES
    turns = writes(path, "turn")
    assert Counter(turns) == {child.pid: WRITES for child in children}
    shares = shares_until_first_is_done(turns)
    assert len(shares) == PROCESSES, f"a writer got no turn at all: {shares}"
    assert min(shares.values()) * SHARE >= max(shares.values()), shares


def shares_until_first_is_done(turns: list[int]) -> Counter[int]:
    """Turns of each while all of them wanted one."""
    shares: Counter[int] = Counter()
    for pid in turns:
        shares[pid] += 1
        if shares[pid] == WRITES:
            break
    return shares


def test_the_holder_of_the_turn_is_known(path: Path) -> None:
    assert holder(path) is None
    assert holder(path.with_name("nothing.db")) is None
    with open_store(f"sqlite:///{path}") as store:
        with holding(path) as child:
            assert holder(path) == child.pid
            assert store.backend.turn_holder() == child.pid
            child.communicate("\n")
            assert child.returncode == 0
        assert holder(path) is None
        assert store.run(lambda tx: holder(path)) == os.getpid()
    assert writes(path, "held") == [0]


def test_a_killed_holder_lets_the_turn_go(path: Path) -> None:
    with open_store(f"sqlite:///{path}") as store, holding(path) as child:
        child.kill()
        store.run(lambda tx: tx.execute("INSERT INTO writes (pid, kind) VALUES (1, 'after')"))
        assert store.read(lambda tx: tx.fetch("SELECT pid, kind FROM writes")) == [(1, "after")]


def test_a_frozen_holder_is_named(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "SLOW_SECONDS", 0.05)
    caplog.set_level(logging.WARNING)
    with open_store(f"sqlite:///{path}") as store, holding(path) as child:
        child.send_signal(signal.SIGSTOP)
        answers: list[object] = []
        waiting = Thread(target=lambda: answers.append(store.run(lambda tx: tx.fetch("SELECT 1"))))
        waiting.start()
        until(lambda: f"process {child.pid} holds the turn" in caplog.text)
        assert not answers
        assert store.read(lambda tx: tx.fetch("SELECT 2")) == [(2,)], "reading waits for nobody"
        child.kill()
        waiting.join()
        assert answers == [[(1,)]]
