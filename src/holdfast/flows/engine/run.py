"""One flow in memory: its loop, its outstanding calls, and the one path on which results reach it.

Results are delivered one at a time, in the order in which they were recorded, each when the workflow is at rest.
A first run and a replay use this same path, so concurrent branches interleave alike and every call comes out
with the same identity: its name and occurrence.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from holdfast import codec
from holdfast.clock import MICROS_PER_SECOND, to_datetime
from holdfast.flows.durations import MAX_SECONDS
from holdfast.flows.engine.alarms import Entry
from holdfast.flows.engine.calls import Call, Launcher, key_of
from holdfast.flows.engine.eviction import Eviction
from holdfast.flows.engine.loop import FlowLoop, FlowTask, Handle, new_loop
from holdfast.flows.engine.port import SUSPECT_CRASHES, Answer, Claimed, Record
from holdfast.flows.engine.replay import Replay
from holdfast.flows.errors import InvalidTimeout
from holdfast.flows.names import SLEEP
from holdfast.flows.patches import merge_patch
from holdfast.flows.step_context import StepProgress
from holdfast.flows.steps import Step
from holdfast.flows.workflows import Workflow

log = logging.getLogger("holdfast.flows")


class FlowRun:
    """A flow that is resident in this process.

    Args:
        claimed: the flow with its history.
        workflow: its code.
        launcher: who runs its calls.
        epoch: under which it was leased; all that is written for it proves this one alive.
    """

    def __init__(self, claimed: Claimed, workflow: Workflow[..., Any], launcher: Launcher, epoch: int) -> None:
        self.num = claimed.num
        self.id = claimed.id
        self.epoch = epoch
        self.attempt = claimed.attempt
        self.suspect = claimed.crashes >= SUSPECT_CRASHES
        self.workflow = workflow
        self.owner = claimed.owner
        self.depth = claimed.depth
        self.tied = claimed.tied
        self.queued = claimed.queue is not None
        self.max_bytes = launcher.max_bytes
        self.calls: dict[str, Call] = {}
        self.micros = claimed.started_at
        self.cancelling = False
        self.cancel_wanted = claimed.cancel_requested
        self.pausing = False
        self.publishing = False
        self.live = False
        self.evicted = False
        self.steps_out = 0
        self.unwritten = 0
        self.registering = 0
        self.stirred = 0
        self.transacting = False
        self.looking = False
        self.lingers: Entry | None = None
        self.deferred: list[Any] = []
        self.overdue: list[Call] = []
        self.told: dict[str, Answer] = {}
        self.gates: list[Callable[[], object]] = []
        self.unclaimed: list[str] = []
        self.state: dict[str, Any] = {}
        self.published = claimed.state
        self._claimed: Claimed | None = claimed
        self._seed = claimed.seed
        self._random: random.Random | None = None
        self._occurrences: dict[str, int] = {}
        self._launcher = launcher
        self._written: list[asyncio.Future[None]] = []
        self._loop: FlowLoop = new_loop(self)
        self._replay = Replay(self, self._loop)
        self._eviction: Eviction
        self.main: FlowTask

    # -- driving it -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Run to where the beginning of its history ends.

        Raises:
            HaltingError: it cannot go on with this code.
        """
        claimed = self._claimed
        assert claimed is not None
        args, kwargs = self.workflow.signature.decode(claimed.args)
        self.main = self._loop.create_task(self.workflow.fn(*args, **kwargs))
        self.replay(claimed.history)

    def replay(self, records: Iterable[Record]) -> None:
        """Hand over records that follow in its history.

        Raises:
            HaltingError: it cannot go on with this code.
        """
        self._replay.take(records)

    def go_live(self, registered: Mapping[str, Answer]) -> None:
        """Its history has ended: launch what is outstanding.

        Args:
            registered: its waits that were registered before, by run id.

        Raises:
            HaltingError: it cannot go on with this code.
        """
        claimed, self._claimed = self._claimed, None
        assert claimed is not None
        self._replay.advance()
        self.live = True
        self.calls = {key: call for key, call in self.calls.items() if not call.abandoned}
        self.steps_out = sum(call.step is not None for call in self.calls.values())
        for told in claimed.progress:
            call = self.calls.get(key_of(told.run_id))
            if call is not None:
                call.progress, call.reported = StepProgress(told.done, told.total, told.note), True
        for call in list(self.calls.values()):
            if call.wait is not None and call.run_id in registered:
                call.answered = registered[call.run_id].wait
            self._launcher.launch(call)
        if codec.encode(self.state) != self.published:
            self._launcher.publish(self)

    def deliver(self, call: Call, record: Record, value: Any) -> None:
        """Hand over one recorded outcome, and run to rest.

        Args:
            value: the decoded result, or the exception that stands for a failure.
        """
        if self.calls.pop(call.key, None) is not None and call.step is not None:
            self.steps_out -= 1
        if record.updated_at > self.micros:
            self.micros = record.updated_at
        self.stirred += 1
        future = call.future
        if future is None:
            if call.handle is not None and not call.handle.dropped:
                self._loop.push(call.handle)
        elif not future.done():
            if isinstance(value, Exception):
                future.set_exception(value)
            else:
                future.set_result(value)
        elif call.wait is not None:
            self.unclaimed.append(call.run_id)  # a time-out was recorded first: the event is nobody's
        self._loop.settle()

    def cancel(self, record: Record) -> None:
        """Deliver a recorded request to cancel (FL-13), and run to rest."""
        self.micros = max(self.micros, record.updated_at)
        self.stirred += 1
        self.main.cancel()
        self._loop.settle()

    async def written(self) -> None:
        """Until nothing of this flow is on its way to the store; runs on the worker's loop."""
        future = asyncio.get_running_loop().create_future()
        self._written.append(future)
        await future

    def notify_written(self) -> None:
        """Wake those that wait in :meth:`written`, one after the other."""
        while self._written and not self.unwritten:
            future = self._written.pop(0)
            if not future.done():
                future.set_result(None)
                break

    def take_overdue(self) -> list[Call]:
        """Timers that have fired, in that order."""
        taken, self.overdue = self.overdue, []
        return taken

    def take_deferred(self) -> list[Any]:
        """What was held back while a transactional step was on its way."""
        taken, self.deferred = self.deferred, []
        return taken

    @property
    def resting(self) -> bool:
        """It only waits for time, or for what comes from outside."""
        return not self.steps_out and not self.unwritten and bool(self.calls)

    @property
    def waiting(self) -> bool:
        """It waits for something that comes from outside."""
        return any(call.wait is not None for call in self.calls.values())

    @property
    def due(self) -> int | None:
        """Micros of its first timer, if it has one."""
        return min((call.due for call in self.calls.values() if call.handle is not None), default=None)

    @property
    def at_work(self) -> bool:
        """A step of it runs, or something is on its way to the store."""
        return bool(self.unwritten) or any(call.step and not call.held for call in self.calls.values())

    def awaiting(self, run_id: str) -> Call | None:
        """Its wait of that run id, if the workflow still waits and has no answer yet."""
        call = self.calls.get(key_of(run_id))
        if call is None or call.wait is None or call.recorded or call.abandoned:
            return None
        return call

    def evict(self) -> None:
        """Leave memory: unwind the workflow's coroutines, recording nothing."""
        if self.evicted:
            return
        self.evicted = True
        self._eviction = Eviction(self._loop)
        for call in self.calls.values():
            self._launcher.abandon(call)
        self.calls = {}
        if not self._eviction.unwind():
            log.error("flow %s (%s) swallows its eviction and stays in memory", self.id, self.workflow.name)

    # -- what the workflow asks for ---------------------------------------------------------------------------

    async def call_step(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A durable call; issued when it is first awaited, as coroutines are."""
        if self.evicted:
            return await self._eviction.call()
        if kwargs:
            args, kwargs = step.positional(args, kwargs)
        called = (args, kwargs) if kwargs else args
        call = Call(self, step.name, codec.digest(called, what=step.argument, max_bytes=self._launcher.max_bytes))
        call.step = step
        call.args = step.signature.isolate(args)
        call.kwargs = (
            dict(zip(kwargs, step.signature.isolate(tuple(kwargs.values())), strict=True)) if kwargs else kwargs
        )
        call.future = asyncio.Future(loop=self._loop)
        self.steps_out += 1
        return await self._outcome(call)

    async def ask(self, name: str, digest: int, prepare: Callable[[Call], None]) -> Any:
        """A durable call that is no step; issued when it is first awaited.

        Args:
            prepare: says what it is.
        """
        if self.evicted:
            return await self._eviction.call()
        call = Call(self, name, digest)
        prepare(call)
        self.tied = True  # whatever it leaves behind goes with its end
        call.future = asyncio.Future(loop=self._loop)
        return await self._outcome(call)

    async def _outcome(self, call: Call) -> Any:
        self.calls[call.key] = call
        if self.live:
            self._launcher.launch(call)
        assert call.future is not None
        try:
            return await call.future
        except asyncio.CancelledError:
            if self.live:
                self._abandon(call)
            raise

    def start_timer(self, when: float, handle: Handle) -> None:
        if self.evicted:
            return
        due = round(when * MICROS_PER_SECOND)
        if due - self.micros > MAX_SECONDS * MICROS_PER_SECOND:
            raise InvalidTimeout(f"A timer cannot be due in {when - self.loop_time():g} s.")
        call = Call(self, SLEEP, due - self.micros)
        call.due = due
        call.handle = handle
        handle.forget = lambda: self._abandon(call)
        self.calls[call.key] = call
        if self.live:
            self._launcher.launch(call)

    def _abandon(self, call: Call) -> None:
        """A live call nobody waits for is forgotten, unless its record is on the way already."""
        if self.live and not call.recorded and self.calls.pop(call.key, None) is not None:
            self.steps_out -= call.step is not None
            self._launcher.abandon(call)

    def patch_state(self, patch: Any) -> None:
        """Change what it publishes (FL-15).

        Raises:
            InvalidPatch, NotSerialisable, PayloadTooLarge: it cannot be; nothing has changed.
        """
        if self.evicted:
            return
        merged = merge_patch(self.state, patch)
        self.state = codec.decode(codec.encode(merged, what="The flow's state", max_bytes=self.max_bytes))
        if self.live:
            self._launcher.publish(self)

    def gate(self, act: Callable[[], object]) -> None:
        """Have ``act`` run before this flow goes live."""
        if not self.live and not self.evicted:
            self.gates.append(act)

    def report(self, call: Call) -> None:
        self._launcher.report(call)

    def occur(self, name: str) -> int:
        count = self._occurrences[name] = self._occurrences.get(name, 0) + 1
        return count

    def loop_time(self) -> float:
        return self.micros / MICROS_PER_SECOND

    def now(self) -> datetime:
        """The flow's own time: when its last delivered call was recorded."""
        return to_datetime(self.micros)

    @property
    def random(self) -> random.Random:
        """Chance that comes out the same on every replay: seeded once, when the flow was started."""
        if self._random is None:
            self._random = random.Random(self._seed)
        return self._random
