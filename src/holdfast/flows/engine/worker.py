"""The worker: leases flows, drives them, records what their steps did.

It lives on one event loop. Records leave in groups that form by themselves; each group's answer delivers the
results, which makes the workflows issue their next calls, whose records make up the next group.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from holdfast import codec
from holdfast.clock import MICROS_PER_SECOND, Clock
from holdfast.errors import HoldfastError, InvalidInput, StoreError, StoreUnreachable
from holdfast.flows.definitions import Registry
from holdfast.flows.engine.alarms import Alarms
from holdfast.flows.engine.attempts import Attempts
from holdfast.flows.engine.endings import ending_of
from holdfast.flows.engine.lease import Lease
from holdfast.flows.engine.loop import excursion
from holdfast.flows.engine.outbox import Outbox
from holdfast.flows.engine.port import Claimed, Ending, EnginePort, Record
from holdfast.flows.engine.run import Call, FlowRun, cancel_record, outcome
from holdfast.flows.errors import EngineFault, ForeignAwait, HaltingError, LeaseLost
from holdfast.flows.model import StepStatus, describe
from holdfast.flows.requests import Start
from holdfast.store import Transaction

log = logging.getLogger("holdfast.flows")

CLAIM = 500
BEGIN_SLICE = 32
POLL_SECONDS = 1.0
RETRY_SECONDS = 0.25
HOLD_SECONDS = 0.02


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


T = TypeVar("T")
Outgoing = tuple[FlowRun, Call | None, Record | None, Any]


class Worker:
    """Serves workflows of a store on the running event loop.

    Args:
        port: the engine's way to the store.
        lease: the worker's hold on its flows.
        registry: the workflows it serves.
        clock: where it reads the time.
        options: how it works.
        ended: called with flows that ended or halted, and how.
        flushed: called when a group leaves, for whoever wants to go with it.
    """

    def __init__(
        self,
        port: EnginePort,
        lease: Lease,
        registry: Registry,
        clock: Clock,
        options: WorkerOptions,
        *,
        ended: Callable[[Sequence[tuple[FlowRun, Ending]]], None],
        flushed: Callable[[], None],
    ) -> None:
        self.max_bytes = options.max_payload_bytes
        self.resident: dict[int, FlowRun] = {}
        self._port = port
        self._lease = lease
        self._registry = registry
        self._clock = clock
        self._options = options
        self._ended = ended
        self._flushed = flushed
        self._attempts = Attempts(self, clock, options.max_payload_bytes, options.threads)
        self._records: Outbox[Outgoing, None] = Outbox(self._append, self._appended, self._refused)
        self._endings: Outbox[tuple[FlowRun, Ending], Mapping[int, str]] = Outbox(
            self._finish, self._finished, self._refused
        )
        self._parks: Outbox[tuple[FlowRun, int], None] = Outbox(self._park, self._parked, self._refused)
        self._leaving: set[int] = set()
        self._alarms = Alarms(clock, quiet=self._quiet, rang=self.flush)
        self._loop = asyncio.get_running_loop()  # a flow's own is running when it launches
        self._wake = asyncio.Event()
        self._look = True
        self._draining = False
        self._lost = asyncio.Event()
        self._broken: asyncio.Future[None] = self._loop.create_future()
        self._tasks: set[asyncio.Task[None]] = set()

    # -- its life ---------------------------------------------------------------------------------------------

    async def run(self, started: Callable[[], None]) -> None:
        """Work until cancelled; then drain (FL-11): let running steps end, record them, free the flows."""
        await self._lease.acquire()
        self._lease.start()
        tasks = [asyncio.create_task(task) for task in (self._renew(), self._claim())]
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
                for task in [*tasks, *self._tasks]:
                    task.cancel()
                self._attempts.close()
                self._alarms.clear()

    def fence(self, epoch: int) -> None:
        """An epoch of this worker is over: begin a new one, unless that has happened."""
        if epoch == self._lease.epoch:
            self._lost.set()

    def wake(self) -> None:
        """Something may be due; look."""
        self._look = True
        self._wake.set()

    def offer(self, starts: Sequence[Start]) -> tuple[int, list[bool]]:
        """Which starts this worker takes at once; called from any thread, and only a guess at its room."""
        if self._draining or self._lost.is_set() or not self._lease.held():
            return 0, [False] * len(starts)
        room = self._options.concurrency - len(self.resident)
        known = [start.immediate and self._registry.get(start.workflow_type) is not None for start in starts]
        return self._lease.epoch, [fits and position < room for position, fits in enumerate(known)]

    def adopt(self, epoch: int, claimed: Sequence[Claimed]) -> None:
        """Flows that were leased to this worker as they were started."""
        if epoch != self._lease.epoch or self._lost.is_set() or self._draining:
            return
        with excursion():
            for flow in claimed:
                self._begin(flow)
        self._flush_soon()

    def wake_threadsafe(self, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        """:meth:`wake` for other threads."""

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(self.wake)

        return wake

    async def _drain(self) -> None:
        self._draining = True
        deadline = self._clock.monotonic() + self._options.drain
        while self._clock.monotonic() < deadline and self._lease.held() and not self._quiet():  # noqa: ASYNC110
            await asyncio.sleep(0.005)  # a lease ends with time, no event says so
        await asyncio.to_thread(self._lease.stop)
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
            log.warning(
                "the worker epoch %d was fenced; %d flows go on elsewhere", self._lease.epoch, len(self.resident)
            )
            self._evict_all()
            await self._persist(self._lease.acquire)
            self._lost.clear()
            self.wake()

    def _evict_all(self) -> None:
        for run in list(self.resident.values()):
            self._drop(run)
        for outbox in (self._records, self._endings, self._parks):
            outbox.clear()
        self._alarms.clear()

    def _forget(self, run: FlowRun) -> None:
        """Not resident any more; another run of the same flow that has taken its place stays."""
        if self.resident.get(run.num) is run:
            del self.resident[run.num]
            self._leaving.discard(run.num)

    def _drop(self, run: FlowRun) -> None:
        """Let a flow leave memory."""
        self._forget(run)
        with excursion():
            run.evict()

    async def _persist(self, work: Callable[[], Awaitable[T]]) -> T:
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
            except LeaseLost as error:
                self.fence(error.epoch)
            except StoreError as error:
                log.warning("the store cannot be asked for work now: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
            self._alarms.arm()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)

    async def _claim_some(self) -> bool:
        """Lease what is due; whether there may be more."""
        types = self._registry.names()
        room = min(CLAIM, self._options.concurrency - len(self.resident))
        if room <= 0 or not types:
            self._alarms.look_at(None, self._wake.set)
            return False
        epoch = self._lease.epoch
        suspect = not any(run.suspect for run in self.resident.values())
        try:
            claimed = await self._port.claim(epoch, types, room, suspect=suspect)
        except StoreUnreachable:
            self.fence(epoch)  # it may have been committed: with a new epoch, what it leased is freed
            raise
        for position, flow in enumerate(claimed, 1):
            if self._lease.epoch != epoch or self._lost.is_set():
                return False
            with excursion():
                self._begin(flow)
            if position % BEGIN_SLICE == 0:
                self._flush_soon()
                await asyncio.sleep(0)
        self._flush_soon()
        self._alarms.look_at(None if claimed else await self._port.next_due(types), self._wake.set)
        return bool(claimed)

    def _begin(self, claimed: Claimed) -> None:
        before = self.resident.get(claimed.num)
        if before is not None:
            if claimed.revision == 1:
                return  # the same start twice
            self._drop(before)  # it was parked, and the answer to that is still on its way
        workflow = self._registry.get(claimed.workflow_type)
        assert workflow is not None
        run = FlowRun(claimed, workflow, self, self._lease.epoch)
        self.resident[run.num] = run
        try:
            run.begin()
        except Exception as error:
            self._halt(run, _reason(error))
            return
        if claimed.cancel_requested and not run.main.done():
            self._cancel(run)
        self._after(run)

    async def _cancel_requested(self) -> None:
        if not self._look:
            return
        self._look = False
        try:
            wanted = await self._port.cancelling(self._lease.epoch) if self.resident else []
        except BaseException:
            self._look = True
            raise
        for num in wanted:
            run = self.resident.get(num)
            if run is not None:
                self._cancel(run)
        self._flush_soon()

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
            call.alarm = self._alarms.at(call.due, lambda: self._fire(call))

    def abandon(self, call: Call) -> None:
        self._alarms.drop(call.alarm)
        self._attempts.abandon(call)

    def _fire(self, call: Call) -> None:
        if not call.abandoned and call.run.num not in self._leaving:
            now = self._clock.micros()
            self.completed(call, call.record(StepStatus.SUCCEEDED, None, None, 1, now, now), None)

    # -- what attempts report ---------------------------------------------------------------------------------

    def completed(self, call: Call, record: Record, value: Any) -> None:
        """An outcome; late ones, which nobody waits for any more, are refused."""
        if not call.abandoned:
            call.recorded = True
            self._send(call.run, call, record, value)

    def unrecordable(self, call: Call, error: HoldfastError) -> None:
        if not call.abandoned:
            with excursion():
                self._halt(call.run, error)

    def may_start(self) -> bool:
        """No attempt starts while the lease is in doubt, nor while draining."""
        return not self._draining and self._lease.held()

    async def wait_to_start(self) -> None:
        await asyncio.sleep(HOLD_SECONDS)

    def flush(self) -> None:
        """All steps that could run without waiting have run: let what they brought leave as one group."""
        self._records.flush()
        self._endings.flush()
        self._parks.flush()
        self._flushed()

    @property
    def departing(self) -> bool:
        """A group is on its way, or about to leave: a flush will follow. To be asked on the worker's loop."""
        return self._attempts.queued or not self._records.empty

    async def pause(self, seconds: float) -> None:
        due = self._loop.create_future()
        self._alarms.at(self._clock.micros() + round(seconds * MICROS_PER_SECOND), lambda: _resolve(due))
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
            record = await self._persist(lambda: self._port.transact(run.epoch, run.num, call.run_id, work))
        except LeaseLost as error:
            self.fence(error.epoch)
        except BaseException:
            call.recorded = False
            raise
        finally:
            run.transacting, run.unwritten = False, 0
            if record is not None and not run.evicted:
                with excursion():
                    self._hand_over(run, call, record, outcome(call, record))
            for item in run.take_deferred():
                self._send(*item)
            run.notify_written()
            self._flush_soon()

    # -- writing ----------------------------------------------------------------------------------------------

    def _send(self, run: FlowRun, call: Call | None, record: Record | None, value: Any) -> None:
        """Put a record (or, without one, the reason to halt) on its way."""
        if run.transacting:
            run.deferred.append((run, call, record, value))
            return
        run.unwritten += 1
        self._records.put((run, call, record, value))

    def _refused(self, error: BaseException) -> None:
        """A group was not written: the lease was lost, or something is wrong with the engine itself."""
        if isinstance(error, LeaseLost):
            self.fence(error.epoch)
            self.flush()
        elif not self._broken.done():
            self._broken.set_exception(error)
            self._flushed()

    def _append(self, group: list[Outgoing]) -> asyncio.Future[None]:
        records = [record for run, _, record, _ in group if record is not None and not run.evicted]
        return self._port.append(self._lease.epoch, records)

    def _appended(self, group: list[Outgoing], answer: None) -> None:
        with excursion():
            for run, call, record, value in group:
                run.unwritten -= 1
                if record is None:
                    self._spawn(self._write_halt(run, value))
                elif not run.evicted:
                    self._hand_over(run, call, record, value)
                run.notify_written()
        self._flush_soon()
        if self._quiet():
            self._alarms.arm()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _flush_soon(self) -> None:
        """Flush now, unless steps that are about to run will."""
        if not self._attempts.queued:
            self.flush()

    def _hand_over(self, run: FlowRun, call: Call | None, record: Record, value: Any) -> None:
        """Give a flow what was recorded for it, and see what became of it."""
        try:
            if call is None:
                run.cancel(record)
            else:
                run.deliver(call, record, value)
            self._after(run)
        except Exception as error:
            self._halt(run, _reason(error))

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

    def _park(self, group: list[tuple[FlowRun, int]]) -> asyncio.Future[None]:
        return self._port.park(group[0][0].epoch, [(run.num, due) for run, due in group if not run.evicted])

    def _parked(self, group: list[tuple[FlowRun, int]], answer: None) -> None:
        for run, _ in group:
            self._drop(run)
        self._wake.set()
        self._flush_soon()

    def _end(self, run: FlowRun) -> None:
        """The workflow function is done: write how."""
        self._leaving.add(run.num)
        try:
            ending = ending_of(run, self._clock.micros(), self.max_bytes)
        except (HaltingError, InvalidInput) as error:
            self._halt(run, error)
            return
        run.evict()
        self._endings.put((run, ending))

    def _finish(self, group: list[tuple[FlowRun, Ending]]) -> asyncio.Future[Mapping[int, str]]:
        return self._port.finish(group[0][0].epoch, [ending for _, ending in group])

    def _finished(self, group: list[tuple[FlowRun, Ending]], now: Mapping[int, str]) -> None:
        ended = [(run, ending._replace(status=now[run.num])) for run, ending in group if run.num in now]
        full = len(self.resident) >= self._options.concurrency
        for run, _ in ended:
            self._forget(run)
        self._ended(ended)
        if full:
            self._wake.set()
        self._flush_soon()

    def _halt(self, run: FlowRun, error: HoldfastError) -> None:
        """Stop this one flow, with the reason, after what it has on its way (FL-19)."""
        log.error("flow %s (%s) is halted: %s", run.id, run.workflow.name, error)
        self._leaving.add(run.num)
        run.evict()
        self._send(run, None, None, error)

    async def _write_halt(self, run: FlowRun, error: HoldfastError) -> None:
        reason = codec.encode(describe(error))
        try:
            status = await self._persist(lambda: self._port.halt(run.epoch, run.num, reason))
        except LeaseLost as error:
            self.fence(error.epoch)
            return
        self._forget(run)
        self._ended([(run, Ending(run.num, status, None, reason, self._clock.micros()))])


def _reason(error: Exception) -> HoldfastError:
    """Why a flow is halted; whatever is not foreseen is logged with its traceback."""
    if isinstance(error, HaltingError | InvalidInput):
        return error
    log.error("the engine failed", exc_info=error)
    return EngineFault(f"The engine failed with {type(error).__name__}: {error}.")


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
