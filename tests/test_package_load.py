"""Flows are started all the time, their route moves every second, and whatever runs them is killed at random: each flow
finishes on the version it was started on, and none is lost (FL-11, PK-5, PK-8)."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest

from holdfast import Holdfast
from holdfast.packages import deploy_archive, rollback
from holdfast.packages.errors import NothingToRollBack
from tests.fleet import TERMINAL, report, rows, until
from tests.orders_kit import SupervisorProcess, Version, versions

OUTSTANDING = 40
PACKING_SECONDS = 0.05
PINNED = "SELECT package_hash FROM flows WHERE id = :id"
GOING = f"SELECT count(*) FROM flows WHERE status NOT IN {TERMINAL} AND NOT paused"
"""A flow that was halted does not go on."""
ENDED = "SELECT id, num, status, result, package_hash, error FROM flows"
FINISHED = "SELECT count(*) FROM flows WHERE status = 'finished'"
RECORDED = """SELECT s.flow, s.run_id, w.workflow_types
FROM steps s JOIN workers w ON w.epoch = s.epoch ORDER BY s.flow, s.num"""
TAKEN_OVER = "SELECT count(DISTINCT flow) FROM flow_events WHERE kind = 'resumed'"


@dataclass(frozen=True)
class Storm:
    """What happens to the flows.

    Attributes:
        seconds: how long it lasts.
        hosts: supervisors at once.
        move: seconds between two moves of the route.
        child_kill, supervisor_kill: seconds between two kills, on average.
    """

    seconds: float
    hosts: int
    move: float
    child_kill: float
    supervisor_kill: float


BRIEF = Storm(seconds=6, hosts=1, move=0.5, child_kill=1.5, supervisor_kill=2.5)
LONG = Storm(seconds=60, hosts=2, move=1, child_kill=2, supervisor_kill=5)
STORMS = [pytest.param(BRIEF, id="brief"), pytest.param(LONG, id="long", marks=pytest.mark.prove)]


@dataclass
class Load:
    """Checkouts that were started, each with the version that it was pinned to then."""

    client: Holdfast
    pinned: dict[UUID, tuple[int, str]] = field(default_factory=dict)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Start them, from a thread, so that about :data:`OUTSTANDING` are unfinished."""
        ended = threading.Event()
        errors: list[BaseException] = []

        def serve() -> None:
            try:
                while not ended.wait(0.02):
                    for _ in range(OUTSTANDING - going(self.client)):
                        self._start()
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=serve, name="load")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        assert not errors, errors

    def _start(self) -> None:
        order = len(self.pinned)
        handle = self.client.start_named("checkout", {"order": order, "seconds": PACKING_SECONDS})
        ((content_hash,),) = rows(self.client, PINNED, id=str(handle.id))
        self.pinned[handle.id] = order, content_hash


class Weather:
    """Moves the route, and kills.

    Args:
        url, client: the store.
        folder: for what the supervisors need.
        storm: how often.
        chance: decides when, and which.

    Attributes:
        did: how often it did what.
        hosts: the supervisors that run.
    """

    def __init__(self, url: str, client: Holdfast, folder: Path, storm: Storm, chance: random.Random) -> None:
        self.did: Counter[str] = Counter()
        self._url = url
        self._client = client
        self._folder = folder
        self._storm = storm
        self._chance = chance
        self._next = 0
        self._ended = 0
        self.hosts = [self._host() for _ in range(storm.hosts)]

    def rage(self) -> None:
        """Until the storm is over, and all of it was there."""
        ends = time.monotonic() + self._storm.seconds
        acts = {
            self.move: lambda: self._storm.move,
            self.kill_child: lambda: self._chance.expovariate(1 / self._storm.child_kill),
            self.kill_supervisor: lambda: self._chance.expovariate(1 / self._storm.supervisor_kill),
        }
        due = {act: time.monotonic() + pause() for act, pause in acts.items()}
        while True:
            act = min(due, key=lambda act: due[act])
            if due[act] > ends and self._raged():
                return
            time.sleep(max(0.0, due[act] - time.monotonic()))
            act()
            due[act] = time.monotonic() + acts[act]()

    def move(self) -> None:
        """Deploy the one or the other in turns, or roll back."""
        if self._chance.random() < 0.3:
            with suppress(NothingToRollBack):
                self._client.store.run(lambda tx: rollback(tx, "checkout"))
                self.did["rollbacks"] += 1
                return
        archive = versions()[self._next % 2].archive
        self._client.store.run(lambda tx: deploy_archive(tx, archive))
        self._next += 1
        self.did["deploys"] += 1

    def kill_child(self) -> None:
        children = [pid for host in self.hosts for pid in host.children]
        if children:
            with suppress(ProcessLookupError):
                os.kill(self._chance.choice(children), signal.SIGKILL)
                self.did["children_killed"] += 1

    def kill_supervisor(self) -> None:
        """Once it has brought something to its end: on a slow machine, too, there is to be a load."""
        self._ended += until(self._newly_ended, "a flow ends")
        number = self._chance.randrange(len(self.hosts))
        self.hosts[number].kill()
        self.hosts[number] = self._host()
        self.did["supervisors_killed"] += 1

    def clear_up(self) -> None:
        """Kill all supervisors, once more, and have one that is left alone."""
        for host in self.hosts:
            host.kill()
        self.hosts = [self._host()]

    def _newly_ended(self) -> int:
        return int(rows(self._client, FINISHED)[0][0]) - self._ended

    def _raged(self) -> bool:
        return all(self.did[act] for act in ("deploys", "children_killed", "supervisors_killed"))

    def _host(self) -> SupervisorProcess:
        return SupervisorProcess(self._url, self._folder, lease=1.0)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("storm", STORMS)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_no_flow_changes_version(storm: Storm, kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    seed = random.randrange(1 << 32)
    with Holdfast(url, worker=False) as client:
        load = Load(client)
        for version in versions():
            client.store.run(lambda tx, version=version: deploy_archive(tx, version.archive))
        weather = Weather(url, client, tmp_path, storm, random.Random(seed))
        try:
            with load.going_on():
                weather.rage()
            weather.clear_up()
            until(lambda: going(client) == 0, "all flows end")
            assert weather.hosts[0].stop() == 0
        finally:
            for host in weather.hosts:
                if host.alive:
                    host.kill()
        faults, counts = audit(client, load)
        report(test="package load", kind=kind, seed=seed, seconds=storm.seconds, **weather.did, **counts)
    assert not faults, faults[:5]
    assert {"v1", "v2"} <= counts.keys(), counts
    assert "is halted" not in weather.hosts[0].log.read_text()


def going(client: Holdfast) -> int:
    """Flows that are still to end."""
    return int(rows(client, GOING)[0][0])


def audit(client: Holdfast, load: Load) -> tuple[list[str], dict[str, int]]:
    """Everything that is not as it must be, and how much there was."""
    by_hash = {version.archive.content_hash: version for version in versions()}
    found = {UUID(str(row[0])): row[1:] for row in rows(client, ENDED)}
    recorded: dict[int, list[tuple[str, list[str]]]] = {}
    for flow, run_id, served in rows(client, RECORDED):
        recorded.setdefault(flow, []).append((run_id, served if isinstance(served, list) else json.loads(served)))
    faults = [f"{len(found)} flows are there of {len(load.pinned)}"] if found.keys() != load.pinned.keys() else []
    counts: Counter[str] = Counter(flows=len(found), taken_over=rows(client, TAKEN_OVER)[0][0])
    for flow_id, (order, content_hash) in load.pinned.items():
        version = by_hash[content_hash]
        counts[version.label] += 1
        num, status, result, now_pinned, error = found.get(flow_id, (0, "lost", None, None, None))
        if (status, now_pinned) != ("finished", content_hash) or json.loads(result) != version.told(order):
            faults.append(f"{flow_id}, pinned to {version.label}, is {status} on {now_pinned} with {result or error}")
        faults += recording_faults(flow_id, version, recorded.get(num, []))
    return faults, dict(counts)


def recording_faults(id: UUID, version: Version, records: list[tuple[str, list[str]]]) -> list[str]:
    """Its steps are its version's, recorded by processes of its version."""
    faults = []
    if tuple(run_id for run_id, _ in records) != version.steps:
        faults.append(f"{id}, pinned to {version.label}, has recorded {[run_id for run_id, _ in records]}")
    for run_id, served in records:
        if f"checkout\x1f{version.archive.content_hash}" not in served:
            faults.append(f"{run_id} of {id}, pinned to {version.label}, was recorded by one that serves {served}")
    return faults
