"""FL-11: workers that are frozen past their lease are taken over and refused; nothing is lost or recorded twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from holdfast import Holdfast
from holdfast.flows.engine.lease import Registered, Watch
from holdfast.flows.health import is_frozen
from holdfast.store.turnstile import Turnstile, holder
from holdfast.testing import VirtualClock
from tests import fleet
from tests.fleet import Effects, Load, Watched, WorkerProcess, audit, newest_epoch, recorded_by, report, until

LEASE = 1.0
OUTSTANDING = 20


@dataclass
class Scene:
    """Workers under load.

    Attributes:
        path: the store's file, if it is one.
        frozen: what the freezes met.
    """

    client: Holdfast
    workers: Sequence[WorkerProcess]
    load: Load
    effects: Effects
    path: Path | None
    frozen: Watched

    def finish(self) -> fleet.Audit:
        """Wait for all flows to end, and audit them."""
        until(lambda: not fleet.unfinished(self.client), "all flows end")
        return audit(self.client, self.load.handles, self.load.links, self.effects.counts())


@contextmanager
def scene(url: str, folder: Path, workers: int, lease: float = LEASE) -> Iterator[Scene]:
    ledger = folder / "ledger"
    path = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite") else None
    with ExitStack() as stack:
        client = stack.enter_context(Holdfast(url, workflows=[fleet.chain, fleet.frozen_inside], worker=False))
        serving = [
            stack.enter_context(WorkerProcess(url, folder / f"worker-{number}.log", lease=lease))
            for number in range(workers)
        ]
        until(lambda: all(newest_epoch(client, worker.pid) for worker in serving), "the workers serve")
        yield Scene(client, serving, Load(client, ledger, outstanding=OUTSTANDING), Effects(ledger), path, Watched())


def holds_turn(path: Path | None, pid: int) -> bool:
    """Whether a process that does not move has the turn to write: then it keeps it, which others do for a moment."""
    return path is not None and all(holder(path) == pid or time.sleep(0.005) for _ in range(20))


def freeze_where(scene: Scene, worker: WorkerProcess, *, inside: bool) -> None:
    """Freeze ``worker`` at a random instant, inside or outside of a commit."""

    def frozen() -> bool:
        time.sleep(random.uniform(0, 0.2))
        worker.freeze()
        if holds_turn(scene.path, worker.pid) is inside:
            return True
        worker.thaw()
        return False

    until(frozen, f"it is frozen {'inside' if inside else 'outside'} a commit")


def busy_worker(scene: Scene) -> fleet.WorkerProcess:
    """One that holds flows just now."""
    held = "SELECT w.pid FROM workers w JOIN flows f ON f.epoch = w.epoch WHERE w.fenced_at IS NULL"
    busy: list[fleet.WorkerProcess] = []

    def look() -> bool:
        pids = {pid for (pid,) in fleet.rows(scene.client, held)}
        busy[:] = [worker for worker in scene.workers if worker.pid in pids]
        return bool(busy)

    until(look, "a worker has flows")
    return random.choice(busy)


def freeze_past_lease(scene: Scene) -> None:
    """Freeze a worker outside a commit until it was taken over; once thawed it is refused and begins a new epoch."""
    worker = busy_worker(scene)
    freeze_where(scene, worker, inside=False)
    epoch = newest_epoch(scene.client, worker.pid)
    scene.frozen.look(scene.client, scene.effects, epoch)
    until(lambda: fleet.is_fenced(scene.client, epoch), "the others take over")
    time.sleep(random.uniform(0, 0.2))
    written = recorded_by(scene.client, epoch)
    worker.thaw()
    until(lambda: newest_epoch(scene.client, worker.pid) > epoch, "the thawed worker begins a new epoch")
    assert recorded_by(scene.client, epoch) == written
    assert fleet.rows(scene.client, "SELECT count(*) FROM flows WHERE epoch = :epoch", epoch=epoch) == [(0,)]


def check(scene: Scene, freezes: int, case: str, began: float) -> None:
    found = scene.finish()
    again = scene.frozen.ran_again(scene.effects)
    report(
        case=case,
        freezes=freezes,
        flows=found.flows,
        steps=found.steps,
        flows_on_board=scene.frozen.held,
        steps_in_flight=scene.frozen.in_flight,
        takeovers=found.takeovers,
        effects_repeated=found.repeated,
        recorded_steps_that_ran_again=len(again),
        seconds=round(time.monotonic() - began, 1),
    )
    assert found.faults == []
    assert again == []
    assert found.repeated <= found.takeovers
    assert scene.frozen.held > 0


LONG = [pytest.mark.prove, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("freezes", [3, pytest.param(200, marks=LONG)])
@pytest.mark.parametrize(("kind", "workers"), [("postgres", 4), ("sqlite", 2)])
def test_a_worker_frozen_past_its_lease_is_refused(
    kind: str, workers: int, freezes: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url: str = request.getfixturevalue(f"{kind}_url")
    began = time.monotonic()
    with scene(url, tmp_path, workers) as found:
        with found.load:
            for _ in range(freezes):
                freeze_past_lease(found)
        check(found, freezes, f"{workers} workers on {kind}, one frozen past its lease", began)


def doctor(url: str) -> dict[str, object]:
    """What ``holdfast doctor`` says about the turn to write."""
    command = [sys.executable, "-m", "holdfast", "doctor", "--store", url, "--json"]
    answer = subprocess.run(command, cwd=fleet.ROOT, capture_output=True, text=True, check=False, timeout=60)
    turn: dict[str, object] = json.loads(answer.stdout)["turn"]
    return turn


@pytest.mark.parametrize("freezes", [1, pytest.param(20, marks=LONG)])
def test_a_worker_frozen_inside_a_commit_holds_the_others_up_and_loses_nothing(
    freezes: int, sqlite_url: str, tmp_path: Path
) -> None:
    began = time.monotonic()
    with scene(sqlite_url, tmp_path, 2) as found:
        with found.load:
            for _ in range(freezes):
                worker = random.choice(found.workers)
                freeze_where(found, worker, inside=True)
                found.frozen.look(found.client, found.effects, newest_epoch(found.client, worker.pid))
                written = fleet.rows(found.client, "SELECT count(*), max(num) FROM steps")
                assert doctor(sqlite_url) == {"pid": worker.pid, "frozen": True}
                time.sleep(LEASE)
                assert fleet.rows(found.client, "SELECT count(*), max(num) FROM steps") == written
                worker.thaw()
                until(
                    lambda before=written: fleet.rows(found.client, "SELECT count(*), max(num) FROM steps") != before,
                    "they go on",
                )
        check(found, freezes, "2 workers on sqlite, one frozen inside a commit", began)


@pytest.mark.parametrize(("kind", "workers"), [("postgres", 4), ("sqlite", 2)])
def test_a_worker_frozen_inside_a_transactional_step(
    kind: str, workers: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """On PostgreSQL the server ends the frozen transaction and the flow goes on elsewhere; on SQLite it waits."""
    url: str = request.getfixturevalue(f"{kind}_url")
    ledger, marker = tmp_path / "ledger", tmp_path / "frozen"
    with scene(url, tmp_path, workers, lease=2.0) as found:
        found.client.store.run(lambda tx: tx.execute("CREATE TABLE visits (label text, seen integer)"))
        epochs = {worker.pid: newest_epoch(found.client, worker.pid) for worker in found.workers}
        handle = found.client.start(fleet.frozen_inside, str(ledger), str(marker), "A-17")
        until(marker.exists, "the step has frozen its worker")
        if kind == "postgres":
            assert handle.result(timeout=60) == "A-17"
        (worker,) = until(lambda: [worker for worker in found.workers if is_frozen(worker.pid)], "it is frozen")
        worker.wait_frozen()
        worker.thaw()
        assert handle.result(timeout=60) == "A-17"
        if kind == "postgres":
            until(lambda: newest_epoch(found.client, worker.pid) > epochs[worker.pid], "the thawed worker is refused")
            others = [other for other in found.workers if other is not worker]
            assert [newest_epoch(found.client, other.pid) for other in others] == [epochs[o.pid] for o in others]
        assert fleet.rows(found.client, "SELECT label, seen FROM visits") == [("A-17", 1)]
        assert all(worker.alive for worker in found.workers)


def test_whoever_was_frozen_itself_does_not_judge_others() -> None:
    """It has missed their beats: only the time that it spent watching counts."""
    clock = VirtualClock()
    watch = Watch(clock, 1.0)
    other = Registered(epoch=7, beat=3, host="elsewhere", pid=1, lease_seconds=3.0, fenced_at=None)

    def judged_after(seconds: float, worker: Registered = other) -> list[Registered]:
        clock.lapse(seconds)
        return watch.expired([worker], besides=1)

    assert judged_after(0) == []
    assert judged_after(3600) == []
    assert judged_after(0.5, replace(other, beat=4)) == []
    assert judged_after(2, replace(other, beat=4)) == []
    assert judged_after(2, replace(other, beat=4)) == [replace(other, beat=4)]


def test_a_process_frozen_at_the_gate_is_named(tmp_path: Path) -> None:
    """It keeps everybody from writing as well: it is next, and does not take the free turn."""
    database = tmp_path / "store.db"
    code = (
        "import sys, pathlib; from holdfast.store.turnstile import Turnstile as T; T(pathlib.Path(sys.argv[1])).enter()"
    )
    turnstile = Turnstile(database)
    try:
        turnstile.enter()
        with subprocess.Popen([sys.executable, "-c", code, str(database)]) as waiting:
            noted = tmp_path / "store.db-gate"
            until(lambda: noted.read_bytes() == waiting.pid.to_bytes(8, "little"), "the other stands at the gate")
            waiting.send_signal(signal.SIGSTOP)
            os.waitpid(waiting.pid, os.WUNTRACED)
            assert holder(database) == os.getpid()
            turnstile.leave()
            assert holder(database) == waiting.pid
            waiting.send_signal(signal.SIGCONT)
            assert waiting.wait() == 0
        assert holder(database) is None
    finally:
        turnstile.close()
