"""A queue's limits hold while its workers are killed at random, and no slot is ever lost."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from holdfast import Holdfast
from holdfast.flows.queues import Queue
from holdfast.flows.queues.manager import declare, standing
from holdfast.testing.ledger import EffectLedger
from tests.fleet import WorkerProcess, newest_epoch, report, rows, unfinished, until
from tests.queue_fleet import BEGUN, DEAD, Peaks, occupied, peaks

LIMIT, PER_WORKER, PER_KEY = 10, 4, 5
OUTSTANDING = 60
LONG = [pytest.mark.prove, pytest.mark.timeout(1200)]


def worker(url: str, folder: Path, number: int) -> WorkerProcess:
    return WorkerProcess(url, folder / f"worker-{number}.log", serves="tests.queue_fleet:hf")


def kill(victim: WorkerProcess, ledger: EffectLedger) -> None:
    """At a random instant, as kill -9 does. It is stopped first, so that the ledger has its end in the right place."""
    victim.freeze()
    ledger.append(f"{DEAD} {victim.pid}")
    victim.kill()


def feed(client: Holdfast, ledger: Path, wanted: int) -> int:
    """Start flows until so many are unfinished; how many that were."""
    missing = wanted - unfinished(client)
    if missing > 0:
        calls = [(str(ledger), random.choice("abc"), 3, random.randint(5, 40)) for _ in range(missing)]
        client.start_many(occupied, calls, queue="q", queue_key=lambda ledger, key, steps, milliseconds: key)
    return max(missing, 0)


@pytest.mark.parametrize(
    ("seconds", "workers"), [(6, 3), pytest.param(120, 8, marks=LONG)], ids=["a few kills", "two minutes"]
)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_limits_hold_while_workers_are_killed(
    kind: str, seconds: int, workers: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url: str = request.getfixturevalue(f"{kind}_url")
    path = tmp_path / "ledger"
    kills = started = 0
    with ExitStack() as stack:
        ledger = stack.enter_context(EffectLedger(path, sync=False))
        client = stack.enter_context(Holdfast(url, workflows=[occupied], worker=False))
        limits = Queue("q", concurrency=LIMIT, per_worker=PER_WORKER, per_key=PER_KEY)
        client.store.run(lambda tx: declare(tx, [limits]))
        serving = [stack.enter_context(worker(url, tmp_path, number)) for number in range(workers)]
        until(lambda: all(newest_epoch(client, each.pid) for each in serving), "the workers serve")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            started += feed(client, path, OUTSTANDING)
            time.sleep(random.uniform(0.1, 1.5))
            place = random.randrange(workers)
            kill(serving[place], ledger)
            kills += 1
            serving[place] = stack.enter_context(worker(url, tmp_path, workers + kills))
        until(lambda: not unfinished(client), "all flows end")
        most = peaks(path.read_text().splitlines())
        ended = dict(rows(client, "SELECT status, count(*) FROM flows GROUP BY status"))
        left = client.store.read(lambda tx: standing(tx, "q"))
        again = len([line for line in path.read_text().splitlines() if line.startswith(BEGUN)]) - 3 * started
        report(
            case=f"{workers} workers on {kind}, a queue of {LIMIT}", seconds=seconds, kills=kills, flows=started,
            steps_repeated=again, most_at_once=most.all, most_of_a_worker=most.worker, most_of_a_key=most.key,
        )  # fmt: skip
    assert most.all <= LIMIT
    assert most.worker <= PER_WORKER
    assert most.key <= PER_KEY
    assert most.all == LIMIT or seconds < 60
    assert ended == {"finished": started}
    assert (left.running, left.ready, left.later) == (0, 0, 0)


def test_the_ledger_shows_an_excess() -> None:
    lines = ["+ a f1 1", "+ a f2 1", "- a f1 1", "+ b f3 2", "x 1", "+ b f4 2", "- b f3 2", "- b f4 2"]
    assert peaks(lines) == Peaks(2, 2, 2)
    assert peaks(["+ a f1 1", "+ b f2 2", "+ a f3 2", "x 2", "+ a f4 3"]) == Peaks(3, 2, 2)
