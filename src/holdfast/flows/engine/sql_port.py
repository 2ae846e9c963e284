"""The engine's port over a store in the same process."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

from holdfast.errors import StoreError
from holdfast.flows.engine.port import HALTED, SUSPECT_CRASHES, Claimed, Ending, Record
from holdfast.flows.errors import DuplicateStep, LeaseLost
from holdfast.ids import new_id
from holdfast.store import Store, Transaction, Unit, load_queries
from holdfast.store.units import settle_future

R = TypeVar("R")
_q = load_queries("holdfast.flows.engine")
_MANY_CRASHES = 1 << 30


class SqlEnginePort:
    """:class:`~holdfast.flows.engine.port.EnginePort` over a :class:`~holdfast.store.Store`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def claim(self, epoch: int, workflow_types: Sequence[str], limit: int, *, suspect: bool) -> list[Claimed]:
        def work(tx: Transaction) -> list[Claimed]:
            claimed = _claim(tx, epoch, workflow_types, limit, 0, SUSPECT_CRASHES - 1)
            if suspect:
                claimed += _claim(tx, epoch, workflow_types, 1, SUSPECT_CRASHES, _MANY_CRASHES)
            if not claimed:
                _check_alive(tx, epoch)
            return _with_histories(tx, claimed)

        return await self._store.arun(work)

    async def next_due(self, workflow_types: Sequence[str]) -> int | None:
        def work(tx: Transaction) -> int | None:
            found = [tx.fetch_one(_q["next_due"], {"workflow_type": name}) for name in workflow_types]
            return min((row[0] for row in found if row and row[0] is not None), default=None)

        return await self._store.aread(work)

    def append(self, epoch: int, records: Sequence[Record]) -> asyncio.Future[None]:
        return self._statement(lambda tx: append(tx, epoch, records))

    def finish(self, epoch: int, endings: Sequence[Ending]) -> asyncio.Future[Mapping[int, str]]:
        def work(tx: Transaction) -> Mapping[int, str]:
            ended: dict[int, str] = dict(tx.fetch(_q["finish"], {"epoch": epoch}, rows=[ending[:5] for ending in endings]))
            if len(ended) < len(endings):
                _check_alive(tx, epoch)
                ended |= dict(tx.fetch(_q["ended"], rows=[(ending.flow,) for ending in endings]))
            return ended

        return self._statement(work)

    def park(self, epoch: int, due: Sequence[tuple[int, int | None]]) -> asyncio.Future[None]:
        def work(tx: Transaction) -> None:
            if tx.execute(_q["park"], {"epoch": epoch, "now": tx.clock.micros()}, rows=due) < len(due):
                _check_alive(tx, epoch)

        return self._unit(work, repeatable=False)

    async def halt(self, epoch: int, flow: int, error: str) -> str:
        def work(tx: Transaction) -> str:
            now = tx.clock.micros()
            written = tx.fetch(_q["halt"], {"flow": flow, "epoch": epoch, "error": error, "now": now})
            if not written:
                _check_alive(tx, epoch)
                return HALTED
            event = {"flow": flow, "id": str(new_id()), "kind": HALTED, "payload": error, "at": now}
            tx.execute(_q["add_event"], event)
            return "cancelled" if written[0][0] == "cancelled" else HALTED

        return await self._store.arun(work)

    async def cancelling(self, epoch: int) -> list[int]:
        return await self._store.aread(lambda tx: [row[0] for row in tx.fetch(_q["cancelling"], {"epoch": epoch})])

    async def transact(self, epoch: int, flow: int, run_id: str, work: Callable[[Transaction], Record]) -> Record:
        def unit(tx: Transaction) -> Record:
            _check_alive(tx, epoch)
            row = tx.fetch_one(_q["recorded"], {"flow": flow, "run_id": run_id})
            if row is not None:
                return Record(*row)
            record = work(tx)
            append(tx, epoch, [record])
            return record

        return await self._store.arun(unit)

    def _statement(self, work: Callable[[Transaction], R]) -> asyncio.Future[R]:
        """One statement that may commit by itself: a worker frozen at any instant holds nothing up."""
        return self._unit(work, repeatable=True)

    def _unit(self, work: Callable[[Transaction], R], *, repeatable: bool) -> asyncio.Future[R]:
        """Submit a unit; doing it twice harms only one that is not ``repeatable``, which then carries a key."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        try:
            self._store.submit(
                Unit(work, settle_future(future), loop=loop, idempotent=repeatable, statement=repeatable)
            )
        except StoreError as error:
            future.set_exception(error)
        return future


def append(tx: Transaction, epoch: int, records: Sequence[Record]) -> None:
    """Write ``records`` in one fenced statement.

    Rows that are there already, under this same epoch, were written by an attempt whose answer was lost.

    Raises:
        LeaseLost: the epoch was fenced (FL-11).
        DuplicateStep: another step of that run id is recorded (FL-6).
    """
    if tx.execute(_q["append"], {"epoch": epoch}, rows=records) == len(records):
        return
    _check_alive(tx, epoch)
    names = [(record.flow, record.run_id) for record in records]
    ((present,),) = tx.fetch(_q["appended"], {"epoch": epoch}, rows=names)
    if present < len(records):
        raise DuplicateRecord(len(records) - present)


class DuplicateRecord(DuplicateStep):
    """The engine recorded a call that another epoch had recorded: never seen, or the fence is broken."""

    def __init__(self, count: int) -> None:
        super(DuplicateStep, self).__init__(f"{count} calls of a group were recorded by another epoch.")


def _claim(
    tx: Transaction, epoch: int, workflow_types: Sequence[str], limit: int, least: int, most: int
) -> list[Claimed]:
    claimed: list[Claimed] = []
    scalars = {"epoch": epoch, "now": tx.clock.micros(), "least": least, "most": most}
    for name in workflow_types:
        if len(claimed) == limit:
            break
        params = scalars | {"workflow_type": name, "limit": limit - len(claimed)}
        claimed += (Claimed(*row) for row in tx.fetch(_q["claim"], params))
    return claimed


def _with_histories(tx: Transaction, claimed: list[Claimed]) -> list[Claimed]:
    """A flow claimed for the first time has none, and need not be looked up."""
    replayed = [(flow.num,) for flow in claimed if flow.revision > 1]
    if not replayed:
        return claimed
    rows = tx.fetch(_q["histories"], rows=replayed)
    histories: dict[int, list[Record]] = defaultdict(list)
    for num, group in groupby(rows, key=itemgetter(0)):
        histories[num] = [Record(*row) for row in group]
    return [flow._replace(history=histories[flow.num]) for flow in claimed]


def _check_alive(tx: Transaction, epoch: int) -> None:
    if tx.fetch_one(_q["is_alive"], {"epoch": epoch}) is None:
        raise LeaseLost(epoch)
