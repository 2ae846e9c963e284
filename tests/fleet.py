"""Real worker processes to freeze, kill and stop, a continuous load for them, and what their records must be."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count, groupby
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from uuid import UUID

from holdfast import Handle, Holdfast, Transaction, current_step, sleep, step, workflow
from holdfast.testing.ledger import EffectLedger

T = TypeVar("T")
ROOT = Path(__file__).parent.parent
LEASE = "FLEET_LEASE"
CONCURRENCY = "FLEET_CONCURRENCY"
PATIENCE_SECONDS = 90.0
TERMINAL = "('finished', 'failed', 'cancelled')"


# -- what the workers run -------------------------------------------------------------------------------------


def leave(ledger: str) -> None:
    """Leave the running step's idempotency key in the effect ledger."""
    with EffectLedger(ledger, sync=False) as effects:
        effects.append(current_step().idempotency_key)


def _once(marker: str) -> bool:
    """True for the first caller of all processes."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


@step
async def link(ledger: str, label: str, number: int, milliseconds: int) -> str:
    leave(ledger)
    await asyncio.sleep(milliseconds / 1000)
    return f"{label}/{number}"


@workflow
async def chain(ledger: str, label: str, links: int, milliseconds: int) -> list[str]:
    """One step after the other: at most one is in flight."""
    return [await link(ledger, label, number, milliseconds) for number in range(links)]


@workflow
async def rest(ledger: str, label: str, links: int, milliseconds: int, seconds: float) -> list[str]:
    """A chain that stays unfinished for a while before its last link."""
    done = [await link(ledger, label, number, milliseconds) for number in range(links - 1)]
    await sleep(seconds)
    return [*done, await link(ledger, label, links - 1, milliseconds)]


@step
def stop_inside(tx: Transaction, ledger: str, marker: str, label: str) -> str:
    """Freezes its own process in the middle of its transaction, the first time."""
    leave(ledger)
    tx.execute("INSERT INTO visits (label) VALUES (:label)", {"label": label})
    if _once(marker):
        os.kill(os.getpid(), signal.SIGSTOP)
    tx.execute("UPDATE visits SET seen = 1 WHERE label = :label", {"label": label})
    return label


@workflow
async def frozen_inside(ledger: str, marker: str, label: str) -> str:
    return await stop_inside(ledger, marker, label)


@step
async def die() -> None:
    assert LEASE in os.environ, "this step ends a fleet's process, not the tests'"
    os.kill(os.getpid(), signal.SIGKILL)


@workflow
async def poison() -> None:
    await die()


@step
def linger(started: str, release: str) -> str:
    """Runs from the making of one file to that of another."""
    Path(started).touch()
    while not Path(release).exists():
        time.sleep(0.01)
    return "lingered"


@workflow
async def lingering(ledger: str, started: str, release: str) -> list[str]:
    first = await linger(started, release)
    return [first, await link(ledger, "after", 0, 0)]


hf = Holdfast(
    workflows=[chain, rest, frozen_inside, poison, lingering],
    lease=float(os.environ.get(LEASE, "1")),
    concurrency=int(os.environ.get(CONCURRENCY, "8")),
    drain=3600,
    park_after=86_400,
)
"""What a fleet's worker processes serve."""


# -- processes ------------------------------------------------------------------------------------------------


class WorkerProcess:
    """``holdfast worker`` in a process of its own.

    Args:
        url: the store.
        log: a file for what it says.
        lease: in seconds.
        concurrency: flows in memory at once.
        serves: the Holdfast that names its workflows.
    """

    def __init__(
        self, url: str, log: Path, *, lease: float = 1.0, concurrency: int = 8, serves: str = "tests.fleet:hf"
    ) -> None:
        command = [sys.executable, "-m", "holdfast", "worker", serves, "--store", url, "--json"]
        environment = os.environ | {LEASE: str(lease), CONCURRENCY: str(concurrency)}
        with log.open("a") as out:
            self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)
        self.pid = self._process.pid
        self.log = log

    def freeze(self) -> None:
        """Stop every thread of it, at whatever it does; returns when they are all stopped."""
        os.kill(self.pid, signal.SIGSTOP)
        self.wait_frozen()

    def wait_frozen(self) -> None:
        """Until it is stopped, by itself or others."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            self._process.returncode = os.waitstatus_to_exitcode(status)
            raise AssertionError(f"the worker ended by itself with {self._process.returncode}: {self.log.read_text()}")

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def ask_to_stop(self) -> None:
        self._process.terminate()

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        return self._process.wait(PATIENCE_SECONDS)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.alive:
            self.kill()


def until(found: Callable[[], T], what: str) -> T:
    """Wait for ``found()`` to be true.

    Raises:
        AssertionError: it did not come true in a long time.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := found()):
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not happen: {what}")
        time.sleep(0.01)
    return value


def report(**figures: Any) -> None:
    """One line for who reads the output."""
    print(json.dumps(figures))


# -- the load -------------------------------------------------------------------------------------------------


class Load:
    """Starts chains so that about ``outstanding`` of them are unfinished at any time, from a thread of its own.

    Args:
        client: a Holdfast without a worker.
        ledger: where their effects go.
        links: steps of a flow.
        milliseconds: duration of a step.
    """

    def __init__(self, client: Holdfast, ledger: Path, *, outstanding: int, links: int = 5, milliseconds: int = 40):
        self.links = links
        self.handles: dict[str, Handle[list[str]]] = {}
        self._client = client
        self._arguments = (links, milliseconds)
        self._ledger = str(ledger)
        self._outstanding = outstanding
        self._labels = count()
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, name="load")

    def _serve(self) -> None:
        try:
            while not self._ended.is_set():
                for _ in range(self._outstanding - unfinished(self._client)):
                    label = str(next(self._labels))
                    self.handles[label] = self._client.start(chain, self._ledger, label, *self._arguments)
                self._ended.wait(0.02)
        except BaseException as error:
            self._error = error

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._error is not None:
            raise self._error


def rows(client: Holdfast, sql: str, **params: Any) -> list[Any]:
    """What a question to the store finds."""
    return client.store.read(lambda tx: tx.fetch(sql, params))


def unfinished(client: Holdfast) -> int:
    """Flows that have not ended."""
    return int(rows(client, f"SELECT count(*) FROM flows WHERE status NOT IN {TERMINAL}")[0][0])


def newest_epoch(client: Holdfast, pid: int) -> int:
    """The epoch under which the process ``pid`` works now; 0 when it has none yet."""
    return int(rows(client, "SELECT coalesce(max(epoch), 0) FROM workers WHERE pid = :pid", pid=pid)[0][0])


def recorded_by(client: Holdfast, epoch: int) -> int:
    """How many steps the epoch recorded."""
    return int(rows(client, "SELECT count(*) FROM steps WHERE epoch = :epoch", epoch=epoch)[0][0])


def is_fenced(client: Holdfast, epoch: int) -> bool:
    """Whether somebody took over from the epoch."""
    return bool(rows(client, "SELECT 1 FROM workers WHERE epoch = :epoch AND fenced_at IS NOT NULL", epoch=epoch))


# -- what is in flight ----------------------------------------------------------------------------------------


class Effects:
    """Reads an effect ledger as it grows."""

    def __init__(self, ledger: Path) -> None:
        self._path = ledger
        self._offset = 0
        self._counts: Counter[str] = Counter()

    def counts(self) -> Counter[str]:
        """How often each effect has happened until now."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._offset)
                whole, newline, _ = file.read().rpartition(b"\n")
            self._offset += len(whole) + len(newline)
            self._counts.update(whole.decode().split())
        return self._counts


@dataclass
class Watched:
    """What the freezes met, of the flows that the frozen workers held.

    Attributes:
        held: flows on board.
        in_flight: effects that had happened and were not recorded.
        recorded: how often the effect of each recorded step had happened: it must not happen again.
    """

    held: int = 0
    in_flight: int = 0
    recorded: dict[str, int] = field(default_factory=dict)

    def look(self, client: Holdfast, effects: Effects, epoch: int) -> None:
        """Note what a worker that does not move any more has on board."""
        found = rows(
            client,
            "SELECT f.id, s.run_id FROM flows f LEFT JOIN steps s ON s.flow = f.num WHERE f.epoch = :epoch",
            epoch=epoch,
        )
        counts = effects.counts()
        for flow, group in groupby(sorted(found, key=lambda row: str(row[0])), key=lambda row: str(row[0])):
            done = [run_id for _, run_id in group if run_id]
            self.held += 1
            self.in_flight += f"{flow}/link#{len(done) + 1}@1" in counts
            self.recorded |= {key: counts[key] for key in (f"{flow}/{run_id}" for run_id in done)}

    def ran_again(self, effects: Effects) -> list[str]:
        """Steps that were recorded at a freeze and whose effect happened again afterwards (FL-10)."""
        counts = effects.counts()
        return [key for key, times in self.recorded.items() if counts[key] > times]


# -- what must have come of it --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Audit:
    """What the records of a load's flows add up to.

    Attributes:
        flows, steps: how many ended, were recorded.
        repeated: effects that happened more than once.
        takeovers: how often a flow was taken over, added up over the flows.
        faults: everything that is not as it must be.
    """

    flows: int
    steps: int
    repeated: int
    takeovers: int
    faults: list[str]


def audit(client: Holdfast, handles: dict[str, Handle[list[str]]], links: int, effects: Counter[str]) -> Audit:
    """Compare every record of chains with what it must be.

    Each flow finished with its own result; each of its steps is recorded once, with its own result, by whoever owned
    the flow then; and an effect was repeated at most as often as the flow was taken over: a chain has one step in
    flight.
    """
    faults: list[str] = []
    ended = {str(row[0]): row[1:] for row in rows(client, "SELECT id, status, result, num FROM flows")}
    recorded: dict[int, list[tuple[str, str, int]]] = {}
    for flow, *told in rows(
        client, "SELECT flow, run_id, result, epoch FROM steps WHERE task = 'link' ORDER BY flow, num"
    ):
        recorded.setdefault(flow, []).append(tuple(told))
    resumed = dict(rows(client, "SELECT flow, count(*) FROM flow_events WHERE kind = 'resumed' GROUP BY flow"))
    for label, handle in handles.items():
        status, result, num = ended.get(str(handle.id), ("lost", None, 0))
        steps = recorded.get(num, [])
        results = [f"{label}/{number}" for number in range(links)]
        if status != "finished" or json.loads(result) != results:
            faults.append(f"{handle.id} is {status} with {result}")
        if [told[:2] for told in steps] != [(f"link#{n}@1", json.dumps(r)) for n, r in enumerate(results, 1)]:
            faults.append(f"{handle.id} has recorded {steps}")
        faults += _ownership_faults(handle.id, [told[2] for told in steps])
        happened = [effects[f"{handle.id}/link#{n}@1"] for n in range(1, links + 1)]
        if 0 in happened:
            faults.append(f"{handle.id} has steps without an effect: {happened}")
        if sum(happened) - links > resumed.get(num, 0):
            faults.append(f"{handle.id} was taken over {resumed.get(num, 0)} times, its effects happened {happened}")
    if len(ended) != len(handles):
        faults.append(f"{len(handles)} flows were started and {len(ended)} are there")
    repeated = effects.total() - len(effects)
    return Audit(len(handles), sum(map(len, recorded.values())), repeated, sum(resumed.values()), faults)


def _ownership_faults(flow: UUID, epochs: Sequence[int]) -> list[str]:
    """Whoever lost a flow never writes to it again under that epoch."""
    owners = [epoch for epoch, _ in groupby(epochs)]
    return [f"{flow} was recorded by {owners}"] if len(owners) != len(set(owners)) else []
