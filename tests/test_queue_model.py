"""Queues against a plain model: what is claimed, in which order, whatever happened before."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.flows.queues.model import Queue
from tests.queue_kit import SECOND, Scene, scene, served

KEYS = ("", "a", "b", "é")


@dataclass
class Job:
    name: str
    order: int
    key: str
    priority: int
    due: float | None
    state: str = "waiting"
    worker: int = 0
    began: float | None = None

    @property
    def turn(self) -> int:
        return 2 if self.began is None else 1


@dataclass
class Model:
    """One queue, served one flow at a time."""

    queue: Queue
    jobs: list[Job] = field(default_factory=list)
    last: dict[tuple[int, int], str] = field(default_factory=dict)
    now: float = 0

    def claim(self, worker: int, limit: int) -> list[str]:
        found: list[str] = []
        for group in sorted({(job.priority, job.turn) for job in self.jobs if self.is_ready(job)}):
            found += self.serve(group, worker, limit - len(found))
        return found

    def serve(self, group: tuple[int, int], worker: int, limit: int) -> list[str]:
        """Keys take turns, from the one after the last; a single key that nobody ever shared with leaves no trace."""
        limit = min(limit, self.free(worker), self.beginnings() if group[1] == 2 else limit)
        last = self.last.get(group)
        keys = {job.key for job in self.jobs if self.stands(job, group)}
        found: list[Job] = []
        while len(found) < limit and (jobs := [job for job in self.jobs if self.stands(job, group)]):
            first = min(jobs, key=lambda job: (last is not None and job.key <= last, job.key, job.order))
            first.state, first.worker, last = "running", worker, first.key
            first.began = self.now if first.began is None else first.began
            found.append(first)
        if found and (len(keys) > 1 or group in self.last):
            self.last[group] = found[-1].key
        return [job.name for job in found]

    def stands(self, job: Job, group: tuple[int, int]) -> bool:
        return self.is_ready(job) and (job.priority, job.turn) == group and self.has_place(job.key)

    def is_ready(self, job: Job) -> bool:
        return job.state == "waiting" and job.due is not None and job.due <= self.now

    def running(self) -> list[Job]:
        return [job for job in self.jobs if job.state == "running"]

    def free(self, worker: int) -> int:
        own = sum(job.worker == worker for job in self.running())
        limits = self.queue.limits
        return max(0, min((limits.concurrency or 99) - len(self.running()), (limits.per_worker or 99) - own))

    def has_place(self, key: str) -> bool:
        return sum(job.key == key for job in self.running()) < (self.queue.per_key or 99)

    def beginnings(self) -> int:
        limits = self.queue.limits
        window = (limits.rate_micros or 0) / SECOND
        begun = sum(job.began is not None and job.began > self.now - window for job in self.jobs)
        return max(0, (limits.rate_limit or 99) - begun) if limits.rate_limit else 99


class Run:
    """The same things done to the store and to the model."""

    def __init__(self, real: Scene, seed: int) -> None:
        self.chance = random.Random(seed)
        limits = {name: self.chance.choice([None, 1, 2, 3]) for name in ("concurrency", "per_worker", "per_key")}
        self.queue = Queue("q", **limits, rate=self.chance.choice([None, (2, 10), (3, 5)]))
        real.declare(**limits, rate=self.queue.rate)
        self.model = Model(self.queue)
        self.real = real
        self.workers = [real.worker(), real.worker()]

    def step(self) -> None:
        act = self.chance.choices(
            [self.start, self.claim, self.end, self.park, self.wake, self.crash, self.wait], [4, 6, 3, 2, 2, 0.3, 2]
        )
        act[0]()

    def start(self) -> None:
        key, priority = self.chance.choice(KEYS), self.chance.choice([0, 0, 1])
        delay = self.chance.choice([0, 0, 0, 3])
        names = [f"f{len(self.model.jobs) + n}" for n in range(self.chance.randint(1, 4))]
        self.real.start(*names, queue_key=key, priority=priority, delay=delay)
        due = self.model.now + delay
        self.model.jobs += [Job(name, int(name[1:]), key, priority, due) for name in names]

    def claim(self) -> None:
        worker, limit = self.chance.choice(self.workers), self.chance.choice([1, 2, 5, 50])
        due = self.real.next_due(epoch=worker)
        expected = self.model.claim(worker, limit)
        assert self.real.claim(limit, epoch=worker) == expected
        assert not expected or (due is not None and due <= 0)

    def one_of(self, state: str) -> Job | None:
        jobs = [job for job in self.model.jobs if job.state == state]
        return self.chance.choice(jobs) if jobs else None

    def end(self) -> None:
        if job := self.one_of("running"):
            job.state = "ended"
            self.real.finish(job.name)

    def park(self) -> None:
        if job := self.one_of("running"):
            seconds = self.chance.choice([None, 0, 2])
            job.state, job.due = "waiting", None if seconds is None else self.model.now + seconds
            self.real.park(job.name, seconds=seconds)

    def wake(self) -> None:
        if (job := self.one_of("waiting")) and job.began is not None and not self.model.is_ready(job):
            job.due = self.model.now
            self.real.wake(job.name)

    def crash(self) -> None:
        worker = self.workers.pop(0)
        for job in self.model.running():
            if job.worker == worker:
                job.state, job.due = "waiting", self.model.now
        self.real.take_over(worker)
        self.real.store.run(lambda tx: tx.execute("UPDATE flows SET crashes = 0"))
        self.workers.append(self.real.worker())

    def wait(self) -> None:
        seconds = self.chance.choice([1, 2, 5])
        self.model.now += seconds
        self.real.clock.advance(seconds)


@pytest.mark.parametrize("seed", range(6))
def test_random_histories(store_url: str, seed: int) -> None:
    with scene(store_url) as real:
        run = Run(real, seed)
        for _ in range(100):
            run.step()


@pytest.mark.parametrize("new_store_url", ["memory"], indirect=True)
@pytest.mark.parametrize("seed", range(100, 130))
def test_random_histories_end(store_url: str, seed: int) -> None:
    with scene(store_url) as real:
        run = Run(real, seed)
        for _ in range(150):
            run.step()
        while [
            job for job in run.model.jobs if job.state == "running" or (job.state != "ended" and job.due is not None)
        ]:
            for job in run.model.running():
                run.model.jobs[job.order].state = "ended"
                real.finish(job.name)
            run.claim()
            run.wait()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    backlogs=st.lists(st.integers(6, 12), min_size=2, max_size=5),
    groups=st.lists(st.integers(1, 5), min_size=1, max_size=8),
    per_key=st.sampled_from([None, 1, 2, 5]),
)
def test_keys_that_are_always_backlogged_are_served_alike(
    backlogs: list[int], groups: list[int], per_key: int | None
) -> None:
    with scene("sqlite://") as q:
        q.declare(per_key=per_key)
        for number, backlog in enumerate(backlogs):
            q.start(*(f"{number}.{n}" for n in range(backlog)), queue_key=f"key{number}")
        counts = [0] * len(backlogs)
        for limit in groups:
            names = q.claim(limit)
            q.finish(*names)
            for name in names:
                counts[int(name.partition(".")[0])] += 1
            if all(count < backlog for count, backlog in zip(counts, backlogs, strict=True)):
                assert max(counts) - min(counts) <= 1


def test_a_key_that_was_held_back_does_not_catch_up_in_one_go(store_url: str) -> None:
    with scene(store_url) as q:
        q.declare(concurrency=2, per_key=1)
        q.start(*(f"a{n}" for n in range(6)), queue_key="a")
        q.start(*(f"b{n}" for n in range(12)), queue_key="b")
        assert q.claim(1) == ["a0"]
        assert served(q, 5) == [f"b{n}" for n in range(5)]
        q.finish("a0")
        assert [name[0] for name in served(q, 6)] == ["a", "b"] * 3
