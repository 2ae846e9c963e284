"""One flow in memory: its loop, its outstanding calls, and the one path on which results reach it.

Results are delivered one at a time, in the order in which they were recorded, each when the workflow is at rest.
A first run and a replay use this same path, so concurrent branches interleave alike and every call comes out
with the same identity: its name and occurrence.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from holdfast import codec
from holdfast.clock import MICROS_PER_SECOND, to_datetime
from holdfast.flows.definitions import CANCEL, MAX_SECONDS, SLEEP, Step, Workflow
from holdfast.flows.engine.alarms import Entry
from holdfast.flows.engine.loop import FlowLoop, FlowTask, Handle, new_loop
from holdfast.flows.engine.port import SUSPECT_CRASHES, Claimed, Record
from holdfast.flows.errors import HaltingError, InvalidTimeout, NonDeterminism, StepFailed
from holdfast.flows.model import StepStatus

log = logging.getLogger("holdfast.flows")

_MAX_EVICTION_ROUNDS = 100
_MAX_EVICTED_CALLS = 10_000
new_tuple = tuple.__new__
"""Makes a named tuple on the hot path: its own constructor takes three times as long."""
_unending: list[Any] = []
"""Coroutines that swallow their eviction; kept, since collecting them would run them again."""


class Evicted(BaseException):
    """Thrown into a workflow that leaves memory. Durable calls made while it passes record nothing."""


class Call:
    """One durable call that was issued and not delivered yet.

    Attributes:
        key: name and occurrence, its identity in the history.
        digest: of its arguments.
        step, args, kwargs: what to run; ``step`` is ``None`` for a timer.
        due: when a timer fires, micros.
        future: what the workflow awaits; for a timer the handle stands in.
        recorded: its record is on the way to the store.
        task: the worker's task that runs it.
    """

    __slots__ = (
        "alarm", "args", "digest", "due", "future", "handle", "key", "kwargs", "name", "recorded", "run", "run_id",
        "step", "task",
    )  # fmt: skip

    def __init__(self, run: FlowRun, name: str, digest: int) -> None:
        self.run = run
        self.name = name
        self.digest = digest
        self.key = f"{name}#{run.occur(name)}"
        self.run_id = f"{self.key}@{run.attempt}"
        self.step: Step[..., Any] | None = None
        self.args: tuple[Any, ...] = ()
        self.kwargs: dict[str, Any] = {}
        self.due = 0
        self.future: asyncio.Future[Any] | None = None
        self.handle: Handle | None = None
        self.task: asyncio.Task[Any] | None = None
        self.recorded = False
        self.alarm: Entry | None = None

    @property
    def abandoned(self) -> bool:
        """The workflow does not wait for it any more."""
        if self.run.evicted:
            return True
        if self.future is not None:
            return self.future.done()
        return self.handle is None or self.handle.dropped

    def record(
        self, status: StepStatus, result: str | None, error: str | None, tries: int, began: int, at: int
    ) -> Record:
        """This call's outcome as a row."""
        return new_tuple(
            Record, (self.run.num, self.run_id, self.name, status, tries, self.digest, result, error, began, at)
        )


class Launcher(Protocol):
    """Who runs what a flow asks for."""

    max_bytes: int

    def launch(self, call: Call) -> None:
        """Run a step, or wait for a timer."""
        ...

    def abandon(self, call: Call) -> None:
        """Nobody waits for this call any more."""
        ...


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
        self.calls: dict[str, Call] = {}
        self.micros = claimed.started_at
        self.cancelling = False
        self._args = claimed.args
        self._history = claimed.history
        self._seed = claimed.seed
        self._random: random.Random | None = None
        self._occurrences: dict[str, int] = {}
        self._launcher = launcher
        self._live = False
        self.evicted = False
        self.steps_out = 0
        self.unwritten = 0
        self.transacting = False
        self.deferred: list[Any] = []
        self._written: list[asyncio.Future[None]] = []
        self._evicted_calls = 0
        self._loop: FlowLoop = new_loop(self)
        self.main: FlowTask

    # -- driving it -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Run to where the history ends, then launch what is outstanding.

        Raises:
            HaltingError: it cannot go on with this code.
        """
        args, kwargs = self.workflow.signature.decode(self._args)
        self.main = self._loop.create_task(self.workflow.fn(*args, **kwargs))
        self._loop.settle()
        for position, record in enumerate(self._history, 1):
            self._replay(record, position)
        self._history = ()
        self._live = True
        self.calls = {key: call for key, call in self.calls.items() if not call.abandoned}
        self.steps_out = sum(call.step is not None for call in self.calls.values())
        for call in list(self.calls.values()):
            self._launcher.launch(call)

    def deliver(self, call: Call, record: Record, value: Any) -> None:
        """Hand over one recorded outcome, and run to rest.

        Args:
            value: the decoded result, or the exception that stands for a failure.
        """
        if self.calls.pop(call.key, None) is not None and call.step is not None:
            self.steps_out -= 1
        if record.updated_at > self.micros:
            self.micros = record.updated_at
        future = call.future
        if future is None:
            if call.handle is not None and not call.handle.dropped:
                self._loop.push(call.handle)
        elif not future.done():
            if record.status == StepStatus.SUCCEEDED:
                future.set_result(value)
            else:
                future.set_exception(value)
        self._loop.settle()

    def cancel(self, record: Record) -> None:
        """Deliver a recorded request to cancel (FL-13), and run to rest."""
        self.micros = max(self.micros, record.updated_at)
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

    def take_deferred(self) -> list[Any]:
        """What was held back while a transactional step was on its way."""
        taken, self.deferred = self.deferred, []
        return taken

    def parkable_until(self) -> int | None:
        """When it only waits for timers: micros of the first. ``None`` when something runs for it."""
        if self.steps_out or self.unwritten or not self.calls:
            return None
        return min(call.due for call in self.calls.values())

    def evict(self) -> None:
        """Leave memory: unwind the workflow's coroutines, recording nothing."""
        if self.evicted:
            return
        self.evicted = True
        for call in self.calls.values():
            self._launcher.abandon(call)
        self.calls = {}
        for _ in range(_MAX_EVICTION_ROUNDS):
            tasks = [task for task in self._loop.tasks if not task.done()]
            if not tasks:
                return
            for task in tasks:
                waiting: Any = getattr(task, "_fut_waiter", None)
                if waiting is not None and not waiting.done() and not isinstance(waiting, asyncio.Task):
                    waiting.set_exception(Evicted())
            try:
                self._loop.settle()
            except HaltingError:
                break
        log.error("flow %s (%s) swallows its eviction and stays in memory", self.id, self.workflow.name)
        _unending.append(self)

    def _replay(self, record: Record, position: int) -> None:
        key = record.run_id.rpartition("@")[0]
        if record.task == CANCEL:
            self.cancelling = True
            return self.cancel(record)
        call = self.calls.get(key)
        if call is None:
            waiting = ", ".join(self.calls) or "nothing"
            raise NonDeterminism(f"a call {key}", f"waits for {waiting}", f"record {position}")
        if call.digest != record.digest:
            raise NonDeterminism(f"{key} with other arguments", f"called {key} with these", f"record {position}")
        self.deliver(call, record, outcome(call, record))
        return None

    # -- what the workflow asks for ---------------------------------------------------------------------------

    async def call_step(self, step: Step[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A durable call; issued when it is first awaited, as coroutines are."""
        if self.evicted:
            return await self._evicted_call()
        if kwargs:
            args, kwargs = step.positional(args, kwargs)
        called = (args, kwargs) if kwargs else args
        call = Call(self, step.name, codec.digest(called, what=step.argument, max_bytes=self._launcher.max_bytes))
        call.step = step
        call.args = step.signature.isolate(args)
        call.kwargs = (
            dict(zip(kwargs, step.signature.isolate(tuple(kwargs.values())), strict=True)) if kwargs else kwargs
        )
        future = call.future = asyncio.Future(loop=self._loop)
        self.calls[call.key] = call
        self.steps_out += 1
        if self._live:
            self._launcher.launch(call)
        try:
            return await future
        except asyncio.CancelledError:
            if self._live:
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
        if self._live:
            self._launcher.launch(call)

    def _abandon(self, call: Call) -> None:
        """A live call nobody waits for is forgotten, unless its record is on the way already."""
        if self._live and not call.recorded and self.calls.pop(call.key, None) is not None:
            self.steps_out -= call.step is not None
            self._launcher.abandon(call)

    async def _evicted_call(self) -> Any:
        self._evicted_calls += 1
        if self._evicted_calls > _MAX_EVICTED_CALLS:
            await asyncio.Future(loop=self._loop)
        raise Evicted

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


def outcome(call: Call, record: Record) -> Any:
    """What the caller of a step sees for ``record``: the decoded value, or an exception (FL-10)."""
    if call.step is None:
        return None
    if record.status == StepStatus.SUCCEEDED:
        return codec.decode(record.result or "null", call.step.signature.result, what=call.step.outcome)
    return failure(call.step, codec.decode(record.error or "{}"))


def failure(step: Step[..., Any], error: dict[str, Any]) -> Exception:
    """A recorded failure as the workflow sees it: a declared type as itself, anything else as ``StepFailed``."""
    declared: Callable[..., Exception] | None = step.raises.get(error.get("kind", ""))
    if declared is not None and "args" in error:
        return declared(*error["args"])
    return StepFailed(f"The step {step.name}", error.get("kind", ""), error.get("detail", ""), error.get("trace", ""))


def cancel_record(run: FlowRun, at: int) -> Record:
    """A request to cancel, at its place in the history."""
    return Record(run.num, f"{CANCEL}#1@{run.attempt}", CANCEL, StepStatus.SUCCEEDED, 1, 0, None, None, at, at)
