"""Queues without an engine: flows are started, claimed, parked and ended by units of work alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from holdfast.flows.queues import Queue
from holdfast.flows.queues.claiming import claim, next_due
from holdfast.flows.queues.manager import declare
from holdfast.flows.requests import StartOptions, make_start
from holdfast.flows.starts import insert_flows
from holdfast.store import Store, Transaction, open_store
from holdfast.testing import VirtualClock

WORKFLOW = "sample"
SECOND = 1_000_000


class Scene:
    """A store, its clock, and flows that are known by names.

    Attributes:
        epochs: workers that are alive.
    """

    def __init__(self, store: Store, clock: VirtualClock) -> None:
        self.store = store
        self.clock = clock
        self.names: dict[str, str] = {}
        self._epoch = self.worker()

    def worker(self) -> int:
        """A new worker's epoch."""
        return int(self.store.run(add_worker))

    def declare(self, name: str = "q", **limits: Any) -> None:
        self.store.run(lambda tx: declare(tx, [Queue(name, **limits)]))

    def start(self, *names: str, queue: str = "q", workflow: str = WORKFLOW, **options: Any) -> list[Any]:
        """Start flows of these names; ids, or why they cannot be."""
        starts = [make_start(workflow, "{}", 0, StartOptions(queue=queue, **options)) for _ in names]
        outcomes = self.store.run(lambda tx: insert_flows(tx, starts).outcomes)
        self.names |= {start.id: name for start, name in zip(starts, names, strict=True)}
        return outcomes

    def claim(
        self, limit: int = 100, *, epoch: int | None = None, types: tuple[str, ...] = (WORKFLOW,), suspect: bool = False
    ) -> list[str]:
        """Names of the flows that a claim leases."""
        worker = self._epoch if epoch is None else epoch
        rows = self.store.run(lambda tx: claim(tx, worker, types, limit, suspect=suspect))
        return [self.names[str(row[1])] for row in rows]

    def next_due(self, *, epoch: int | None = None, types: tuple[str, ...] = (WORKFLOW,)) -> float | None:
        """Seconds from now until a claim could bring something."""
        worker = self._epoch if epoch is None else epoch
        moment = self.store.read(lambda tx: next_due(tx, worker, types))
        return None if moment is None else (moment - self.clock.micros()) / SECOND

    def finish(self, *names: str) -> None:
        self.change("status = 'finished', epoch = NULL", *names)

    def park(self, *names: str, seconds: float | None = None) -> None:
        """Until a moment, or until they are woken."""
        due = None if seconds is None else self.clock.micros() + round(seconds * SECOND)
        self.change("status = 'waiting', epoch = NULL, due_at = :due", *names, due=due)

    def wake(self, *names: str) -> None:
        self.change("touched = TRUE, due_at = :now", *names, now=self.clock.micros())

    def change(self, what: str, *names: str, **params: Any) -> None:
        wanted = [flow for flow, name in self.names.items() if name in names]
        self.store.run(
            lambda tx: [
                tx.execute(f"UPDATE flows SET {what} WHERE id = :id", {"id": flow, **params}) for flow in wanted
            ]
        )

    def take_over(self, epoch: int) -> None:
        """Fence a worker that died, and free its flows."""
        now = self.clock.micros()
        self.store.run(
            lambda tx: (
                tx.execute("UPDATE workers SET fenced_at = :now WHERE epoch = :epoch", {"now": now, "epoch": epoch}),
                tx.execute(
                    "UPDATE flows SET epoch = NULL, due_at = :now, crashes = crashes + 1 WHERE epoch = :epoch",
                    {"now": now, "epoch": epoch},
                ),
            )
        )

    def running(self) -> list[str]:
        """Names of the flows that hold slots."""
        rows = self.store.read(lambda tx: tx.fetch("SELECT id FROM flows WHERE epoch IS NOT NULL ORDER BY num"))
        return [self.names[str(flow)] for (flow,) in rows]


@contextmanager
def scene(url: str) -> Iterator[Scene]:
    clock = VirtualClock()
    with open_store(url, clock=clock) as store:
        yield Scene(store, clock)


def add_worker(tx: Transaction) -> int:
    (epoch,) = tx.fetch_one(
        "INSERT INTO workers (host, pid, workflow_types, beat, lease_seconds, started_at, seen_at)"
        " VALUES ('here', 1, '[]', 0, 10, 0, 0) RETURNING epoch"
    ) or (0,)
    return int(epoch)


def served(scene: Scene, times: int, after: Callable[[str], None] = lambda name: None) -> list[str]:
    """Claim one flow after the other; each has ended before the next."""
    found: list[str] = []
    for _ in range(times):
        names = scene.claim(1)
        for name in names:
            scene.finish(name)
            after(name)
        found += names
    return found
