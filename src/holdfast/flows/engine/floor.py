"""The floor of a worker: the flows that are in memory, and all that happens to them.

Flows ask for steps, timers, waits and children; what becomes of those is recorded, and what was recorded is
handed over, after which a flow asks for more, waits, leaves or ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

from holdfast.clock import MICROS_PER_SECOND, Clock
from holdfast.errors import HoldfastError, InvalidInput, StoreUnreachable
from holdfast.flows.engine.alarms import Alarms
from holdfast.flows.engine.attempts import Attempts
from holdfast.flows.engine.calls import Call, outcome
from holdfast.flows.engine.errands import Errands, persist
from holdfast.flows.engine.loop import excursion
from holdfast.flows.engine.options import WorkerOptions
from holdfast.flows.engine.overdue import Overdue
from holdfast.flows.engine.port import Answer, Attention, Claimed, Ending, EnginePort, Record
from holdfast.flows.engine.postbox import Postbox
from holdfast.flows.engine.replay import cancel_record
from holdfast.flows.engine.reports import Reports
from holdfast.flows.engine.run import FlowRun
from holdfast.flows.engine.transacting import Transacting
from holdfast.flows.errors import EngineFault, ForeignAwait, HaltingError
from holdfast.flows.model import StepStatus
from holdfast.flows.workflows import Workflow

log = logging.getLogger("holdfast.flows")

HOLD_SECONDS = 0.02
EARLY = 1000
LINGER = 1.0
"""Seconds for which a flow that waits for something from outside stays in memory, while there is room."""


class Keeper(Protocol):
    """Who has the lease under which the flows run; the worker. All are called on its loop."""

    @property
    def epoch(self) -> int:
        """The life it lives."""
        ...

    @property
    def waking(self) -> bool:
        """It is looking for work, or about to."""
        ...

    def may_start(self) -> bool:
        """Whether the lease is beyond doubt, and work may begin."""
        ...

    def wake(self) -> None:
        """There may be work."""
        ...

    def fence(self, epoch: int) -> None:
        """The epoch is over."""
        ...

    def broke(self, error: BaseException) -> None:
        """Something is wrong with the engine itself."""
        ...

    def ended(self, endings: Sequence[tuple[FlowRun, Ending]]) -> None:
        """Flows ended or halted."""
        ...

    def flushed(self) -> None:
        """A group leaves."""
        ...


class Floor:
    """The flows that a worker has in memory.

    Args:
        keeper: the worker.
        port: the engine's way to the store.
        clock: where it reads the time.
        options: how the worker works.
    """

    def __init__(self, keeper: Keeper, port: EnginePort, clock: Clock, options: WorkerOptions) -> None:
        self.max_bytes = options.max_payload_bytes
        self.resident: dict[int, FlowRun] = {}
        self.broke = keeper.broke
        self.fence = keeper.fence
        self.may_start = keeper.may_start
        self._keeper = keeper
        self._port = port
        self._clock = clock
        self._options = options
        self._attempts = Attempts(self, clock, options.max_payload_bytes, options.threads)
        self._errands = Errands(keeper.broke, self.flush_soon)
        self.spawn = self._errands.spawn
        self._post = Postbox(port, clock, self.spawn, self)
        self.transact = Transacting(port, self._post, self._errands, self).transact
        self._alarms = Alarms(clock, idle=self._idle, rang=self.flush)
        self.arm = self._alarms.arm
        self.look_at = self._alarms.look_at
        self._reports = Reports(self, port, self.spawn, clock)
        self._overdue = Overdue(self, port, clock)
        self._leaving: set[int] = set()
        self._loop = asyncio.get_running_loop()  # a flow's own is running when it launches
        self._early: dict[int, Attention] = {}

    @property
    def epoch(self) -> int:
        """The worker's life."""
        return self._keeper.epoch

    @property
    def room(self) -> int:
        """How many more flows may come."""
        return self._options.concurrency - len(self.resident)

    @property
    def quiet(self) -> bool:
        """Nothing runs and nothing is on its way."""
        return not self._attempts.active and self._post.empty

    def _idle(self) -> bool:
        """All that is left to do is to wait for a moment: a virtual clock may jump to it."""
        waking = self._keeper.waking or self._attempts.queued or self._errands.working
        return not waking and self.quiet

    @property
    def departing(self) -> bool:
        """A group is on its way, or about to leave: a flush will follow. To be asked on the worker's loop."""
        return self._attempts.queued or self._post.departing

    def close(self) -> None:
        """Nothing more is done."""
        self._post.close()
        self._errands.close()
        self._attempts.close()
        self._alarms.clear()

    def clear(self) -> None:
        """All flows leave memory; nothing of them is written any more."""
        for run in list(self.resident.values()):
            self._drop(run)
        self._post.clear()
        self._alarms.clear()
        self._reports.clear()
        self._early.clear()

    # -- coming in --------------------------------------------------------------------------------------------

    def take(self, claimed: Claimed, workflow: Workflow[..., Any]) -> None:
        """Run a flow that was claimed, as it is now."""
        self._early.pop(claimed.num, None)
        with excursion():
            self._begin(claimed, workflow, None)

    def adopt(self, claimed: Claimed, workflow: Workflow[..., Any]) -> None:
        """Run a flow that was leased as it was started; something may have happened to it since."""
        with excursion():
            self._begin(claimed, workflow, self._early.pop(claimed.num, None))

    def _begin(self, claimed: Claimed, workflow: Workflow[..., Any], early: Attention | None) -> None:
        before = self.resident.get(claimed.num)
        if before is not None:
            if claimed.revision == 1:
                return  # the same start twice
            self._drop(before)  # it was parked, and the answer to that is still on its way
        run = FlowRun(claimed, workflow, self, self.epoch)
        self.resident[run.num] = run
        if early is not None:
            run.cancel_wanted, run.pausing = early.cancel_requested, early.paused
        try:
            run.begin()
        except Exception as error:
            self._halt(run, _reason(error))
            return
        if claimed.rest or run.gates:
            self.spawn(self._prepare(run, claimed))
        else:
            self._go_live(run, claimed.answers)

    async def _prepare(self, run: FlowRun, claimed: Claimed) -> None:
        """Read the rest of a long history, page by page, and pass the gates."""
        rest = list(claimed.rest)
        try:
            while rest and not run.evicted:
                page = await persist(lambda: self._port.history(rest))
                del rest[: len(page)]
                with excursion():
                    run.replay(page)
                await asyncio.sleep(0)
            while run.gates and not run.evicted:
                await persist(partial(asyncio.to_thread, run.gates.pop(0)))
            answers = await persist(lambda: self._port.standing(run.num))
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

    # -- leaving -------------------------------------------------------------------------------------------------

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

    # -- what happens to flows from outside -------------------------------------------------------------------

    async def attend(self) -> None:
        """Look after the flows that were touched."""
        epoch = self.epoch
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
            call.alarm = self._alarms.at(call.due, partial(self._overdue.fire, call))
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
        self._reports.drop(call)
        if call.answered is not None and not call.run.evicted:
            self._post.give_back(call.run, wait=call.answered)

    def publish(self, run: FlowRun) -> None:
        self._post.publish(run)

    def report(self, call: Call) -> None:
        self._reports.take(call)

    # -- what attempts report ---------------------------------------------------------------------------------

    def completed(self, call: Call, record: Record, value: Any) -> None:
        """An outcome; late ones, which nobody waits for any more, are refused."""
        if not call.abandoned:
            call.recorded = True
            self._reports.drop(call)
            self._post.send(call.run, call, record, value)

    def unrecordable(self, call: Call, error: HoldfastError) -> None:
        if not call.abandoned:
            with excursion():
                self._halt(call.run, error)

    async def wait_to_start(self) -> None:
        await asyncio.sleep(HOLD_SECONDS)

    def flush(self) -> None:
        """All steps that could run without waiting have run: let what they brought leave as one group."""
        self._post.flush()
        self._keeper.flushed()
        if self._idle():
            self._alarms.arm()

    def flush_soon(self) -> None:
        """Flush now, unless steps that are about to run will."""
        if not self._attempts.queued:
            self.flush()
        elif self._post.waiting:
            self._attempts.urge()

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
                    self._keeper.wake()
                if run.unclaimed:
                    self._give_unclaimed_back(run)
            self.came_to_rest(run)
        except Exception as error:
            self._halt(run, _reason(error))

    def came_to_rest(self, run: FlowRun) -> None:
        """A flow came to rest: it ended, waits for long, waits, pauses, or is stuck."""
        if not run.live or run.evicted:
            return
        self._overdue.look(run)
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

    def is_leaving(self, run: FlowRun) -> bool:
        """It was parked, ended or halted, and that is on its way."""
        return run.num in self._leaving

    def _leave(self, run: FlowRun, due: int | None) -> None:
        if run.num not in self._leaving:
            self._leaving.add(run.num)
            self._post.park(run, due)

    def left(self, runs: Sequence[FlowRun]) -> None:
        """They were parked, or are not this worker's any more."""
        for run in runs:
            self._drop(run)
        self._keeper.wake()

    def _end(self, run: FlowRun) -> None:
        """The workflow function is done: write how."""
        self._leaving.add(run.num)
        try:
            self._post.end(run)
        except (HaltingError, InvalidInput) as error:
            self._halt(run, error)

    def ended(self, endings: Sequence[tuple[FlowRun, Ending]]) -> None:
        """Flows ended or were halted."""
        full = self.room <= 0
        freeing = any(run.tied or run.queued for run, _ in endings)
        for run, _ in endings:
            self._forget(run)
        self._keeper.ended(endings)
        if full or freeing:
            self._keeper.wake()

    def _halt(self, run: FlowRun, error: HoldfastError) -> None:
        self._leaving.add(run.num)
        self._post.halt(run, error)


def _reason(error: Exception) -> HoldfastError:
    """Why a flow is halted; whatever is not foreseen is logged with its traceback."""
    if isinstance(error, HaltingError | InvalidInput):
        return error
    log.error("the engine failed", exc_info=error)
    return EngineFault(f"The engine failed with {type(error).__name__}: {error}.")


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
