"""The worker: holds a lease, looks for work, and keeps the flows that it leased on its floor.

It lives on one event loop. Records leave in groups that form by themselves; each group's answer delivers the
results, which makes the workflows issue their next calls, whose records make up the next group.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from holdfast.clock import Clock
from holdfast.errors import StoreError, StoreUnreachable
from holdfast.flows.engine.errands import RETRY_SECONDS, persist
from holdfast.flows.engine.floor import Floor
from holdfast.flows.engine.options import WorkerOptions
from holdfast.flows.engine.port import Claimed, Ending, EnginePort, Outlook
from holdfast.flows.engine.run import FlowRun
from holdfast.flows.errors import LeaseLost
from holdfast.flows.requests import Start
from holdfast.flows.workflows import Registry, Workflow

log = logging.getLogger("holdfast.flows")

CLAIM = 500
BEGIN_SLICE = 32
POLL_SECONDS = 1.0


class Hold(Protocol):
    """What a worker holds its flows by; :class:`~holdfast.flows.engine.lease.Lease` describes each part."""

    @property
    def epoch(self) -> int: ...

    async def acquire(self) -> int: ...

    def start(self) -> None: ...

    def held(self) -> bool: ...

    def stop(self) -> None: ...

    async def give_up(self) -> None: ...


class Worker:
    """Serves workflows of a store on the running event loop.

    Args:
        port: the engine's way to the store.
        lease: its hold on its flows.
        registry: the workflows it serves.
        clock: where it reads the time.
        options: how it works.
        ended: called with flows that ended or halted, and how.
        flushed: called when a group leaves, for whoever wants to go with it.
    """

    def __init__(
        self,
        port: EnginePort,
        lease: Hold,
        registry: Registry,
        clock: Clock,
        options: WorkerOptions,
        *,
        ended: Callable[[Sequence[tuple[FlowRun, Ending]]], None],
        flushed: Callable[[], None],
    ) -> None:
        self.ended = ended
        self.flushed = flushed
        self._port = port
        self._lease = lease
        self._registry = registry
        self._clock = clock
        self._drain_seconds = options.drain
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._draining = False
        self._lost = asyncio.Event()
        self._broken: asyncio.Future[None] = self._loop.create_future()
        self._looking = False
        self._doing_chores = False
        self.floor = Floor(self, port, clock, options)

    # -- its life ---------------------------------------------------------------------------------------------

    async def run(self, started: Callable[[], None]) -> None:
        """Work until cancelled; then drain (FL-11): let running steps end, record them, free the flows."""
        await self._lease.acquire()
        self._lease.start()
        tasks = [asyncio.create_task(task) for task in (self._renew(), self._serve())]
        unsubscribe = self._clock.subscribe(self.wake_threadsafe(self._loop))
        started()
        try:
            await asyncio.wait([*tasks, self._broken], return_when=asyncio.FIRST_EXCEPTION)
            for task in [*tasks, self._broken]:
                if task.done():
                    task.result()
        finally:
            unsubscribe()
            tasks[-1].cancel()
            try:
                await self._drain()
            finally:
                for task in tasks:
                    task.cancel()
                self.floor.close()

    @property
    def epoch(self) -> int:
        """The life it lives."""
        return self._lease.epoch

    def fence(self, epoch: int) -> None:
        """An epoch of this worker is over: begin a new one, unless that has happened."""
        if epoch == self._lease.epoch:
            self._lost.set()

    def broke(self, error: BaseException) -> None:
        """Something is wrong with the engine itself: the worker ends."""
        if not self._broken.done():
            self._broken.set_exception(error)
            self.flushed()

    def may_start(self) -> bool:
        """No attempt starts while the lease is in doubt, nor while draining."""
        return not self._draining and self._lease.held()

    def wake(self) -> None:
        """Something may be due; look."""
        self._wake.set()

    @property
    def waking(self) -> bool:
        """It is looking for work, or about to."""
        return self._looking or self._wake.is_set()

    @property
    def departing(self) -> bool:
        """A group is on its way, or about to leave. To be asked on the worker's loop."""
        return self.floor.departing

    def wake_threadsafe(self, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        """:meth:`wake` for other threads."""

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(self.wake)

        return wake

    async def _drain(self) -> None:
        self._draining = True
        deadline = self._clock.monotonic() + self._drain_seconds
        while self._clock.monotonic() < deadline and self._lease.held() and not self.floor.quiet:  # noqa: ASYNC110
            await asyncio.sleep(0.005)  # a lease ends with time, no event says so
        await asyncio.to_thread(self._lease.stop)
        self.floor.clear()
        with contextlib.suppress(StoreError):  # then the lease runs out by itself
            await self._lease.give_up()

    async def _renew(self) -> None:
        """Begin a new epoch whenever the old one was fenced."""
        while True:
            await self._lost.wait()
            if self._draining:
                return self.floor.clear()
            flows = len(self.floor.resident)
            log.warning("the worker epoch %d was fenced; %d flows go on elsewhere", self._lease.epoch, flows)
            self.floor.clear()
            await persist(self._lease.acquire)
            self._lost.clear()
            self.wake()

    # -- looking for work -------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        while not self._draining:
            self._wake.clear()
            try:
                if self._lease.held() and not self._lost.is_set() and await self._look():
                    continue
            except LeaseLost as error:
                self.fence(error.epoch)
            except StoreError as error:
                log.warning("the store cannot be asked for work now: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
            self.floor.arm()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):  # wait_for() may swallow that the worker is to end
                    await self._wake.wait()

    async def _look(self) -> bool:
        """Do what there is to do; whether there may be more."""
        self._looking = True
        try:
            return await self._do_what_is_due(self._registry.names())
        finally:
            self._looking = False

    async def _do_what_is_due(self, types: Sequence[str]) -> bool:
        outlook = await self._port.outlook(self._lease.epoch, types)
        now = self._clock.micros()
        if outlook.touched:
            await self.floor.attend()
        more = False
        if _is_due(outlook.schedules, now):
            more = await self._port.tick(self._lease.epoch, types) > 0
        if _is_due(outlook.chores, now) and not self._doing_chores:
            self._doing_chores = True
            self.floor.spawn(self._do_chores())
        if _is_due(outlook.due, now) and types:
            more = await self._claim(types) or more
        if not more:
            self.floor.look_at(self._next(outlook, now), self._wake.set)
        return more

    def _next(self, outlook: Outlook, now: int) -> int | None:
        """When to look again; what could not be had just now is looked for at the next poll."""
        moments = [outlook.schedules]
        if self.floor.room > 0:
            moments.append(outlook.due)
        return min((moment for moment in moments if moment is not None and moment > now), default=None)

    async def _do_chores(self) -> None:
        try:
            await self._port.chores(self._lease.epoch)
        except LeaseLost as error:
            self.fence(error.epoch)
        except StoreError as error:
            log.warning("the daily chores cannot be done now: %s", error)
        finally:
            self._doing_chores = False

    # -- leasing flows ----------------------------------------------------------------------------------------

    def offer(self, starts: Sequence[Start]) -> tuple[int, list[bool]]:
        """Which starts this worker takes at once; called from any thread, and only a guess at its room."""
        if self._lost.is_set() or not self.may_start():
            return 0, [False] * len(starts)
        room = self.floor.room
        known = [start.immediate and self._registry.get(start.workflow_type) is not None for start in starts]
        return self._lease.epoch, [fits and position < room for position, fits in enumerate(known)]

    def adopt(self, epoch: int, claimed: Sequence[Claimed]) -> None:
        """Flows that were leased to this worker as they were started."""
        if not self._holds(epoch):
            return
        for flow in claimed:
            self.floor.adopt(flow, self._workflow(flow))
        self.floor.flush_soon()

    async def _claim(self, types: Sequence[str]) -> bool:
        """Lease what is due; whether there may be more."""
        room = min(CLAIM, self.floor.room)
        if room <= 0:
            return False
        epoch = self._lease.epoch
        suspect = not any(run.suspect for run in self.floor.resident.values())
        try:
            claimed = await self._port.claim(epoch, types, room, suspect=suspect)
        except StoreUnreachable:
            self.fence(epoch)  # it may have been committed: with a new epoch, what it leased is freed
            raise
        for position, flow in enumerate(claimed, 1):
            if not self._holds(epoch):
                return False
            self.floor.take(flow, self._workflow(flow))
            if position % BEGIN_SLICE == 0:
                self.floor.flush_soon()
                await asyncio.sleep(0)
        self.floor.flush_soon()
        return bool(claimed)

    def _holds(self, epoch: int) -> bool:
        """What was leased to ``epoch`` is to run here."""
        return epoch == self._lease.epoch and not self._lost.is_set() and not self._draining

    def _workflow(self, claimed: Claimed) -> Workflow[..., object]:
        found = self._registry.get(claimed.workflow_type)
        assert found is not None
        return found


def _is_due(moment: int | None, now: int) -> bool:
    return moment is not None and moment <= now
