"""Attempts of steps, on the worker's own event loop, in threads, or in a transaction.

Most steps end without ever suspending, so they do not get a task each: a *runner* task works through the queue
and is replaced by another one only when the step in its hands suspends. Inside a step everything is as in any
asyncio task; each step has a context of its own.
"""

from __future__ import annotations

import asyncio
import random
import traceback
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import Any, Protocol

from holdfast import codec
from holdfast.clock import Clock
from holdfast.errors import HoldfastError, InvalidInput
from holdfast.flows.definitions import Step, StepContext, step_context
from holdfast.flows.engine.port import Record
from holdfast.flows.engine.run import Call, failure, outcome
from holdfast.flows.model import StepStatus, describe
from holdfast.store import Transaction

_TRACE_LINES = 20


class Reporter(Protocol):
    """Who hears how attempts went."""

    def completed(self, call: Call, record: Record, value: Any) -> None: ...

    def unrecordable(self, call: Call, error: HoldfastError) -> None: ...

    async def transact(self, call: Call, work: Callable[[Transaction], Record]) -> None: ...

    async def may_start(self, call: Call) -> None: ...

    async def pause(self, seconds: float) -> None: ...


class Attempts:
    """Runs steps for a worker.

    Args:
        reporter: hears the outcomes.
        clock: stamps them.
        max_bytes: size limit of a result.
        threads: for ``def`` steps.
    """

    def __init__(self, reporter: Reporter, clock: Clock, max_bytes: int, threads: int) -> None:
        self.active = 0
        self._reporter = reporter
        self._clock = clock
        self._max_bytes = max_bytes
        self._queue: deque[Call] = deque()
        self._relief = False
        self._runners: set[asyncio.Task[None]] = set()
        self._context = copy_context()
        self._loop = asyncio.get_running_loop()  # the worker's: a flow's own is running when it launches
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="holdfast-step")

    def launch(self, call: Call) -> None:
        """Queue a call."""
        self._queue.append(call)
        self._call_relief()

    def abandon(self, call: Call) -> None:
        """Stop a call nobody waits for, as far as it can be stopped."""
        if call.task is not None:
            call.task.cancel()

    def close(self) -> None:
        """Let the threads end when their steps do."""
        self._queue.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _call_relief(self) -> None:
        if not self._relief:
            self._relief = True
            self._loop.call_soon(self._relieve)

    def _relieve(self) -> None:
        self._relief = False
        if self._queue:
            runner = self._loop.create_task(self._run(), context=self._context.copy())
            self._runners.add(runner)
            runner.add_done_callback(self._runners.discard)

    async def _run(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        while self._queue:
            call = self._queue.popleft()
            if call.abandoned:
                continue
            if self._queue:
                self._call_relief()  # who takes the rest, should this step suspend
            call.task = task
            self.active += 1
            try:
                await self._settle(call)
            except asyncio.CancelledError:
                task.uncancel()
            finally:
                call.task = None
                self.active -= 1

    async def _settle(self, call: Call) -> None:
        """Try until the call has an outcome that can be recorded."""
        step = call.step
        assert step is not None
        await self._reporter.may_start(call)
        began, tries = self._clock.micros(), 0
        while True:
            tries += 1
            try:
                await self._attempt(call, step, tries, began)
                return
            except asyncio.CancelledError as error:
                if call.abandoned:
                    raise
                problem: BaseException = error
            except InvalidInput as error:
                if isinstance(error, _Unrecordable):
                    return self._reporter.unrecordable(call, error.cause)
                problem = error
            except (Exception, SystemExit) as error:
                problem = error
            if tries > step.retries:
                return self._failed(call, step, problem, tries, began)
            await self._reporter.pause(backoff(step, tries))

    async def _attempt(self, call: Call, step: Step[..., Any], tries: int, began: int) -> None:
        context = self._context.copy()
        context.run(step_context.set, StepContext(call.run.id, call.run_id, tries))
        if step.transactional:
            return await self._reporter.transact(call, self._transaction(call, step, context, tries, began))
        if step.timeout is None:
            value = await self._invoke(call, step, context)
        else:
            try:
                async with asyncio.timeout(step.timeout) as limit:
                    value = await self._invoke(call, step, context)
            except TimeoutError:
                if limit.expired():
                    raise TimeoutError(f"the attempt took over {step.timeout:g} s") from None
                raise
        record = self._succeeded(call, value, tries, began)
        return self._reporter.completed(call, record, self._decoded(call, record))

    async def _invoke(self, call: Call, step: Step[..., Any], context: Context) -> Any:
        if step.asynchronous:
            return await InContext(step.fn(*call.args, **call.kwargs), context)
        return await self._loop.run_in_executor(
            self._pool, lambda: context.run(step.fn, *call.args, **call.kwargs)
        )

    def _transaction(
        self, call: Call, step: Step[..., Any], context: Context, tries: int, began: int
    ) -> Callable[[Transaction], Record]:
        def work(tx: Transaction) -> Record:
            record = self._succeeded(call, context.copy().run(step.fn, tx, *call.args, **call.kwargs), tries, began)
            self._decoded(call, record)
            return record

        return work

    def _succeeded(self, call: Call, value: Any, tries: int, began: int) -> Record:
        try:
            result = codec.encode(value, what=f"The result of {call.name}", max_bytes=self._max_bytes)
        except InvalidInput as error:
            raise _Unrecordable(error) from error
        return call.record(StepStatus.SUCCEEDED, result, None, tries, began, self._clock.micros())

    def _decoded(self, call: Call, record: Record) -> Any:
        """What the caller will see is what a replay would give it."""
        try:
            return outcome(call, record)
        except InvalidInput as error:
            raise _Unrecordable(error) from error

    def _failed(self, call: Call, step: Step[..., Any], error: BaseException, tries: int, began: int) -> None:
        lines = traceback.format_exception(type(error), error, error.__traceback__, limit=-_TRACE_LINES)
        described = describe(error, "".join(lines))
        if type(error) in step.raises.values() and _rebuilds(step, error):
            described["args"] = list(error.args)
        text = codec.encode(described)
        record = call.record(StepStatus.FAILED, None, text, tries, began, self._clock.micros())
        self._reporter.completed(call, record, failure(step, codec.decode(text)))


class _Unrecordable(InvalidInput):
    """The step ran, but its result cannot be recorded: no retry would mend that."""

    def __init__(self, cause: HoldfastError) -> None:
        super().__init__(cause.message)
        self.cause = cause


class InContext:
    """Awaits a coroutine with each of its strides run in ``context``, within the task that awaits."""

    __slots__ = ("_context", "_coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], context: Context) -> None:
        self._coroutine = coroutine
        self._context = context

    def __await__(self) -> Generator[Any, Any, Any]:
        run, send, throw = self._context.run, self._coroutine.send, self._coroutine.throw
        try:
            waiting = run(send, None)
            while True:
                try:
                    sent = yield waiting
                except GeneratorExit:
                    run(self._coroutine.close)
                    raise
                except BaseException as error:
                    waiting = run(throw, error)
                else:
                    waiting = run(send, sent)
        except StopIteration as stop:
            return stop.value


def backoff(step: Step[..., Any], tries: int) -> float:
    """Seconds before the next attempt: exponential, with full jitter (Brooker, "Exponential Backoff And Jitter")."""
    return random.uniform(0, min(step.max_backoff, step.backoff * 2.0 ** min(tries - 1, 60)))


def _rebuilds(step: Step[..., Any], error: BaseException) -> bool:
    """Whether a declared exception comes back as itself from its arguments as JSON."""
    try:
        args = codec.decode(codec.encode(list(error.args)))
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        return isinstance(failure(step, {"kind": kind, "args": args}), type(error))
    except Exception:
        return False
