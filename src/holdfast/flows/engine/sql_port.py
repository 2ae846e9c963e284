"""The engine's port over a store in the same process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from holdfast import codec
from holdfast.errors import StoreError
from holdfast.flows import chores
from holdfast.flows.engine import claims
from holdfast.flows.engine.appends import append, append_batch, check_alive, is_single
from holdfast.flows.engine.port import (
    HALTED,
    Answer,
    Attention,
    Batch,
    Claimed,
    Ending,
    Outlook,
    Progress,
    Record,
    Sealing,
    Wait,
)
from holdfast.flows.inbox import sql as inbox
from holdfast.flows.model import FlowStatus
from holdfast.flows.remains import holder
from holdfast.flows.schedules.ticking import tick
from holdfast.flows.settling import settle
from holdfast.ids import new_id, new_seed
from holdfast.store import Store, Transaction, Unit, load_queries
from holdfast.store.blobs import release_blob
from holdfast.store.units import settle_future

R = TypeVar("R")
_q = load_queries("holdfast.flows.engine")


class SqlEnginePort:
    """:class:`~holdfast.flows.engine.port.EnginePort` over a :class:`~holdfast.store.Store`.

    Args:
        store: where to.
        retention: seconds for which flows are kept once they have ended, where their workflow does not say; ``None``:
            for good.
    """

    def __init__(self, store: Store, retention: float | None = None) -> None:
        self._store = store
        self._retention = retention

    async def outlook(self, epoch: int, workflow_types: Sequence[str]) -> Outlook:
        return await self._store.aread(lambda tx: claims.outlook(tx, epoch, workflow_types))

    async def claim(self, epoch: int, workflow_types: Sequence[str], limit: int, *, suspect: bool) -> list[Claimed]:
        return await self._store.arun(lambda tx: claims.claim(tx, epoch, workflow_types, limit, suspect=suspect))

    async def history(self, nums: Sequence[int]) -> list[Record]:
        return await self._store.aread(lambda tx: claims.records(tx, nums))

    async def attend(self, epoch: int) -> tuple[list[Attention], list[Answer]]:
        def work(tx: Transaction) -> tuple[list[Attention], list[Answer]]:
            check_alive(tx, epoch)
            touched = [Attention(num, bool(cancel), bool(paused)) for num, cancel, paused in self._touched(tx, epoch)]
            return touched, inbox.answered(tx, [flow.flow for flow in touched]) if touched else []

        return await self._store.arun(work)

    def _touched(self, tx: Transaction, epoch: int) -> list[tuple[int, bool, bool]]:
        return [(row[0], row[1], row[2]) for row in tx.fetch(_q["attend"], {"epoch": epoch})]

    async def standing(self, flow: int) -> list[Answer]:
        return await self._store.aread(lambda tx: inbox.standing(tx, [flow]))

    def append(self, epoch: int, batch: Batch) -> asyncio.Future[Mapping[int, Record]]:
        repeatable = not batch.births  # what became of a start may be another thing the second time
        return self._unit(lambda tx: append_batch(tx, epoch, batch), repeatable=repeatable, single=is_single(batch))

    def wait(self, epoch: int, waits: Sequence[Wait]) -> asyncio.Future[list[Answer]]:
        def work(tx: Transaction) -> list[Answer]:
            check_alive(tx, epoch)
            return inbox.register(tx, waits)

        return self._unit(work, repeatable=True)

    def give_back(self, epoch: int, waits: Sequence[int], taken: Sequence[tuple[int, str]]) -> asyncio.Future[None]:
        def work(tx: Transaction) -> None:
            check_alive(tx, epoch)
            if waits:
                inbox.withdraw(tx, waits)
            if taken:
                inbox.give_back(tx, taken)

        return self._unit(work, repeatable=True)

    def finish(self, epoch: int, endings: Sequence[Ending]) -> asyncio.Future[Mapping[int, str]]:
        single = not any(ending.tied or ending.anew for ending in endings)
        return self._unit(lambda tx: _finish(tx, epoch, endings), repeatable=True, single=single)

    def park(self, epoch: int, due: Sequence[tuple[int, int | None]]) -> asyncio.Future[None]:
        def work(tx: Transaction) -> None:
            tx.fetch(_q["lock_flows"], rows=due)  # so that the next statement sees whatever has touched them
            if tx.execute(_q["park"], {"epoch": epoch, "now": tx.clock.micros()}, rows=due) < len(due):
                check_alive(tx, epoch)

        return self._unit(work, repeatable=False)

    def publish(self, epoch: int, states: Sequence[tuple[int, str]]) -> asyncio.Future[None]:
        def work(tx: Transaction) -> None:
            if tx.execute(_q["publish"], {"epoch": epoch}, rows=states) < len(states):
                check_alive(tx, epoch)

        return self._unit(work, repeatable=True)

    async def report(self, epoch: int, progress: Sequence[Progress]) -> None:
        def work(tx: Transaction) -> None:
            check_alive(tx, epoch)
            tx.execute(_q["report"], rows=progress)

        await self._store.arun(work, idempotent=True)

    async def halt(self, epoch: int, flow: int, error: str) -> str:
        def work(tx: Transaction) -> str:
            now = tx.clock.micros()
            written = tx.fetch(_q["halt"], {"flow": flow, "epoch": epoch, "error": error, "now": now})
            if not written:
                check_alive(tx, epoch)
                return HALTED
            event = {"flow": flow, "id": str(new_id()), "kind": HALTED, "payload": error, "at": now}
            tx.execute(_q["add_event"], event)
            if written[0][0] != FlowStatus.CANCELLED:
                return HALTED
            settle(tx, [flow])
            return FlowStatus.CANCELLED

        return await self._store.arun(work)

    async def transact(
        self, epoch: int, flow: int, run_id: str, work: Callable[[Transaction], tuple[Record, Sealing | None]]
    ) -> Record:
        def unit(tx: Transaction) -> Record:
            check_alive(tx, epoch)
            recorded = tx.fetch(_q["recorded"], {"flow": flow, "run_id": run_id})
            if recorded:
                return claims.Bodies(tx).fill(recorded)[0]
            record, seal = work(tx)
            append(tx, epoch, [record])
            tx.execute(_q["forget_progress"], rows=[(flow, run_id)])
            if seal is not None:
                ((num,),) = tx.fetch(_q["step_number"], {"flow": flow, "run_id": run_id})
                seal(tx, num)
            return record

        return await self._store.arun(unit)

    async def tick(self, epoch: int, workflow_types: Sequence[str]) -> int:
        def work(tx: Transaction) -> int:
            check_alive(tx, epoch)
            return tick(tx, workflow_types)

        return await self._store.arun(work)

    async def chores(self, epoch: int) -> None:
        await asyncio.to_thread(chores.daily, self._store, epoch, self._retention)

    def _unit(self, work: Callable[[Transaction], R], *, repeatable: bool, single: bool = False) -> asyncio.Future[R]:
        """Submit a unit.

        Args:
            repeatable: doing it twice does no harm; any other unit carries a key.
            single: it is one statement, which may commit by itself: a worker frozen at any instant holds nothing up.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        try:
            self._store.submit(Unit(work, settle_future(future), loop=loop, idempotent=repeatable, statement=single))
        except StoreError as error:
            future.set_exception(error)
        return future


def _finish(tx: Transaction, epoch: int, endings: Sequence[Ending]) -> Mapping[int, str]:
    """End flows, in one statement where nobody depends on them."""
    present = _present(tx, epoch, endings) if any(ending.tied for ending in endings) else endings
    last = [ending for ending in present if ending.anew is None or not _begin_anew(tx, epoch, ending)]
    ended: dict[int, str] = dict(tx.fetch(_q["finish"], {"epoch": epoch}, rows=[ending[:6] for ending in last]))
    tied = [ending.flow for ending in last if ending.tied and ending.flow in ended]
    if tied:
        settle(tx, tied)
    if len(ended) < len(endings):
        check_alive(tx, epoch)
        ended |= dict(tx.fetch(_q["ended"], rows=[(ending.flow,) for ending in endings]))
    return ended


def _present(tx: Transaction, epoch: int, endings: Sequence[Ending]) -> list[Ending]:
    """Those that have not ended so yet, nor begun anew; nothing waits for them any more. Done first: locks on addresses
    come before those on flows."""
    check_alive(tx, epoch)
    rows = [(ending.flow, ending.attempt, ending.anew) for ending in endings]
    found = {num for (num,) in tx.fetch(_q["ending"], {"epoch": epoch}, rows=rows)}
    present = [ending for ending in endings if ending.flow in found]
    inbox.withdraw_flows(tx, [ending.flow for ending in present if ending.tied])
    return present


def _begin_anew(tx: Transaction, epoch: int, ending: Ending) -> bool:
    """Begin a flow anew, its history gone; false when somebody wants it to end instead."""
    now = tx.clock.micros()
    named = {"flow": ending.flow, "epoch": epoch, "attempt": ending.attempt, "args": ending.anew, "now": now}
    digests = [digest for (digest,) in tx.fetch(_q["blobs_of"], {"flow": ending.flow})]
    if not tx.execute(_q["begin_anew"], named | {"seed": new_seed()}):
        check_alive(tx, epoch)
        return False
    for query in ("forget_taken", "forget_all_progress"):
        tx.execute(_q[query], {"flow": ending.flow})
    records = tx.execute(_q["forget_steps"], {"flow": ending.flow})
    tx.execute(_q["keep_state"], {"flow": ending.flow, "now": now})
    for digest in digests:
        release_blob(tx, digest, holder(ending.flow))
    payload = codec.encode({"records": records})
    tx.execute(
        _q["add_event"], {"flow": ending.flow, "id": str(new_id()), "kind": "began_anew", "payload": payload, "at": now}
    )
    return True
