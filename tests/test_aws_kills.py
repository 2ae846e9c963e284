"""A world that is attached, killed: opened again, all that was acknowledged is there, and nothing by halves (WO-12)."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from holdfast.store import Store, open_store
from holdfast.testing.crash.fuse import Fuse, Killed, rehearse
from holdfast.worlds.aws import AwsWorld
from tests.aws_kill_kit import BUCKET, THREADS, Act, Holdings, Services, client, do, found, opened

durable = pytest.mark.parametrize("new_store_url", ["sqlite", "postgres"], indirect=True)
LONG = [pytest.mark.prove, pytest.mark.timeout(1200)]


# -- at random --------------------------------------------------------------------------------------------------------


class Child:
    """A process with the world and its clients."""

    def __init__(self, url: str, number: int) -> None:
        command = [sys.executable, "-m", "tests.aws_kill_kit", url, str(number)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
        self.owners = [f"c{number}-{place}" for place in range(THREADS)]

    def run(self, seconds: float, *, working: bool) -> list[Any]:
        """Have it begin and kill it after so long, counted from its clients' first word where it is to be working;
        returns what it told."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"go\n")
        first = self._process.stdout.read(1) if working else b""
        time.sleep(seconds)
        self._process.send_signal(signal.SIGKILL)
        told, errors = self._process.communicate(timeout=60)
        assert self._process.returncode == -signal.SIGKILL, errors.decode()
        assert not errors, errors.decode()
        return [json.loads(line) for line in (first + told).splitlines(keepends=True) if line.endswith(b"\n")]

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def expected(told: list[Any], owner: str) -> tuple[Holdings, Holdings]:
    """What a client must have: as acknowledged, or with what it had begun besides."""
    mine = [(line[0], tuple(line[2])) for line in told if line[1:2] == [owner]]
    holdings, begun = Holdings(), None
    for what, act in mine:
        begun = act if what == "begun" else None
        if what == "done":
            holdings = holdings.after(act)
    return holdings, holdings.after(begun)


@pytest.mark.parametrize(
    ("kind", "kills"),
    [
        ("sqlite", 3),
        pytest.param("sqlite", 60, marks=LONG),
        pytest.param("postgres", 60, marks=LONG),
    ],
)
def test_killed_at_random(kind: str, kills: int, request: pytest.FixtureRequest) -> None:
    url: str = request.getfixturevalue(f"{kind}_url")
    with open_store(url) as store, opened(store):
        Services().furnish()
    holds: dict[str, Holdings] = {}
    waiting: deque[Child] = deque()
    done = between = 0
    with ExitStack() as stack:
        for number in range(kills):
            while len(waiting) < 3 and number + len(waiting) < kills:
                waiting.append(stack.enter_context(Child(url, number + len(waiting))))
            child = waiting.popleft()
            told = child.run(random.uniform(0.05, 0.8), working=number % 2 == 0)
            done += sum(line[0] == "done" for line in told)
            with open_store(url) as store, opened(store):
                now = found(Services(), [*holds, *child.owners])
            for owner, before in holds.items():
                assert now.pop(owner) == before
            for owner, holdings in now.items():
                acknowledged, begun = expected(told, owner)
                assert holdings in (acknowledged, begun)
                between += holdings != acknowledged
                holdings.taken += len(holdings.visible)
                holdings.visible.clear()
                holds[owner] = holdings
    print(f"{kind}: {kills} kills, {done} acknowledged, {between} done and not acknowledged")
    assert done > kills


# -- at each write point ----------------------------------------------------------------------------------------------


class Visit(NamedTuple):
    """A run that was killed: where, what it had acknowledged, and the store as the next process finds it."""

    where: str
    acknowledged: list[Act]
    store: Store


def killed(
    new_url: Callable[[], str], prepare: Callable[[AwsWorld], object], act: Callable[[AwsWorld, list[Act]], object]
) -> Iterator[Visit]:
    """Kill ``act`` at each of its write points in turn, opening the world included."""
    point = 1
    while True:
        url, acknowledged = new_url(), list[Act]()
        with open_store(url) as store, opened(store) as world:
            prepare(world)
        fuse = Fuse(point, rehearse)
        lit: list[bool] = []
        with open_store(url, probe=lambda where, f=fuse, lit=lit: f(where) if lit else None) as store:  # type: ignore[misc]
            lit.append(True)
            with suppress(Killed), opened(store) as world:
                act(world, acknowledged)
        if fuse.where is None:
            return
        with open_store(url) as store:
            yield Visit(fuse.where, acknowledged, store)
        point += 1


OWNER, OTHER = "c0", "222222222222"
ACTS: tuple[Act, ...] = (
    ("queue",),
    ("send", "one"),
    ("put", "c0/0", "body"),
    ("pair", "c0/1", "c0/2", "7"),
    ("take",),
    ("remove", "c0/0"),
    ("done",),
)


def act_all(_: AwsWorld, acknowledged: list[Act]) -> None:
    services, handles = Services(), list[str]()
    for act in ACTS:
        try:
            do(services, OWNER, act, handles)
        except ClientError:
            return
        acknowledged.append(act)


@durable
def test_killed_at_each_write_point_of_the_journal(new_store_url: Callable[[], str]) -> None:
    seen = set()
    for visit in killed(new_store_url, lambda _: Services().furnish(), act_all):
        with opened(visit.store):
            holdings = found(Services(), [OWNER])[OWNER]
        states = [Holdings()]
        for act in ACTS:
            states.append(states[-1].after(act))
        place = states.index(holdings)
        assert place - len(visit.acknowledged) in (0, 1)
        seen.add((visit.where, place - len(visit.acknowledged)))
    assert {("before commit", 0), ("after commit", 1)} <= seen


def two_times(world: AwsWorld) -> None:
    """Checkpoints of two times between which every service has changed."""
    services = Services()
    services.furnish()
    for number, time_ in enumerate(("first", "second"), 1):
        do(services, OWNER, ("queue",), [])
        for act in (("send", time_), ("put", f"c0/{number}", time_), ("item", f"c0/{number}", str(number))):
            do(services, OWNER, act, [])
        do(services, OWNER, ("put", "c0/0", time_), [])
        client("iam").create_user(UserName=time_)
        client("sqs", OTHER).create_queue(QueueName=time_)
        world.checkpoint(time_)


@pytest.mark.parametrize("new_store_url", ["sqlite", pytest.param("postgres", marks=LONG)], indirect=True)
def test_killed_at_each_write_point_of_a_restore(new_store_url: Callable[[], str]) -> None:
    reached = []
    for visit in killed(new_store_url, two_times, lambda world, _: world.restore("first")):
        with opened(visit.store) as world:
            first, second = world.diff("first"), world.diff("second")
            assert not first or not second
            body = client("s3").get_object(Bucket=BUCKET, Key="c0/0")["Body"].read()
            assert body == 50 * (b"second" if first else b"first")
            world.restore("first")
            assert not world.diff("first")
        with opened(visit.store) as world:
            assert not world.diff("first")
        reached.append(not first)
    assert set(reached) == {False, True}
    assert len(reached) > 8
