"""The worker: leases flows, drives them, records what their steps did.

It lives on one event loop. Records leave in groups that form by themselves; each group's answer delivers the
results, which makes the workflows issue their next calls, whose records make up the next group.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from holdfast import codec
from holdfast.clock import MICROS_PER_SECOND, Clock
from holdfast.errors import HoldfastError, InvalidInput, StoreError
from holdfast.flows.definitions import Registry
from holdfast.flows.engine.attempts import Attempts
from holdfast.flows.engine.lease import Lease
from holdfast.flows.engine.outbox import Outbox
from holdfast.flows.engine.port import Claimed, Ending, EnginePort, Record
from holdfast.flows.engine.run import Call, FlowRun, cancel_record, outcome
from holdfast.flows.errors import ForeignAwait, HaltingError, LeaseLost
from holdfast.flows.model import FlowStatus, StepStatus, describe
from holdfast.store import Transaction

log = logging.getLogger("holdfast.flows")

CLAIM = 500
BEGIN_SLICE = 32
POLL_SECONDS = 1.0
RETRY_SECONDS = 0.25
_TRACE_LINES = 20


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How a worker works.

    Attributes:
        concurrency: flows in memory at once.
        threads: for ``def`` steps.
        max_payload_bytes: size limit of each argument list and result, as JSON.
        park_after: seconds; a flow that only waits for timers further away than this leaves memory.
        drain: seconds that running steps get when the worker is asked to stop.
    """

    concurrency: int = 1000
    threads: int = 16
    max_payload_bytes: int = codec.DEFAULT_MAX_BYTES
    park_after: float = 5.0
    drain: float = 30.0


HALTED = "halted"
Outgoing = tuple[FlowRun, Call | None, Record | None, Any]


class Worker:
    """Serves workflows of a store on the running event loop.

    Args:
        port: the engine's way to the store.
        lease: the worker's hold on its flows.
        registry: the workflows it serves.
        clock: where it reads the time.
        options: how it works.
        ended: called with the numbers of flows that ended or halted, and what to tell those who wait.
    """

    def __init__(
        self,
        port: EnginePort,
        lease: Lease,
        registry: Registry,
        clock: Clock,
        options: WorkerOptions,
        ended: Callable[[Sequence[tuple[FlowRun, Ending]]], None],
    ) -> None:
        self.max_bytes = options.max_payload_bytes
        self.resident: dict[int, FlowRun] = {}
        self._port = port
        self._lease = lease
        self._registry = registry
        self._clock = clock
        self._options = options
        self._ended = ended
        self._attempts = Attempts(self, clock, options.max_payload_bytes, options.threads)
        self._records: Outbox[Outgoing] = Outbox(self._append)
        self._endings: Outbox[tuple[FlowRun, Ending]] = Outbox(self._finish)
        self._parks: Outbox[tuple[FlowRun, int]] = Outbox(self._park)
        self._leaving: set[int] = set()
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._ticket = count()
        self._loop = asyncio.get_running_loop()  # a flow's own is running when it launches
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0
        self._next_due: int | None = None
        self._wake = asyncio.Event()
        self._look = True
        self._draining = False
        self._lost = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    # -- its life ---------------------------------------------------------------------------------------------

    async def run(self, started: Callable[[], None]) -> None:
        """Work until cancelled; then drain (FL-11): let running steps end, record them, free the flows."""
        await self._lease.acquire()
        self._lease.start()
        tasks = [
            asyncio.create_task(task)
            for task in (self._records.run(), self._endings.run(), self._parks.run(), self._renew(), self._claim())
        ]
        unsubscribe = self._clock.subscribe(self.wake_threadsafe(self._loop))
        started()
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            unsubscribe()
            tasks[-1].cancel()
            try:
                await self._drain()
            finally:
                for task in [*tasks, *self._tasks]:
                    task.cancel()
                self._attempts.close()
                if self._alarm:
                    self._alarm.cancel()

    def wake(self) -> None:
        """Something may be due; look."""
        self._look = True
        self._wake.set()

    def wake_threadsafe(self, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        """:meth:`wake` for other threads."""

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(self.wake)

        return wake

    async def _drain(self) -> None:
        self._draining = True
        deadline = self._clock.monotonic() + self._options.drain
        while self._clock.monotonic() < deadline and self._lease.held() and not self._quiet():
            await asyncio.sleep(0.005)
        self._lease.stop()
        self._evict_all()
        with contextlib.suppress(StoreError):  # then the lease runs out by itself
            await self._lease.give_up()

    def _quiet(self) -> bool:
        """Nothing runs and nothing is on its way."""
        return not self._attempts.active and self._records.empty and self._endings.empty and self._parks.empty

    async def _renew(self) -> None:
        """Begin a new epoch whenever the old one was fenced."""
        while True:
            await self._lost.wait()
            log.warning("the worker epoch %d was fenced; %d flows go on elsewhere", self._lease.epoch, len(self.resident))
            self._evict_all()
            await self._persist(self._lease.acquire)
            self._lost.clear()
            self.wake()

    def _evict_all(self) -> None:
        for run in list(self.resident.values()):
            self._drop(run)
        for outbox in (self._records, self._endings, self._parks):
            outbox.clear()
        self._timers.clear()

    def _drop(self, run: FlowRun) -> None:
        """Let a flow leave memory."""
        self.resident.pop(run.num, None)
        self._leaving.discard(run.num)
        run.evict()

    async def _persist(self, work: Callable[[], Any]) -> Any:
        """Try until the store does it; what it cannot do now (no server, no space) it can do later."""
        while True:
            try:
                return await work()
            except StoreError as error:
                log.warning("the store cannot do it now, trying again: %s", error)
                await asyncio.sleep(RETRY_SECONDS)

    # -- leasing flows ----------------------------------------------------------------------------------------

    async def _claim(self) -> None:
        while True:
            self._wake.clear()
            try:
                if self._lease.held() and not self._lost.is_set():
                    await self._cancel_requested()
                    if await self._claim_some():
                        continue
            except LeaseLost:
                self._lost.set()
            except StoreError as error:
                log.warning("the store cannot be asked for work now: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
            self._arm()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)

    async def _claim_some(self) -> bool:
        """Lease what is due; whether there may be more."""
        types = self._registry.names()
        room = min(CLAIM, self._options.concurrency - len(self.resident))
        if room <= 0 or not types:
            self._next_due = None
            return False
        epoch = self._lease.epoch
        suspect = not any(run.suspect for run in self.resident.values())
        claimed = await self._port.claim(epoch, types, room, suspect=suspect)
        for position, flow in enumerate(claimed, 1):
            if self._lease.epoch != epoch or self._lost.is_set():
                return False
            self._begin(flow)
            if position % BEGIN_SLICE == 0:
                await asyncio.sleep(0)
        self._next_due = None if claimed else await self._port.next_due(types)
        return bool(claimed)

    def _begin(self, claimed: Claimed) -> None:
        workflow = self._registry.get(claimed.workflow_type)
        assert workflow is not None
        run = FlowRun(claimed, workflow, self)
        self.resident[run.num] = run
        self._step(run, run.begin)
        if claimed.cancel_requested:
            self._cancel(run)

    async def _cancel_requested(self) -> None:
        if not self._look:
            return
        self._look = False
        for num in await self._port.cancelling(self._lease.epoch) if self.resident else ():
            run = self.resident.get(num)
            if run is not None:
                self._cancel(run)

    def _cancel(self, run: FlowRun) -> None:
        """Record the request at its place in the history; it is delivered like any other record (FL-13)."""
        if not run.cancelling and run.num not in self._leaving and self.resident.get(run.num) is run:
            run.cancelling = True
            self._send(run, None, cancel_record(run, self._clock.micros()), None)

    # -- what flows ask for -----------------------------------------------------------------------------------

    def launch(self, call: Call) -> None:
        if call.handle is None:
            self._attempts.launch(call)
        else:
            self._at(call.due, lambda: self._fire(call))

    def abandon(self, call: Call) -> None:
        self._attempts.abandon(call)

    def _fire(self, call: Call) -> None:
        if not call.abandoned:
            now = self._clock.micros()
            self.completed(call, call.record(StepStatus.SUCCEEDED, None, None, 1, now, now), None)

    def _at(self, micros: int, act: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (micros, next(self._ticket), act))
        if not self._alarm or micros < self._alarm_at:
            self._arm()

    def _arm(self) -> None:
        """Set the alarm for whatever is due first: a timer in memory, or a flow in the store."""
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None
        dues = [due for due in (self._timers[0][0] if self._timers else None, self._next_due) if due is not None]
        if not dues:
            return
        self._alarm_at = min(dues)
        delay = self._clock.delay_until(self._alarm_at, idle=self._quiet())
        if delay is not None:
            self._alarm = self._loop.call_later(delay, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        now = self._clock.micros()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()
        if self._next_due is not None and self._next_due <= now:
            self._next_due = None
            self._wake.set()
        self._arm()

    # -- what attempts report ---------------------------------------------------------------------------------

    def completed(self, call: Call, record: Record, value: Any) -> None:
        """An outcome; late ones, which nobody waits for any more, are refused."""
        if not call.abandoned:
            call.recorded = True
            self._send(call.run, call, record, value)

    def unrecordable(self, call: Call, error: HoldfastError) -> None:
        if not call.abandoned:
            self._halt(call.run, error)

    async def may_start(self, call: Call) -> None:
        """Hold attempts back while the lease is in doubt, and for good while draining."""
        while self._draining or not self._lease.held():
            await asyncio.sleep(0.01 if not self._draining else 3600)

    async def pause(self, seconds: float) -> None:
        due = self._loop.create_future()
        self._at(
            self._clock.micros() + round(seconds * MICROS_PER_SECOND), lambda: due.done() or due.set_result(None)
        )
        await due

    async def transact(self, call: Call, work: Callable[[Transaction], Record]) -> None:
        """Run a transactional step; its record is written by the same transaction as its effect.

        A flow's writes follow one another, here and in the outbox: the order of writing is that of delivery.
        """
        run = call.run
        while run.unwritten:
            await run.written()
        run.transacting, call.recorded, run.unwritten = True, True, 1
        record = None
        try:
            record = await self._persist(lambda: self._port.transact(self._lease.epoch, work))
        except LeaseLost:
            self._lost.set()
        except BaseException:
            call.recorded = False
            raise
        finally:
            run.transacting, run.unwritten = False, 0
            if record is not None and not run.evicted:
                self._deliver(run, call, record, outcome(call, record))
            for item in run.take_deferred():
                self._send(*item)
            run.notify_written()

    # -- writing ----------------------------------------------------------------------------------------------

    def _send(self, run: FlowRun, call: Call | None, record: Record | None, value: Any) -> None:
        """Put a record (or, without one, the reason to halt) on its way."""
        if run.transacting:
            run.deferred.append((run, call, record, value))
            return
        run.unwritten += 1
        self._records.put((run, call, record, value))

    async def _append(self, group: list[Outgoing]) -> None:
        records = [item[2] for item in group if item[2] is not None and not item[0].evicted]
        try:
            if records:
                await self._persist(lambda: self._port.append(self._lease.epoch, records))
        except LeaseLost:
            self._lost.set()
            return
        for run, call, record, value in group:
            run.unwritten -= 1
            if record is None:
                await self._write_halt(run, value)
            elif run.evicted:
                continue
            elif call is None:
                self._step(run, lambda run=run, record=record: run.cancel(record))  # type: ignore[misc]
            else:
                self._deliver(run, call, record, value)
            run.notify_written()
        if self._quiet():
            self._arm()

    def _deliver(self, run: FlowRun, call: Call, record: Record, value: Any) -> None:
        try:
            run.deliver(call, record, value)
        except (HaltingError, InvalidInput) as error:
            self._halt(run, error)
        else:
            self._after(run)

    def _step(self, run: FlowRun, stride: Callable[[], None]) -> None:
        """Let a flow go on, then see what became of it."""
        try:
            stride()
        except (HaltingError, InvalidInput) as error:
            self._halt(run, error)
        else:
            self._after(run)

    def _after(self, run: FlowRun) -> None:
        """A flow came to rest: it ended, waits for long, waits, or is stuck."""
        if run.main.done():
            if not run.unwritten and run.num not in self._leaving:
                self._end(run)
        elif not run.calls and not run.unwritten:
            self._halt(run, ForeignAwait("The workflow awaits something that no durable call will resolve."))
        elif not run.steps_out:
            self._consider_parking(run)

    def _consider_parking(self, run: FlowRun) -> None:
        due = run.parkable_until()
        if due is not None and due - self._clock.micros() > self._options.park_after * MICROS_PER_SECOND:
            self._leaving.add(run.num)
            self._parks.put((run, due))

    async def _park(self, group: list[tuple[FlowRun, int]]) -> None:
        staying = [(run, due) for run, due in group if not run.evicted]
        try:
            await self._persist(
                lambda: self._port.park(self._lease.epoch, [(run.num, due) for run, due in staying])
            )
        except LeaseLost:
            self._lost.set()
            return
        for run, _ in staying:
            self._drop(run)
        self._wake.set()

    def _end(self, run: FlowRun) -> None:
        """The workflow function is done: write how."""
        self._leaving.add(run.num)
        try:
            ending = _ending(run, self._clock.micros(), self.max_bytes)
        except (HaltingError, InvalidInput) as error:
            self._halt(run, error)
            return
        run.evict()
        self._endings.put((run, ending))

    async def _finish(self, group: list[tuple[FlowRun, Ending]]) -> None:
        try:
            now = await self._persist(
                lambda: self._port.finish(self._lease.epoch, [ending for _, ending in group])
            )
        except LeaseLost:
            self._lost.set()
            return
        full = len(self.resident) >= self._options.concurrency
        for run, _ in group:
            self.resident.pop(run.num, None)
            self._leaving.discard(run.num)
        self._ended([(run, ending._replace(status=now.get(run.num, ending.status))) for run, ending in group])
        if full:
            self._wake.set()

    def _halt(self, run: FlowRun, error: HoldfastError) -> None:
        """Stop this one flow, with the reason, after what it has on its way (FL-19)."""
        log.error("flow %s (%s) is halted: %s", run.id, run.workflow.name, error)
        self._leaving.add(run.num)
        run.evict()
        self._send(run, None, None, error)

    async def _write_halt(self, run: FlowRun, error: HoldfastError) -> None:
        reason = codec.encode(describe(error))
        try:
            await self._persist(lambda: self._port.halt(self._lease.epoch, run.num, reason))
        except LeaseLost:
            self._lost.set()
            return
        self.resident.pop(run.num, None)
        self._leaving.discard(run.num)
        self._ended([(run, Ending(run.num, HALTED, None, reason, self._clock.micros()))])


def _ending(run: FlowRun, at: int, max_bytes: int) -> Ending:
    """How the workflow function ended.

    Raises:
        HaltingError, InvalidInput: in a way that a change of code mends: the flow is held rather than failed.
    """
    if run.main.cancelled():
        if run.cancelling:
            return Ending(run.num, FlowStatus.CANCELLED, None, None, at)
        error: BaseException | None = asyncio.CancelledError("the workflow cancelled itself")
    else:
        error = run.main.exception()
    if error is None:
        what = f"The result of {run.workflow.name}"
        result = codec.encode(run.main.result(), what=what, max_bytes=max_bytes)
        codec.decode(result, run.workflow.signature.result, what=what)
        return Ending(run.num, FlowStatus.FINISHED, result, None, at)
    if isinstance(error, HaltingError | InvalidInput):
        raise error
    if isinstance(error, RuntimeError) and "attached to a different loop" in str(error):
        raise ForeignAwait(f"The workflow awaited something of another event loop: {error}.") from error
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__, limit=-_TRACE_LINES))
    return Ending(run.num, FlowStatus.FAILED, None, codec.encode(describe(error, trace)), at)
