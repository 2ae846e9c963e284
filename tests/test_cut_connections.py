"""FL-10 on PostgreSQL: connections cut at the moment of commit, a server killed: callers see a delay at most."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from holdfast import Holdfast, Transaction, sleep, step, workflow
from tests import fleet
from tests.cutting_proxy import MANNERS, CuttingProxy
from tests.fleet import leave, report, rows
from tests.private_server import PrivateServer

AT_ONCE = 60
LONG = [pytest.mark.prove, pytest.mark.timeout(3600)]


@step
async def order(ledger: str, label: str) -> str:
    leave(ledger)
    await asyncio.sleep(0.005)
    return f"order {label}"


@step
def deposit(tx: Transaction, label: str) -> str:
    tx.execute("INSERT INTO deposits (label) VALUES (:label)", {"label": label})
    return f"deposit {label}"


@step
def pack(ledger: str, label: str, part: int) -> str:
    leave(ledger)
    return f"pack {label} {part}"


@workflow
async def purchase(ledger: str, label: str) -> list[str]:
    first = await order(ledger, label)
    paid = await deposit(label)
    packed = await asyncio.gather(*(pack(ledger, label, part) for part in range(2)))
    await sleep(0.005)
    return [first, paid, *packed, await order(ledger, f"{label}, again")]


def expected(label: str) -> list[str]:
    return [
        f"order {label}",
        f"deposit {label}",
        f"pack {label} 0",
        f"pack {label} 1",
        f"order {label}, again",
    ]


CALLS = 6
"""Recorded calls of a purchase, its timer included."""
EFFECTS = 4


def make_tables(tx: Transaction) -> None:
    tx.execute("CREATE TABLE deposits (label text)")
    tx.execute("CREATE TABLE tills (total integer)")
    tx.execute("INSERT INTO tills VALUES (0)")


def take(tx: Transaction) -> int:
    """A unit of work that must not happen twice."""
    return tx.execute("UPDATE tills SET total = total + 1")


@dataclass
class Customers:
    """Start purchases, each waiting for one before the next, until they are told to stop.

    Attributes:
        slowest: the longest that any caller had to wait, in seconds.
    """

    ledger: Path
    stop: Callable[[], bool]
    labels: Iterator[int]
    bought: int = 0
    slowest: float = 0.0

    async def all(self, hf: Holdfast) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self.one(hf))

    async def one(self, hf: Holdfast) -> None:
        while not self.stop():
            label = str(next(self.labels))
            began = time.monotonic()
            handle = await hf.astart(purchase, str(self.ledger), label, key=label)
            await hf.store.arun(take)
            assert await handle == expected(label)
            self.bought += 1
            self.slowest = max(self.slowest, time.monotonic() - began)


def check(client: Holdfast, customers: Customers, **figures: object) -> None:
    """Nothing lost, nothing recorded twice, and, since no worker died, no effect repeated either."""
    effects = fleet.Effects(customers.ledger).counts()
    report(
        flows=customers.bought,
        records=rows(client, "SELECT count(*) FROM steps")[0][0],
        effects_repeated=effects.total() - len(effects),
        slowest_caller_seconds=round(customers.slowest, 1),
        **figures,
    )
    flows = customers.bought
    assert flows >= AT_ONCE
    assert rows(client, "SELECT status, count(*) FROM flows GROUP BY status") == [("finished", flows)]
    assert rows(client, "SELECT count(*), count(DISTINCT (flow, run_id)) FROM steps") == [(flows * CALLS,) * 2]
    assert rows(client, "SELECT DISTINCT status FROM steps") == [("succeeded",)]
    assert rows(client, "SELECT count(*), count(DISTINCT label) FROM deposits") == [(flows, flows)]
    assert rows(client, "SELECT total FROM tills") == [(flows,)]
    assert rows(client, "SELECT count(*) FROM workers") == [(1,)]
    assert (len(effects), effects.total()) == (flows * EFFECTS, flows * EFFECTS)


@pytest.mark.parametrize("cuts", [20, pytest.param(1000, marks=LONG)])
def test_connections_cut_at_the_moment_of_commit(
    cuts: int, postgres_url: str, short_folder: Path, tmp_path: Path
) -> None:
    began = time.monotonic()
    with (
        Holdfast(postgres_url, worker=False) as client,
        CuttingProxy(postgres_url, short_folder, cuts=cuts) as proxy,
    ):
        client.store.run(make_tables)
        customers = Customers(tmp_path / "ledger", lambda: proxy.done, count())

        async def main() -> None:
            async with Holdfast(proxy.url, workflows=[purchase]) as hf:
                await customers.all(hf)

        asyncio.run(main())
        check(
            client, customers, case="connections cut", cuts=dict(proxy.made), seconds=round(time.monotonic() - began, 1)
        )
        assert set(proxy.made) <= set(MANNERS)
        assert proxy.made.total() == cuts


@pytest.mark.parametrize("times", [2, pytest.param(10, marks=LONG)])
def test_the_server_is_killed_and_started_again(times: int, short_folder: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    ended = asyncio.Event()
    with PrivateServer(short_folder) as server:
        customers = Customers(tmp_path / "ledger", ended.is_set, count())

        async def disturb() -> None:
            for number in range(times):
                before = customers.bought
                while customers.bought < before + AT_ONCE:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(server.end, (signal.SIGKILL, signal.SIGQUIT)[number % 2])
                await asyncio.to_thread(server.start)
            ended.set()

        async def main() -> None:
            async with Holdfast(server.url, workflows=[purchase]) as hf:
                await hf.store.arun(make_tables)
                async with asyncio.TaskGroup() as group:
                    group.create_task(customers.all(hf))
                    group.create_task(disturb())

        asyncio.run(main())
        with Holdfast(server.url, worker=False) as client:
            check(client, customers, case="server killed", times=times, seconds=round(time.monotonic() - began, 1))


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """The path of a socket has about 100 characters."""
    folder = Path(tempfile.mkdtemp(prefix="hf-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
