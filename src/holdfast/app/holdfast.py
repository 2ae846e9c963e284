"""``Holdfast``: the face for Python code. Opens a store and, unless told otherwise, serves it with a worker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import timedelta
from types import TracebackType
from typing import Any, TypeVar

from holdfast import codec
from holdfast.app.messages import Messages
from holdfast.app.packaging import Packaging
from holdfast.app.queueing import Queueing
from holdfast.app.rewinding import Rewinding
from holdfast.app.scheduling import Scheduling
from holdfast.app.starting import Starting
from holdfast.audit.keys import environment_signer
from holdfast.clock import MICROS_PER_SECOND, Clock, SystemClock
from holdfast.errors import StoreClosed
from holdfast.flows.ambient import current_store_var
from holdfast.flows.durations import seconds
from holdfast.flows.engine.lease import Lease, Terms
from holdfast.flows.engine.options import WorkerOptions
from holdfast.flows.engine.port import Claimed, Ending
from holdfast.flows.engine.run import FlowRun
from holdfast.flows.engine.sql_port import SqlEnginePort
from holdfast.flows.engine.worker import Worker
from holdfast.flows.outcomes import Outcome, Outcomes
from holdfast.flows.queues import Queue
from holdfast.flows.queues.manager import declare as declare_queues
from holdfast.flows.requests import Start
from holdfast.flows.retention import declare as declare_retention
from holdfast.flows.starts import Starts
from holdfast.flows.workflows import Registry, Workflow, module_workflows
from holdfast.store import Signer, Store, Transaction, open_store
from holdfast.store.database import Probe

R = TypeVar("R")

log = logging.getLogger("holdfast")
DEFAULT_URL = "sqlite:///holdfast.db"


class Holdfast(Starting, Rewinding, Messages, Queueing, Scheduling, Packaging):
    """A store with its worker: ``with Holdfast(url) as hf:`` or ``async with``.

    Under ``with`` the worker lives in a thread of its own; under ``async with`` on the running event loop, together
    with the caller's own tasks. Leaving the block drains the worker: running steps end and are recorded, unfinished
    flows are freed for the next worker.

    Args:
        url: ``sqlite:///path.db``, ``sqlite://`` (in memory) or ``postgresql://…?schema=name``; by default
            ``HOLDFAST_URL``, then ``sqlite:///holdfast.db``.
        queues: to declare, with their limits, on entering.
        workflows: what to serve; by default every ``@workflow`` at the top level of an imported module, and whatever
            is started here.
        worker: whether to serve at all; without one, flows are only started and watched.
        concurrency: flows in memory at once.
        threads: for ``def`` steps.
        lease: how long a silent worker keeps its flows, in seconds or as timedelta.
        drain: how long running steps get at the end.
        park_after: a flow that only sleeps for longer than this leaves memory.
        retention: how long flows are kept once they have ended, where their workflow does not say; ``None``: for good.
        max_payload_bytes: size limit of arguments and results, as JSON.
        patience: how long to wait for an unreachable server, in seconds.
        clock: where time is read; the machine's by default.
        signer: what signs audit rows; by default the key in the file that ``HOLDFAST_AUDIT_KEY`` names, if any.
        probe: see :func:`holdfast.store.open_store`.

    Raises, on entering:
        StoreUrlInvalid, StorePathUnusable, StoreUnreachable, StoreTooNew: the store cannot be opened.
        KeyNotFound, KeyInvalid, SigningUnavailable: ``HOLDFAST_AUDIT_KEY`` cannot be used; nothing was opened.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        workflows: Sequence[Workflow[..., Any]] | None = None,
        queues: Sequence[Queue] = (),
        worker: bool = True,
        concurrency: int = 1000,
        threads: int = 16,
        lease: float | timedelta = 10.0,
        drain: float | timedelta = 30.0,
        park_after: float | timedelta = 5.0,
        retention: float | timedelta | None = timedelta(days=30),
        max_payload_bytes: int = codec.DEFAULT_MAX_BYTES,
        patience: float | None = None,
        clock: Clock | None = None,
        signer: Signer | None = None,
        probe: Probe = lambda point: None,
    ) -> None:
        self.url = url or os.environ.get("HOLDFAST_URL") or DEFAULT_URL
        self._registry = module_workflows if workflows is None else Registry(tuple(workflows))
        self._queues = tuple(queues)
        self._serving = worker
        self._lease_seconds = seconds(lease, "A lease")
        self._options = WorkerOptions(
            concurrency=concurrency,
            threads=threads,
            max_payload_bytes=max_payload_bytes,
            park_after=seconds(park_after, "park_after"),
            drain=seconds(drain, "drain"),
        )
        self._retention = None if retention is None else seconds(retention, "A retention")
        self._patience = patience
        self._clock = clock or SystemClock()
        self._signer = signer
        self._probe = probe
        self._store: Store | None = None
        self._worker: Worker | None = None
        self._wake: Callable[[], None] = lambda: None
        self._unwatch: Callable[[], None] = lambda: None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._death: BaseException | None = None

    # -- opening and closing ----------------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        """The open store.

        Raises:
            StoreClosed: outside the ``with`` block.
        """
        if self._store is None:
            raise StoreClosed("This Holdfast is not open.")
        return self._store

    @property
    def serving(self) -> list[str]:
        """Names of the workflows it serves now; empty outside the block, without a worker, or once that has died."""
        return self._registry.names() if self._task is not None and not self._task.done() else []

    def __enter__(self) -> Holdfast:
        self._open()
        if self._serving:
            started: Future[None] = Future()
            self._thread = threading.Thread(target=self._serve, args=(started,), name="holdfast-worker", daemon=True)
            self._thread.start()
            try:
                started.result()
            except BaseException:
                self._close()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._unwatch()
        if self._thread and self._loop and self._task:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join()
        self._close()
        death, self._death = self._death, None
        if death is not None and error is None:
            raise death

    async def __aenter__(self) -> Holdfast:
        await asyncio.to_thread(self._open)
        if self._serving:
            started = asyncio.Event()
            self._loop = asyncio.get_running_loop()
            self._task = asyncio.create_task(self._work(started.set))
            ready = asyncio.create_task(started.wait())
            await asyncio.wait([ready, self._task], return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
            if self._task.done():
                self._close()
                self._task.result()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._unwatch()
        try:
            if self._task:
                self._task.cancel()
                await asyncio.wait([self._task])
        finally:
            await asyncio.to_thread(self._close)
        if self._task and not self._task.cancelled():
            self._task.result()

    def _open(self) -> None:
        signer = self._signer or environment_signer()
        self._store = open_store(self.url, clock=self._clock, signer=signer, patience=self._patience, probe=self._probe)
        try:
            if self._queues:
                self._store.run(lambda tx: declare_queues(tx, self._queues), idempotent=True)
        except BaseException:
            self._store.close()
            self._store = None
            raise
        self._outcomes = Outcomes(self._store)
        self._starts = Starts(self._store, self)

    def _close(self) -> None:
        store, self._store = self._store, None
        if store is None:
            return
        self._outcomes.close()
        store.close()
        self._worker = self._loop = self._thread = None

    def _serve(self, started: Future[None]) -> None:
        """The worker's own thread."""

        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._task = asyncio.current_task()
            await self._work(lambda: started.set_result(None))

        try:
            asyncio.run(main())
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            if started.done():
                self._death = error
            else:
                started.set_exception(error)

    async def _work(self, started: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        terms = Terms(self._registry.names, self._lease_seconds)
        await self.store.arun(self._declare, idempotent=True)
        lease = Lease(self.store, terms, self._clock, freed=lambda: self._wake(), fenced=self.doubt)
        current_store_var.set(self.store)
        port = SqlEnginePort(self.store, self._retention)
        self._worker = Worker(
            port, lease, self._registry, self._clock, self._options, ended=self._tell, flushed=self._starts.flush
        )
        self._wake = self._worker.wake_threadsafe(loop)
        self._unwatch = self.store.watch(self._wake)
        try:
            await self._worker.run(started)
        except Exception as error:
            log.critical("the worker died: %s", error, exc_info=error)
            self._outcomes.fail(error)
            raise

    def _declare(self, tx: Transaction) -> None:
        """Say what all workers are to agree on."""
        spans = self._registry.retentions()
        declare_retention(
            tx, {name: None if span is None else round(span * MICROS_PER_SECOND) for name, span in spans.items()}
        )

    def _tell(self, ended: Sequence[tuple[FlowRun, Ending]]) -> None:
        self._outcomes.tell((run.id, Outcome(ending.status, ending.result, ending.error)) for run, ending in ended)

    def doubt(self, epoch: int) -> None:
        """From a store's or the lease's thread: an epoch of the worker is over, or has to be."""
        if self._worker and self._loop:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._worker.fence, epoch)

    def holds(self, loop: asyncio.AbstractEventLoop) -> bool:
        """For :class:`~holdfast.flows.starts.Starts`: whether its starts should leave with the worker's next group."""
        return loop is self._loop and self._worker is not None and self._worker.departing

    def offer(self, starts: Sequence[Start]) -> tuple[int, list[bool]]:
        """For :class:`~holdfast.flows.starts.Starts`: what the worker here takes at once."""
        return self._worker.offer(starts) if self._worker else (0, [False] * len(starts))

    def adopt(self, epoch: int, claimed: Sequence[Claimed]) -> None:
        """For :class:`~holdfast.flows.starts.Starts`: hand over what was leased to the worker here."""
        worker, loop = self._worker, self._loop
        if worker is None or loop is None:
            return
        for flow in claimed:
            self._outcomes.expect(flow.id)
        with contextlib.suppress(RuntimeError):  # the loop was closed: the flows were freed, or their lease runs out
            loop.call_soon_threadsafe(worker.adopt, epoch, claimed) if claimed else self._wake()
