"""The worker: leases flows, drives them, records what their steps did.

It lives on one event loop. Records leave in groups that form by themselves; each group's answer delivers the
results, which makes the workflows issue their next calls, whose records make up the next group.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from holdfast import codec
from holdfast.clock import MICROS_PER_SECOND, Clock
from holdfast.errors import HoldfastError, InvalidInput, StoreError, StoreUnreachable
from holdfast.flows.definitions import Registry
from holdfast.flows.engine.alarms import Alarms
from holdfast.flows.engine.attempts import Attempts, Written
from holdfast.flows.engine.lease import Lease
from holdfast.flows.engine.loop import excursion
from holdfast.flows.engine.port import Answer, Attention, Claimed, Ending, EnginePort, Outlook, Progress, Record
from holdfast.flows.engine.postbox import RETRY_SECONDS, Postbox
from holdfast.flows.engine.run import Call, FlowRun, cancel_record, outcome
from holdfast.flows.errors import EngineFault, ForeignAwait, HaltingError, LeaseLost
from holdfast.flows.model import StepStatus
from holdfast.flows.requests import Start
from holdfast.store import Transaction

log = logging.getLogger("holdfast.flows")

CLAIM = 500
BEGIN_SLICE = 32
POLL_SECONDS = 1.0
HOLD_SECONDS = 0.02
REPORT_SECONDS = 0.5
EARLY = 1000
LINGER = 1.0
"""Seconds for which a flow that waits for something from outside stays in memory, while there is room."""


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
        self._post = Postbox(port, clock, self)
        self._leaving: set[int] = set()
        self._alarms = Alarms(clock, idle=self._idle, rang=self.flush)
        self._loop = asyncio.get_running_loop()  # a flow's own is running when it launches
        self._wake = asyncio.Event()
        self._draining = False
        self._lost = asyncio.Event()
        self._broken: asyncio.Future[None] = self._loop.create_future()
        self._progress: dict[Call, Progress] = {}
        self._early: dict[int, Attention] = {}
        self._doing_chores = False
        self._looking = False

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
                self._post.close()
                self._attempts.close()
                self._alarms.clear()

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
            self._flushed()

    def wake(self) -> None:
        """Something may be due; look."""
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
                self._begin(flow, self._early.pop(flow.num, None))
        self.flush_soon()

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
        return not self._attempts.active and self._post.empty

    def _idle(self) -> bool:
        """All that is left to do is to wait for a moment: a virtual clock may jump to it."""
        waking = self._looking or self._wake.is_set() or self._attempts.queued or self._post.working
        return not waking and self._quiet()

    async def _renew(self) -> None:
        """Begin a new epoch whenever the old one was fenced."""
        while True:
            await self._lost.wait()
            if self._draining:
                return self._evict_all()
            log.warning(
                "the worker epoch %d was fenced; %d flows go on elsewhere", self._lease.epoch, len(self.resident)
            )
            self._evict_all()
            await self._post.persist(self._lease.acquire)
            self._lost.clear()
            self.wake()

    def _evict_all(self) -> None:
        for run in list(self.resident.values()):
            self._drop(run)
        self._post.clear()
        self._alarms.clear()
        self._progress.clear()
        self._early.clear()

    def _forget(self, run: FlowRun) -> None:
        """Not resident any more; another run of the same flow that has taken its place stays."""
        self._alarms.drop(run.lingers)
        if self.resident.get(run.num) is run:
            del self.resident[run.num]
            self._leaving.discard(run.num)

    def _drop(self, run: FlowRun) -> None:
        """Let a flow leave memory."""
        self._forget(run)
        with excursion():
            run.evict()

    # -- leasing flows ----------------------------------------------------------------------------------------

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
            self._alarms.arm()
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
            await self._attend()
        more = False
        if _is_due(outlook.schedules, now):
            more = await self._port.tick(self._lease.epoch, types) > 0
        if _is_due(outlook.chores, now) and not self._doing_chores:
            self._doing_chores = True
            self._post.spawn(self._do_chores())
        if _is_due(outlook.due, now) and types:
            more = await self._claim(types) or more
        if not more:
            self._alarms.look_at(self._next(outlook, now), self._wake.set)
        return more

    def _next(self, outlook: Outlook, now: int) -> int | None:
        """When to look again; what could not be had just now is looked for at the next poll."""
        moments = [outlook.schedules]
        if len(self.resident) < self._options.concurrency:
            moments.append(outlook.due)
        return min((moment for moment in moments if moment is not None and moment > now), default=None)

    async def _claim(self, types: Sequence[str]) -> bool:
        """Lease what is due; whether there may be more."""
        room = min(CLAIM, self._options.concurrency - len(self.resident))
        if room <= 0:
            return False
        epoch = self._lease.epoch
        suspect = not any(run.suspect for run in self.resident.values())
        try:
            claimed = await self._port.claim(epoch, types, room, suspect=suspect)
        except StoreUnreachable:
            self.fence(epoch)  # it may have been committed: with a new epoch, what it leased is freed
            raise
        for position, flow in enumerate(claimed, 1):
            if self._lease.epoch != epoch or self._lost.is_set() or self._draining:
                return False
            self._early.pop(flow.num, None)  # from before: what was claimed is as it is now
            with excursion():
                self._begin(flow)
            if position % BEGIN_SLICE == 0:
                self.flush_soon()
                await asyncio.sleep(0)
        self.flush_soon()
        return bool(claimed)

    def _begin(self, claimed: Claimed, early: Attention | None = None) -> None:
        """Run a flow.

        Args:
            early: what happened to it from outside before it was handed over.
        """
        before = self.resident.get(claimed.num)
        if before is not None:
            if claimed.revision == 1:
                return  # the same start twice
            self._drop(before)  # it was parked, and the answer to that is still on its way
        workflow = self._registry.get(claimed.workflow_type)
        assert workflow is not None
        run = FlowRun(claimed, workflow, self, self._lease.epoch)
        self.resident[run.num] = run
        if early is not None:
            run.cancel_wanted, run.pausing = early.cancel_requested, early.paused
        try:
            run.begin()
        except Exception as error:
            self._halt(run, _reason(error))
            return
        if claimed.rest or run.gates:
            self._post.spawn(self._prepare(run, claimed))
        else:
            self._go_live(run, claimed.answers)

    async def _prepare(self, run: FlowRun, claimed: Claimed) -> None:
        """Read the rest of a long history, page by page, and pass the gates."""
        rest = list(claimed.rest)
        try:
            while rest and not run.evicted:
                page = await self._post.persist(lambda: self._port.history(rest))
                del rest[: len(page)]
                with excursion():
                    run.replay(page)
                await asyncio.sleep(0)
            while run.gates and not run.evicted:
                await self._post.persist(partial(asyncio.to_thread, run.gates.pop(0)))
            answers = await self._post.persist(lambda: self._port.standing(run.num))
        except Exception as error:
            if not run.evicted:
                with excursion():
                    self._halt(run, _reason(error))
                self.flush_soon()
            return
        if not run.evicted:
            with excursion():
                self._go_live(run, answers)
            self.flush_soon()

    def _go_live(self, run: FlowRun, answers: Sequence[Answer]) -> None:
        """Launch what is outstanding, and hand over what has come meanwhile."""
        try:
            run.go_live({answer.run_id: answer for answer in answers})
        except Exception as error:
            self._halt(run, _reason(error))
            return
        waiting = {call.answered for call in run.calls.values()}
        for answer in answers:
            if answer.wait not in waiting:
                self._post.give_back(run, wait=answer.wait)
        self._give_unclaimed_back(run)
        if run.cancel_wanted and not run.main.done():
            self._cancel(run)
        for answer in [*answers, *run.told.values()]:
            self.answered(run, answer)
        run.told.clear()
        self.came_to_rest(run)

    # -- what happens to flows from outside -------------------------------------------------------------------

    async def _attend(self) -> None:
        epoch = self._lease.epoch
        try:
            touched, answers = await self._port.attend(epoch)
        except StoreUnreachable:
            self.fence(epoch)  # it may have been committed, and nobody would hear of it again
            raise
        with excursion():
            for attention in touched:
                run = self.resident.get(attention.flow)
                if run is None:
                    self._remember(attention)
                elif not run.evicted:
                    self._look_after(run, attention)
            for answer in answers:
                run = self.resident.get(answer.flow)
                if run is not None and not run.evicted:
                    self.answered(run, answer)
        self.flush_soon()

    def _remember(self, attention: Attention) -> None:
        """Of a flow that was leased as it was started and is about to be handed over, or of one that has just left."""
        self._early[attention.flow] = attention
        if len(self._early) > EARLY:
            del self._early[next(iter(self._early))]

    def _look_after(self, run: FlowRun, attention: Attention) -> None:
        if run.num in self._leaving:
            return  # whoever takes it up next sees it
        if attention.cancel_requested:
            run.cancel_wanted = True
            if run.live:
                self._cancel(run)
        if attention.paused != run.pausing:
            run.pausing = attention.paused
            if not run.pausing:
                for call in [call for call in run.calls.values() if call.held]:
                    call.held = False
                    self.launch(call)
            self.came_to_rest(run)

    def _cancel(self, run: FlowRun) -> None:
        """Record the request at its place in the history; it is delivered like any other record (FL-13)."""
        if not run.cancelling and run.num not in self._leaving and self.resident.get(run.num) is run:
            run.cancelling = True
            self._post.send(run, None, cancel_record(run, self._clock.micros()), None)

    def answered(self, run: FlowRun, answer: Answer) -> None:
        """A wait has its answer: record it, as a step's result is recorded (FL-12)."""
        if answer.at is None or run.num in self._leaving:
            return
        if not run.live:
            run.told[answer.run_id] = answer
            return
        call = run.awaiting(answer.run_id)
        if call is None:
            return
        call.answered = answer.wait  # its registration may still be on its way back
        now = self._clock.micros()
        status = StepStatus.FAILED if answer.failed else StepStatus.SUCCEEDED
        result, error = (None, answer.answer) if answer.failed else (answer.answer, None)
        record = call.record(status, result, error, 1, now, now)
        self.completed(call, record, outcome(call, record))

    def _give_unclaimed_back(self, run: FlowRun) -> None:
        while run.unclaimed:
            self._post.give_back(run, run_id=run.unclaimed.pop())

    # -- what flows ask for -----------------------------------------------------------------------------------

    def launch(self, call: Call) -> None:
        if call.handle is not None:
            call.alarm = self._alarms.at(call.due, lambda: self._fire(call))
        elif call.wait is not None:
            if call.answered is None:
                self._post.register(call)
        elif call.run.pausing:
            call.held = True
        elif call.birth is not None:
            now = self._clock.micros()
            self.completed(call, call.record(StepStatus.SUCCEEDED, None, None, 1, now, now), None)
        else:
            self._attempts.launch(call)

    def abandon(self, call: Call) -> None:
        self._alarms.drop(call.alarm)
        self._attempts.abandon(call)
        self._progress.pop(call, None)
        if call.answered is not None and not call.run.evicted:
            self._post.give_back(call.run, wait=call.answered)

    def _fire(self, call: Call) -> None:
        run = call.run
        if call.abandoned or run.num in self._leaving:
            return
        run.overdue.append(call)
        if run.registering or run.waiting:
            self._look_before(run)
        else:
            self._let_time_pass(run)

    def _look_before(self, run: FlowRun) -> None:
        """Before time goes on in a flow that waits, it gets what has come for it so far: an answer that was given in
        time wins over a time-out (FL-12)."""
        if run.overdue and not run.registering and not run.looking:
            run.looking = True
            self._post.spawn(self._look_and_pass(run))

    async def _look_and_pass(self, run: FlowRun) -> None:
        answers = await self._post.persist(lambda: self._port.standing(run.num))
        run.looking = False
        if not run.evicted:
            for answer in answers:
                self.answered(run, answer)
            if not run.registering:
                self._let_time_pass(run)

    def _let_time_pass(self, run: FlowRun) -> None:
        if run.num in self._leaving:
            return
        now = self._clock.micros()
        for call in run.take_overdue():
            self.completed(call, call.record(StepStatus.SUCCEEDED, None, None, 1, now, now), None)

    def publish(self, run: FlowRun) -> None:
        self._post.publish(run)

    def report(self, call: Call) -> None:
        with contextlib.suppress(RuntimeError):  # a late thread of a worker that has ended
            self._loop.call_soon_threadsafe(self._note, call)

    def _note(self, call: Call) -> None:
        if call.abandoned or call.recorded or call.progress is None:
            return
        if not self._progress:
            self._loop.call_later(REPORT_SECONDS, lambda: self._post.spawn(self._report()))
        call.reported = True
        self._progress[call] = Progress(call.run.num, call.run_id, *call.progress, self._clock.micros())

    async def _report(self) -> None:
        """What steps report is shown, not needed: where it cannot be written, the next one will be."""
        told, self._progress = list(self._progress.values()), {}
        try:
            if told:
                await self._port.report(self._lease.epoch, told)
        except LeaseLost as error:
            self.fence(error.epoch)
        except StoreError as error:
            log.warning("progress cannot be written now: %s", error)

    async def _do_chores(self) -> None:
        try:
            await self._port.chores(self._lease.epoch)
        except LeaseLost as error:
            self.fence(error.epoch)
        except StoreError as error:
            log.warning("the daily chores cannot be done now: %s", error)
        finally:
            self._doing_chores = False

    # -- what attempts report ---------------------------------------------------------------------------------

    def completed(self, call: Call, record: Record, value: Any) -> None:
        """An outcome; late ones, which nobody waits for any more, are refused."""
        if not call.abandoned:
            call.recorded = True
            self._progress.pop(call, None)
            self._post.send(call.run, call, record, value)

    def unrecordable(self, call: Call, error: HoldfastError) -> None:
        if not call.abandoned:
            with excursion():
                self._halt(call.run, error)

    async def transact(self, call: Call, work: Callable[[Transaction], Written]) -> None:
        await self._post.transact(call, work)

    def may_start(self) -> bool:
        """No attempt starts while the lease is in doubt, nor while draining."""
        return not self._draining and self._lease.held()

    async def wait_to_start(self) -> None:
        await asyncio.sleep(HOLD_SECONDS)

    def flush(self) -> None:
        """All steps that could run without waiting have run: let what they brought leave as one group."""
        self._post.flush()
        self._flushed()
        if self._idle():
            self._alarms.arm()

    def flush_soon(self) -> None:
        """Flush now, unless steps that are about to run will."""
        if not self._attempts.queued:
            self.flush()
        elif self._post.waiting:
            self._attempts.urge()

    @property
    def departing(self) -> bool:
        """A group is on its way, or about to leave: a flush will follow. To be asked on the worker's loop."""
        return self._attempts.queued or self._post.departing

    async def pause(self, seconds: float) -> None:
        due = self._loop.create_future()
        self._alarms.at(self._clock.micros() + round(seconds * MICROS_PER_SECOND), lambda: _resolve(due))
        await due

    # -- what was written -------------------------------------------------------------------------------------

    def hand_over(self, run: FlowRun, call: Call | None, record: Record, value: Any) -> None:
        """Give a flow what was recorded for it, and see what became of it."""
        try:
            if call is None:
                run.cancel(record)
            else:
                run.deliver(call, record, value)
                if call.birth is not None:
                    self._wake.set()
                if run.unclaimed:
                    self._give_unclaimed_back(run)
            self.came_to_rest(run)
        except Exception as error:
            self._halt(run, _reason(error))

    def came_to_rest(self, run: FlowRun) -> None:
        """A flow came to rest: it ended, waits for long, waits, pauses, or is stuck."""
        if not run.live or run.evicted:
            return
        self._look_before(run)
        if run.main.done():
            if not run.unwritten and run.num not in self._leaving:
                self._end(run)
        elif run.pausing:
            if not run.at_work:
                self._leave(run, self._clock.micros())  # resumed before that is written, it is due at once
        elif run.resting:
            self._consider_parking(run)
        elif not run.calls and not run.unwritten:
            self._halt(run, ForeignAwait("The workflow awaits something that no durable call will resolve."))

    def _consider_parking(self, run: FlowRun) -> None:
        """A flow that waits for long leaves memory; one that may be stirred any time lingers while there is room."""
        due = run.due
        if due is not None and due - self._clock.micros() <= self._options.park_after * MICROS_PER_SECOND:
            return
        if not run.waiting or 2 * len(self.resident) > self._options.concurrency:
            self._leave(run, due)
        elif run.lingers is None:
            stirred = run.stirred
            linger = min(LINGER, self._options.park_after)
            moment = self._clock.micros() + round(linger * MICROS_PER_SECOND)
            run.lingers = self._alarms.at(moment, lambda: self._leave_if_still(run, stirred))

    def _leave_if_still(self, run: FlowRun, stirred: int) -> None:
        """Nothing has stirred it for a while, or it lingers once more."""
        run.lingers = None
        if run.stirred == stirred and run.resting and not run.evicted:
            self._leave(run, run.due)
        else:
            with excursion():
                self.came_to_rest(run)

    def _leave(self, run: FlowRun, due: int | None) -> None:
        if run.num not in self._leaving:
            self._leaving.add(run.num)
            self._post.park(run, due)

    def left(self, runs: Sequence[FlowRun]) -> None:
        """They were parked, or are not this worker's any more."""
        for run in runs:
            self._drop(run)
        self._wake.set()

    def _end(self, run: FlowRun) -> None:
        """The workflow function is done: write how."""
        self._leaving.add(run.num)
        try:
            self._post.end(run)
        except (HaltingError, InvalidInput) as error:
            self._halt(run, error)

    def ended(self, endings: Sequence[tuple[FlowRun, Ending]]) -> None:
        """Flows ended or were halted."""
        full = len(self.resident) >= self._options.concurrency
        freeing = any(run.tied or run.queued for run, _ in endings)
        for run, _ in endings:
            self._forget(run)
        self._ended(endings)
        if full or freeing:
            self._wake.set()

    def _halt(self, run: FlowRun, error: HoldfastError) -> None:
        self._leaving.add(run.num)
        self._post.halt(run, error)


def _is_due(moment: int | None, now: int) -> bool:
    return moment is not None and moment <= now


def _reason(error: Exception) -> HoldfastError:
    """Why a flow is halted; whatever is not foreseen is logged with its traceback."""
    if isinstance(error, HaltingError | InvalidInput):
        return error
    log.error("the engine failed", exc_info=error)
    return EngineFault(f"The engine failed with {type(error).__name__}: {error}.")


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
