"""Transactional steps of a process: its statements are run in the supervisor's transaction (FL-10)."""

from __future__ import annotations

import asyncio
import itertools
import queue
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from holdfast.errors import Conflict, HoldfastError, StoreUnreachable
from holdfast.flows.engine.port import EnginePort, Record, Sealing
from holdfast.hosting.errors import ProtocolError
from holdfast.hosting.frames.cells import packed, unpacked
from holdfast.hosting.frames.verbs import Opened, Statement
from holdfast.store import Transaction

SECONDS = 5.0
"""A transactional step of a package may hold its transaction for so long: on SQLite all others wait for it."""
_STATEMENTS = 1000
MAX_OVERDUE = 3
"""A process that lets so many transactions in a row run out of time is ended: others need the database."""
_Work = Callable[[Transaction], Any]


class TransactionTimedOut(Conflict):
    """A transactional step took too long; nothing of it was written."""

    code = "transaction_timed_out"
    remedy = "Do in the transaction only what has to commit with the step; compute before it, or in another step."


class SessionAborted(Conflict):
    """The step raised; nothing of it was written."""

    code = "session_aborted"


class Sessions:
    """The open transactions of one process.

    Args:
        port: of the engine.
        lost: called when the process has to be ended, with the reason.
    """

    def __init__(self, port: EnginePort, lost: Callable[[HoldfastError], None]) -> None:
        self._port = port
        self._lost = lost
        self._overdue = 0
        self._open: dict[int, Session] = {}
        self._numbers = itertools.count(1)

    def open(self, epoch: int, flow: int, run_id: str) -> asyncio.Future[Opened]:
        """Begin a transaction; the answer comes when it has begun, or when the step turns out to be recorded."""
        session = Session(next(self._numbers), flow, run_id)
        self._open[session.number] = session
        session.begin(self._port, epoch).add_done_callback(partial(self._ended, session.number))
        return session.opened

    def statement(self, statement: Statement) -> asyncio.Future[list[list[Any]]]:
        """Run a statement in its session."""
        if statement.how not in ("fetch", "execute"):
            raise ProtocolError(f"A statement is fetched or executed, not {statement.how!r:.80}.")
        return self._find(statement.session).ask(partial(_run, statement=statement))

    def lock(self, number: int, names: list[str]) -> asyncio.Future[None]:
        """Take locks in a session."""
        return self._find(number).ask(lambda tx: tx.lock(*names))

    def seal(self, number: int, record: Record) -> asyncio.Future[Record]:
        """Write the step's record and commit."""
        return self._find(number).seal(record)

    def abort(self, number: int) -> asyncio.Future[None]:
        """Roll back; also of one that has ended by itself."""
        found = self._open.get(number)
        if found is not None:
            found.abort()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def close(self) -> None:
        """Roll all of them back: the process is gone."""
        for session in list(self._open.values()):
            session.abort()

    def _find(self, number: int) -> Session:
        found = self._open.get(number)
        return found if found is not None else Session(number, 0, "")

    def _ended(self, number: int, task: asyncio.Task[Record]) -> None:
        self._open.pop(number, None)
        error = None if task.cancelled() else task.exception()
        self._overdue = self._overdue + 1 if isinstance(error, TransactionTimedOut) else 0
        if self._overdue == MAX_OVERDUE:
            self._lost(ProtocolError(f"{MAX_OVERDUE} transactions in a row ran out of time. {error}"))


class Session:
    """One transaction: lives in the store's thread, and is told what to do by the event loop's."""

    def __init__(self, number: int, flow: int, run_id: str) -> None:
        self.number = number
        self.opened: asyncio.Future[Opened] = asyncio.get_running_loop().create_future()
        self._flow = flow
        self._run_id = run_id
        self._loop = asyncio.get_running_loop()
        self._asked: queue.SimpleQueue[tuple[_Work, asyncio.Future[Any]] | Record | None] = queue.SimpleQueue()
        self._count = 0
        self._began = False
        self._task: asyncio.Task[Record] | None = None

    def begin(self, port: EnginePort, epoch: int) -> asyncio.Task[Record]:
        """Open the transaction."""
        self._task = self._loop.create_task(port.transact(epoch, self._flow, self._run_id, self._serve))
        self._task.add_done_callback(self._done)
        return self._task

    def ask(self, work: _Work) -> asyncio.Future[Any]:
        """Do ``work`` in the transaction."""
        self._count += 1
        answer: asyncio.Future[Any] = self._loop.create_future()
        if self._task is None or self._task.done():
            answer.set_exception(TransactionTimedOut("The transaction has ended."))
        elif self._count > _STATEMENTS:
            self.abort()
            answer.set_exception(TransactionTimedOut(f"A transactional step runs {_STATEMENTS:,} statements at most."))
        else:
            self._asked.put((work, answer))
        return answer

    def seal(self, record: Record) -> asyncio.Future[Record]:
        """Write ``record`` and commit.

        Raises:
            ProtocolError: it is not the step's.
        """
        if (record.flow, record.run_id) != (self._flow, self._run_id) and self._task is not None:
            raise ProtocolError(f"{record.run_id!r:.80} is not the step whose transaction this is.")
        if self._task is None:
            return self.ask(lambda tx: None)
        self._asked.put(record)
        return asyncio.ensure_future(self._sealed(self._task))

    def abort(self) -> None:
        """Roll back."""
        self._asked.put(None)

    async def _sealed(self, task: asyncio.Task[Record]) -> Record:
        return await asyncio.shield(task)

    def _serve(self, tx: Transaction) -> tuple[Record, Sealing | None]:
        """In the store's thread."""
        if self._began:  # the store tries again; what the step did in between is gone, and so it has to begin anew
            raise StoreUnreachable("The transaction was lost on its way.")
        self._began = True
        self._loop.call_soon_threadsafe(self._tell_opened, Opened(self.number, None))
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                item = self._asked.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise TransactionTimedOut(f"The step {self._run_id} held its transaction for {SECONDS:g} s.") from None
            if item is None:
                raise SessionAborted("The step gave up its transaction.", remedy="See what it raised.")
            if isinstance(item, Record):
                return item, None
            work, answer = item
            self._answer(answer, work, tx)

    def _answer(self, answer: asyncio.Future[Any], work: _Work, tx: Transaction) -> None:
        try:
            result = work(tx)
        except Exception as error:
            self._loop.call_soon_threadsafe(_fail, answer, error)
        else:
            self._loop.call_soon_threadsafe(_resolve, answer, result)

    def _tell_opened(self, opened: Opened) -> None:
        _resolve(self.opened, opened)

    def _done(self, task: asyncio.Task[Record]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _fail(self.opened, error)
        elif not task.cancelled():
            _resolve(self.opened, Opened(0, task.result()))
        while not self._asked.empty():
            item = self._asked.get()
            if isinstance(item, tuple) and not isinstance(item, Record):
                _fail(item[1], error or TransactionTimedOut("The transaction has ended."))


def _run(tx: Transaction, *, statement: Statement) -> list[list[Any]]:
    params = {name: unpacked(cell) for name, cell in statement.params.items()}
    rows = None if statement.rows is None else [tuple(map(unpacked, row)) for row in statement.rows]
    if statement.how == "fetch":
        return [list(map(packed, row)) for row in tx.fetch(statement.text, params, rows=rows)]
    return [[tx.execute(statement.text, params, rows=rows)]]


def _resolve(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()
