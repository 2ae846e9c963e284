"""Attempts of steps, on the worker's own event loop, in threads, or in a transaction.

Most steps end without ever suspending, so they do not get a task each: a *runner* task works through the queue
and is replaced by another one only when the step in its hands suspends. Inside a step everything is as in any
asyncio task; each step has a context of its own.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Protocol

from holdfast import codec
from holdfast.clock import Clock
from holdfast.errors import HoldfastError, InvalidInput, StoreError
from holdfast.flows.engine.calls import Call, failure, new_tuple, outcome
from holdfast.flows.engine.port import Record, Sealing
from holdfast.flows.engine.strides import Strides
from holdfast.flows.model import StepStatus, describe, trace
from holdfast.flows.step_context import StepContext
from holdfast.flows.steps import Commit, Step
from holdfast.store import Transaction

Written = tuple[Record, Sealing | None]
_MAX_ERROR_BYTES = 1024 * 1024
"""A declared exception whose arguments take more as JSON arrives as ``StepFailed``."""


class Reporter(Protocol):
    """Who hears how attempts went."""

    def completed(self, call: Call, record: Record, value: Any) -> None: ...

    def unrecordable(self, call: Call, error: HoldfastError) -> None: ...

    async def transact(self, call: Call, work: Callable[[Transaction], Written]) -> None: ...

    def may_start(self) -> bool: ...

    async def wait_to_start(self) -> None: ...

    def flush(self) -> None: ...

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
        self._closed = False
        self._reporter = reporter
        self._clock = clock
        self._max_bytes = max_bytes
        self._queue: deque[Call] = deque()
        self._relief = False
        self._resting: asyncio.Future[None] | None = None
        self._runners: set[asyncio.Task[None]] = set()
        self._context = copy_context()
        self._loop = asyncio.get_running_loop()  # the worker's: a flow's own is running when it launches
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="holdfast-step")

    def launch(self, call: Call) -> None:
        """Queue a call."""
        self._queue.append(call)
        if self._resting is not None:
            if not self._resting.done():
                self._resting.set_result(None)
        elif not self._relief:
            self._call_relief()

    @property
    def queued(self) -> bool:
        """Calls wait for their first stride; a flush follows when they had it."""
        return bool(self._queue)

    def urge(self) -> None:
        """Something besides what the queued calls bring is to leave, even if one of them suspends for long."""
        if not self._relief:
            self._call_relief()

    def abandon(self, call: Call) -> None:
        """Stop a call nobody waits for, as far as it can be stopped."""
        if call.task is not None:
            call.task.cancel()

    def close(self) -> None:
        """Let the threads end when their steps do."""
        self._closed = True
        self._queue.clear()
        for runner in self._runners:
            runner.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _call_relief(self) -> None:
        self._relief = True
        self._loop.call_soon(self._relieve)

    def _relieve(self) -> None:
        self._relief = False
        if not self._queue:
            self._reporter.flush()
        else:
            runner = self._loop.create_task(self._run(), context=self._context.copy())
            self._runners.add(runner)
            runner.add_done_callback(self._runners.discard)

    async def _run(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        while True:
            if not self._queue:
                if await self._rest():
                    continue
                return
            call = self._queue.popleft()
            if call.abandoned:
                continue
            if self._queue and not self._relief:
                self._call_relief()  # who takes the rest, should this step suspend
            call.task = task
            self.active += 1
            try:
                began = self._clock.micros()
                first = self._begin(call)
                if first is None or not first.ended or not self._succeed(call, first.value, 1, began):
                    await self._settle(call, first, began)
            except _Unrecordable as error:
                call.task = None
                self._reporter.unrecordable(call, error.cause)
            except asyncio.CancelledError:
                if self._closed:
                    raise
                task.uncancel()
            finally:
                call.task = None
                self.active -= 1

    async def _rest(self) -> bool:
        """Nothing is queued: let what was brought leave, and wait for more, unless another runner waits already."""
        self._reporter.flush()
        if self._resting is not None:
            return False
        self._resting = self._loop.create_future()
        try:
            await self._resting
        finally:
            self._resting = None
        return True

    def _begin(self, call: Call) -> Strides | None:
        """Take the first stride of an ``async def`` step, here and now; most have no second one."""
        step = call.step
        assert step is not None
        if not step.asynchronous or step.timeout is not None or not self._reporter.may_start():
            return None
        strides = Strides(self._context.copy(), new_tuple(StepContext, (call.run.id, call.run_id, 1, call)))
        strides.begin(step.fn, call.args, call.kwargs)
        return strides

    async def _settle(self, call: Call, first: Strides | None, began: int) -> None:
        """Try until the call has an outcome that can be recorded."""
        step = call.step
        assert step is not None
        tries = 0
        while True:
            while first is None and not self._reporter.may_start():
                await self._inactive(self._reporter.wait_to_start())
            tries += 1
            try:
                if step.transactional:
                    await self._reporter.transact(call, self._transaction(call, step, tries, began))
                else:
                    await self._conclude(call, step, await (first or self._attempt(call, step, tries)), tries, began)
                return None
            except asyncio.CancelledError as error:
                if call.abandoned:
                    raise
                problem: BaseException = error
            except _Unrecordable as error:
                call.task = None  # the eviction that follows must not cancel this very task
                return self._reporter.unrecordable(call, error.cause)
            except (KeyboardInterrupt, GeneratorExit):
                raise
            except BaseException as error:
                problem = error.cause if isinstance(error, _Raised) else error
            if tries > step.retries:
                return self._fail(call, step, problem, tries, began)
            first = None
            await self._inactive(self._reporter.pause(backoff(step, tries)))

    async def _inactive(self, pause: Awaitable[None]) -> None:
        """Wait between attempts; a worker that drains does not wait along."""
        self.active -= 1
        try:
            await pause
        finally:
            self.active += 1

    async def _attempt(self, call: Call, step: Step[..., Any], tries: int) -> Any:
        """One try of a step that was not begun yet."""
        about = StepContext(call.run.id, call.run_id, tries, call)
        if step.timeout is None:
            return await self._invoke(call, step, about)
        try:
            async with asyncio.timeout(step.timeout) as limit:
                return await self._invoke(call, step, about)
        except TimeoutError:
            if limit.expired():
                raise TimeoutError(f"the attempt took over {step.timeout:g} s") from None
            raise

    async def _invoke(self, call: Call, step: Step[..., Any], about: StepContext) -> Any:
        strides = Strides(self._context.copy(), about)
        if step.asynchronous:
            strides.begin(step.fn, call.args, call.kwargs)
            return await strides
        return await self._loop.run_in_executor(
            self._pool, lambda: strides.context.run(_carriable, step.fn, *call.args, **call.kwargs)
        )

    async def _conclude(self, call: Call, step: Step[..., Any], value: Any, tries: int, began: int) -> None:
        if step.committing:
            await self._reporter.transact(call, self._sealed(call, value, tries, began))
        else:
            self._succeed(call, value, tries, began)

    def _sealed(self, call: Call, commit: Commit, tries: int, began: int) -> Callable[[Transaction], Written]:
        record = self._succeeded(call, commit.value, tries, began)
        self._decoded(call, record)
        return lambda tx: (record, commit.write)

    def _transaction(
        self, call: Call, step: Step[..., Any], tries: int, began: int
    ) -> Callable[[Transaction], Written]:
        about = StepContext(call.run.id, call.run_id, tries, call)

        def work(tx: Transaction) -> Written:
            strides = Strides(self._context.copy(), about)
            try:
                value = strides.context.run(step.fn, tx, *call.args, **call.kwargs)
            except StoreError as error:
                raise _Raised(error) from error
            record = self._succeeded(call, value, tries, began)
            self._decoded(call, record)
            return record, None

        return work

    def _succeed(self, call: Call, value: Any, tries: int, began: int) -> bool:
        """Report a result; always true.

        Raises:
            _Unrecordable: it cannot be recorded.
        """
        record = self._succeeded(call, value, tries, began)
        self._reporter.completed(call, record, self._decoded(call, record))
        return True

    def _succeeded(self, call: Call, value: Any, tries: int, began: int) -> Record:
        assert call.step is not None
        try:
            result = codec.encode(value, what=call.step.outcome, max_bytes=self._max_bytes)
        except InvalidInput as error:
            raise _Unrecordable(error) from error
        return call.record(StepStatus.SUCCEEDED, result, None, tries, began, self._clock.micros())

    def _decoded(self, call: Call, record: Record) -> Any:
        """What the caller will see is what a replay would give it."""
        try:
            return outcome(call, record)
        except InvalidInput as error:
            raise _Unrecordable(error) from error

    def _fail(self, call: Call, step: Step[..., Any], error: BaseException, tries: int, began: int) -> None:
        described = describe(error, trace(error))
        if type(error) in step.raises.values() and _rebuilds(step, error):
            described["args"] = list(error.args)
        text = codec.encode(described)
        record = call.record(StepStatus.FAILED, None, text, tries, began, self._clock.micros())
        self._reporter.completed(call, record, failure(step, codec.decode(text)))


def _carriable(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call ``fn``; as in a coroutine, a StopIteration becomes a RuntimeError: no future could carry it."""
    try:
        return fn(*args, **kwargs)
    except StopIteration as error:
        raise RuntimeError("the step raised StopIteration") from error


class _Raised(Exception):
    """A transactional step raised a ``StoreError`` of its own: its failure, and no reason to ask the store again."""

    def __init__(self, cause: StoreError) -> None:
        super().__init__(cause.message)
        self.cause = cause


class _Unrecordable(InvalidInput):
    """The step ran, but its result cannot be recorded: no retry would mend that."""

    def __init__(self, cause: HoldfastError) -> None:
        super().__init__(cause.message)
        self.cause = cause


def backoff(step: Step[..., Any], tries: int) -> float:
    """Seconds before the next attempt: exponential, with full jitter (Brooker, "Exponential Backoff And Jitter")."""
    return random.uniform(0, min(step.max_backoff, step.backoff * 2.0 ** min(tries - 1, 60)))


def _rebuilds(step: Step[..., Any], error: BaseException) -> bool:
    """Whether a declared exception comes back as itself from its arguments as JSON."""
    try:
        args = codec.decode(codec.encode(list(error.args), max_bytes=_MAX_ERROR_BYTES))
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        return isinstance(failure(step, {"kind": kind, "args": args}), type(error))
    except Exception:
        return False
