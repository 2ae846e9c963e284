"""Starting flows: requests that wait together are inserted together (FL-18)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from holdfast.errors import StoreUnreachable
from holdfast.flows.engine.port import Claimed
from holdfast.flows.errors import FlowExists
from holdfast.flows.queues.errors import QueueNotFound
from holdfast.flows.queues.sql import SqlQueues
from holdfast.flows.requests import Start
from holdfast.ids import bucket
from holdfast.store import Row, Store, Transaction, Unit, load_queries
from holdfast.store.units import answer

_q = load_queries("holdfast.flows.engine")
MAX_GROUP = 500
Refusal = FlowExists | QueueNotFound


class Starts:
    """Inserts requests in groups: what arrives while one group is on its way makes up the next.

    A flow that a worker of this process has room for is leased to it by the same statement, and handed to it once
    that is durable.

    Args:
        store: where to.
        adopter: the worker, or ``None``.
    """

    def __init__(self, store: Store, adopter: Adopter | None) -> None:
        self._store = store
        self._adopter = adopter
        self._lock = threading.Lock()
        self._waiting: list[tuple[Start, Unit]] = []
        self._sending = False

    def submit(self, start: Start, unit: Unit) -> None:
        """Queue ``start``; ``unit`` is answered with the flow's id once it is durable."""
        with self._lock:
            self._waiting.append((start, unit))
            if self._sending or (unit.loop and self._adopter and self._adopter.holds(unit.loop)):
                return
            self._sending = True
        self._send()

    def flush(self) -> None:
        """Send what was held for the worker's next group."""
        with self._lock:
            if self._sending or not self._waiting:
                return
            self._sending = True
        self._send()

    def _send(self) -> None:
        with self._lock:
            group, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
            self._sending = bool(group)
        if not group:
            return
        starts = [start for start, _ in group]
        epoch, adopted = self._adopter.offer(starts) if self._adopter else (0, [False] * len(starts))

        def settle(unit: Unit) -> None:
            self._settle(group, unit, epoch)

        def work(tx: Transaction) -> Started:
            if not all(adopted):
                self._store.backend.announce(tx)
            return insert_flows(tx, starts, epoch, adopted)

        try:
            self._store.submit(Unit(work, settle, idempotent=True))
        except Exception as error:
            with self._lock:
                self._sending = False
                group, self._waiting = [*group, *self._waiting], []
            for _, waiter in group:
                waiter.error = error
            answer([waiter for _, waiter in group])

    def _settle(self, group: Sequence[tuple[Start, Unit]], unit: Unit, epoch: int) -> None:
        started: Started | None = unit.result
        outcomes = started.outcomes if started and unit.error is None else [unit.error] * len(group)
        for (_, waiter), outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                waiter.error = outcome
            else:
                waiter.result = outcome
        if self._adopter:
            if isinstance(unit.error, StoreUnreachable):
                self._adopter.doubt(epoch)
            self._adopter.adopt(epoch, started.adopted if started and unit.error is None else [])
        self._send()
        answer([waiter for _, waiter in group])


class Adopter(Protocol):
    """A worker that may take flows as they are started. Called from any thread."""

    def holds(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether the caller's loop is the worker's own and a group of records is about to leave: the starts then
        go with it, in the same commit, when the worker calls :meth:`Starts.flush`."""
        ...

    def offer(self, starts: Sequence[Start]) -> tuple[int, list[bool]]:
        """The worker's epoch, and which of ``starts`` it has room for."""
        ...

    def adopt(self, epoch: int, claimed: Sequence[Claimed]) -> None:
        """These were leased to it; whatever else was started is for its ordinary claims."""
        ...

    def doubt(self, epoch: int) -> None:
        """Starts of unknown outcome may have been leased to ``epoch``: only a new one frees them."""
        ...


class Started(NamedTuple):
    """What became of a group of starts: each one's id or why it cannot be, and those leased to the adopter."""

    outcomes: list[str | Refusal]
    adopted: list[Claimed]


def insert_flows(
    tx: Transaction, starts: Sequence[Start], epoch: int = 0, adopted: Sequence[bool] | None = None
) -> Started:
    """Insert flows that do not exist yet (FL-18).

    Doing it again does no harm: the same id or key with the same workflow and arguments is the same flow, and what an
    attempt leased whose answer was lost is found by its seed.

    Args:
        starts: the requests.
        epoch: a worker's, to which those marked in ``adopted`` are leased if it is alive.
    """
    now = tx.clock.micros()
    unknown = _unknown_queues(tx, starts)
    takes = adopted or [False] * len(starts)
    rows = [_row(s, now, take) for s, take in zip(starts, takes, strict=True) if s.queue not in unknown]
    inserted = {row[0]: row for row in tx.fetch(_q["insert_flows"], {"epoch": epoch}, rows=rows)}
    leased = [
        _leased(s, row[1], row[0], row[3], now, cancelled=False)
        for s in starts
        if (row := inserted.get(s.id)) and row[2] is not None
    ]
    tagged = [(*tag, now, inserted[s.id][1]) for s in starts if s.tags and s.id in inserted for tag in s.tags]
    if tagged:
        tx.execute(_q["insert_tags"], rows=tagged)
    if len(inserted) == len(starts):
        return Started([start.id for start in starts], leased)
    found = Found(tx, starts)
    leased += [
        _leased(s, f.num, f.id, s.seed, f.started_at, cancelled=bool(f.cancel_requested))
        for s in starts
        if s.id not in inserted and (f := found.by_id.get(s.id)) and (f.seed, f.epoch) == (s.seed, epoch)
    ]
    outcomes = [found.outcome(start, unknown) for start in starts]
    gone = [n for n, outcome in enumerate(outcomes) if outcome is None]
    if gone:  # what was in their way has ended since
        again = insert_flows(tx, [starts[n] for n in gone], epoch, [takes[n] for n in gone])
        leased += again.adopted
        for n, outcome in zip(gone, again.outcomes, strict=True):
            outcomes[n] = outcome
    return Started([outcome for outcome in outcomes if outcome is not None], leased)


def _leased(start: Start, num: int, id: str, seed: int, at: int, *, cancelled: bool) -> Claimed:
    return Claimed(
        num, id, start.workflow_type, start.args, 1, seed, at, cancelled, 1, 0, tied=False, owner=start.owner
    )  # fmt: skip


def insert_all(tx: Transaction, starts: Sequence[Start]) -> list[str]:
    """The same for starts that belong together; returns their flows' ids.

    Raises:
        FlowExists, QueueNotFound: one of them cannot be; nothing was written.
    """
    ids: list[str] = []
    for outcome in insert_flows(tx, starts).outcomes:
        if not isinstance(outcome, str):
            raise outcome
        ids.append(outcome)
    return ids


def _unknown_queues(tx: Transaction, starts: Sequence[Start]) -> set[str]:
    named = {start.queue for start in starts if start.queue is not None}
    return named - SqlQueues(tx).known(named) if named else named


class Standing(NamedTuple):
    """A flow that is there."""

    id: str
    key: str | None
    workflow_type: str
    digest: int
    num: int
    seed: int
    epoch: int | None
    started_at: int
    cancel_requested: bool
    queue: str | None
    dedupe: str | None
    live: bool


class Found:
    """The flows that stand in the way of starts.

    Attributes:
        by_id: those with an id of one of them.
    """

    def __init__(self, tx: Transaction, starts: Sequence[Start]) -> None:
        looked_up = [(s.id, s.key, s.workflow_type, s.queue, s.dedupe) for s in starts]
        standing = [Standing(*row) for row in tx.fetch(_q["standing"], rows=looked_up)]
        self.by_id = {flow.id: flow for flow in standing}
        self._by_key = {(flow.key, flow.workflow_type): flow for flow in standing if flow.key is not None}
        self._by_dedupe = {(f.queue, f.dedupe): f for f in standing if f.dedupe is not None and f.live}

    def outcome(self, start: Start, unknown: set[str]) -> str | Refusal | None:
        """The id of the flow that ``start`` asks for, or why it cannot be; ``None``: nothing is in its way.

        Args:
            unknown: queues that there are not.
        """
        found = self.by_id.get(start.id)
        keyed = self._by_key.get((start.key, start.workflow_type)) if start.key else None
        same = self._by_dedupe.get((start.queue, start.dedupe)) if start.dedupe else None
        if found and not _is_same(found, start):
            return FlowExists(f"The flow {start.id} was started as {found.workflow_type}, or with other arguments.")
        if keyed and (not _is_same(keyed, start) or (start.named and keyed.id != start.id)):
            return FlowExists(f"The key {start.key!r} belongs to the flow {keyed.id}, started otherwise.")
        standing = keyed or found or same
        if standing is not None:
            return standing.id
        if start.queue is not None and start.queue in unknown:
            return QueueNotFound(start.queue)
        return None


def _row(start: Start, now: int, take: bool) -> Row:
    return (
        start.id, bucket(start.id), start.key, start.workflow_type, start.owner, start.goal, now, start.seed,
        start.args, start.digest, take, max(now + start.delay, start.at or 0), start.queue, start.queue_key,
        start.priority, start.dedupe, start.tags_text, start.parent, start.parent_close, start.depth,
    )  # fmt: skip


def _is_same(flow: Standing, start: Start) -> bool:
    return (flow.workflow_type, flow.digest) == (start.workflow_type, start.digest)
