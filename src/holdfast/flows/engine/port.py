"""The one narrow port through which the engine reaches the store.

It carries plain records only, in groups, so that the engine runs alike in the user's process and in a child
process that never opens the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from holdfast.flows.requests import Start
from holdfast.store import Transaction

Sealing = Callable[[Transaction, int], None]
NONE_BORN: Mapping[int, Start] = MappingProxyType({})
HALTED = "halted"
SUSPECT_CRASHES = 2
"""A flow that was on board of this many dying workers in a row runs alone among its like (FL-19)."""


class Record(NamedTuple):
    """One completed call, as it is written and as it is replayed from.

    Attributes:
        flow: the flow's number.
        run_id: ``name#occurrence@attempt`` (FL-6).
        task: the name alone.
        status: ``succeeded``, ``failed`` or ``cancelled``.
        attempt: how many times the step was tried.
        digest: of the arguments (FL-19).
        result: JSON text, or ``None``.
        error: JSON text, or ``None``.
        created_at, updated_at: start and completion, micros.
    """

    flow: int
    run_id: str
    task: str
    status: str
    attempt: int
    digest: int
    result: str | None
    error: str | None
    created_at: int
    updated_at: int


class Wait(NamedTuple):
    """What a flow waits for besides time (FL-12).

    Attributes:
        flow: the flow's number.
        run_id: of the call; with the flow it identifies the wait.
        kind: ``event``, ``signal``, ``approval`` or ``child``.
        topic: the event's topic, the signal's or approval's name; empty for a child.
        correlation: the event's correlation id, the flow's own id for a signal, the child's id; empty for an approval.
        detail: JSON of an approval's terms.
        expires_at: micros after which an approval takes no answer.
    """

    flow: int
    run_id: str
    kind: str
    topic: str
    correlation: str
    detail: str | None = None
    expires_at: int | None = None


class Answer(NamedTuple):
    """Where a wait is: ``at`` (micros) is ``None`` while it is open; ``answer`` and ``failed`` as for a step's record.

    Attributes:
        wait: its number, the wait's own id.
    """

    wait: int
    flow: int
    run_id: str
    at: int | None
    answer: str | None
    failed: bool


class Attention(NamedTuple):
    """A flow of this worker to which something has happened from outside."""

    flow: int
    cancel_requested: bool
    paused: bool


class Progress(NamedTuple):
    """What a running step has reported: ``done`` of ``total`` (of any unit, or unknown), in words; ``at`` micros."""

    flow: int
    run_id: str
    done: float
    total: float | None
    note: str | None
    at: int


class Claimed(NamedTuple):
    """A flow that was just leased to this worker.

    Attributes:
        num: its number.
        id: its UUID's text.
        args: JSON object of arguments.
        attempt: the flow's attempt.
        seed: of its ``uuid()`` and ``random()``.
        started_at: micros of its first claim ever: where its own time begins.
        cancel_requested: somebody wants it to end.
        revision: after the claim; 1 on the very first.
        crashes: how many workers died on it in a row.
        tied: others depend on its end.
        state: what it has published, a JSON object.
        depth: how many parents it has above it.
        owner: whose it is.
        queue: the queue in which it takes a slot.
        history: what was recorded, in order: all of it, or its beginning.
        rest: numbers of the records that follow, to be asked for (:meth:`EnginePort.history`).
        answers: its waits that are not recorded yet, answered or not.
        progress: what its running steps had reported.
    """

    num: int
    id: str
    workflow_type: str
    args: str
    attempt: int
    seed: int
    started_at: int
    cancel_requested: bool
    revision: int
    crashes: int
    tied: bool
    state: str = "{}"
    depth: int = 0
    owner: str = ""
    queue: str | None = None
    history: Sequence[Record] = ()
    rest: Sequence[int] = ()
    answers: Sequence[Answer] = ()
    progress: Sequence[Progress] = ()


class Ending(NamedTuple):
    """How a flow ended: ``status`` is ``finished``, ``failed`` or ``cancelled``; texts are JSON; ``at`` micros.

    Attributes:
        tied: others depend on it: a parent, children, waits, worlds.
        anew: arguments (JSON) with which it begins again instead of ending (continue-as-new).
        attempt: the one that ends so; of a flow that begins again.
    """

    flow: int
    status: str
    result: str | None
    error: str | None
    at: int
    tied: bool = False
    anew: str | None = None
    attempt: int = 0


class Batch(NamedTuple):
    """Completed calls of a group, and what is written together with their records.

    Attributes:
        births: by position in ``records``, the child flow whose start that record is; what became of it is filled in.
        answered: numbers of the waits whose answers are recorded.
        reported: flow and run id of steps whose progress is of no interest any more.
    """

    records: Sequence[Record]
    births: Mapping[int, Start] = NONE_BORN
    answered: Sequence[int] = ()
    reported: Sequence[tuple[int, str]] = ()


class Outlook(NamedTuple):
    """What a worker could do, and when.

    Attributes:
        touched: something happened to flows that it holds.
        due: micros at which the next flow can be leased, if any.
        schedules: micros at which the next schedule is due.
        chores: micros at which the next chore is due.
    """

    touched: bool
    due: int | None
    schedules: int | None
    chores: int | None


class EnginePort(Protocol):
    """All that the engine asks of the store. Every write proves that ``epoch`` is alive, inside its own
    statement or transaction and under a lock on the worker's row (FL-11). What is written in groups returns a future
    rather than a coroutine: the group is on its way when the call returns.

    Raises, in every method:
        LeaseLost: the epoch was fenced; nothing was written.
        StoreError: the database cannot do it now.
    """

    async def outlook(self, epoch: int, workflow_types: Sequence[str]) -> Outlook:
        """What there is to do; reads alone, by indexes."""
        ...

    async def claim(self, epoch: int, workflow_types: Sequence[str], limit: int, *, suspect: bool) -> list[Claimed]:
        """Lease up to ``limit`` flows that are due, with (the beginnings of) their histories, and at most one suspect
        (of at least ``SUSPECT_CRASHES``) if ``suspect``."""
        ...

    async def history(self, nums: Sequence[int]) -> list[Record]:
        """The records of these numbers, or the first of them where all would be too large to be had at once."""
        ...

    async def attend(self, epoch: int) -> tuple[list[Attention], list[Answer]]:
        """The flows of this worker that were touched, not touched any more, with the answers that their waits have."""
        ...

    async def standing(self, flow: int) -> list[Answer]:
        """Where the waits of a flow are."""
        ...

    def append(self, epoch: int, batch: Batch) -> asyncio.Future[Mapping[int, Record]]:
        """Record completed calls, all or none (FL-10). Repeating it after a lost answer does no harm. Returns, by
        position, the records that were filled in."""
        ...

    def wait(self, epoch: int, waits: Sequence[Wait]) -> asyncio.Future[list[Answer]]:
        """Register waits; the answers of those that the inbox could answer at once come along (FL-12)."""
        ...

    def give_back(self, epoch: int, waits: Sequence[int], taken: Sequence[tuple[int, str]]) -> asyncio.Future[None]:
        """Nobody waits any more: withdraw ``waits``, and free the events that these flows' run ids had ``taken``."""
        ...

    def finish(self, epoch: int, endings: Sequence[Ending]) -> asyncio.Future[Mapping[int, str]]:
        """End flows, or begin them anew; returns the status of those that have ended: ``cancelled`` wins over what was
        asked (FL-13). One that others have come to depend on meanwhile is left out: it ends only as tied."""
        ...

    def park(self, epoch: int, due: Sequence[tuple[int, int | None]]) -> asyncio.Future[None]:
        """Give flows back that wait for nothing before their due time, if any (FL-17)."""
        ...

    def publish(self, epoch: int, states: Sequence[tuple[int, str]]) -> asyncio.Future[None]:
        """Write what flows publish about themselves: a JSON object each."""
        ...

    async def report(self, epoch: int, progress: Sequence[Progress]) -> None:
        """Write what running steps report."""
        ...

    async def halt(self, epoch: int, flow: int, error: str) -> str:
        """Hold one flow, with the reason, until somebody resumes it (FL-19); one that somebody wanted to end is
        cancelled instead (FL-13). Returns ``halted`` or ``cancelled``."""
        ...

    async def transact(
        self, epoch: int, flow: int, run_id: str, work: Callable[[Transaction], tuple[Record, Sealing | None]]
    ) -> Record:
        """Run a transactional step: its effect and its record commit together (FL-10); what seals it is called with
        the record's number. When an earlier attempt was committed after all, its record comes back and ``work`` is not
        run."""
        ...

    async def tick(self, epoch: int, workflow_types: Sequence[str]) -> int:
        """Start what schedules say; returns how many flows."""
        ...

    async def chores(self, epoch: int) -> None:
        """Do what one worker does for all, if it is due and nobody else does it."""
        ...
