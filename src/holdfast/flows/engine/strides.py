"""Coroutines of steps, run stride by stride: from one suspension to the next."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any

from holdfast.flows.step_context import StepContext, step_context


class Strides:
    """The strides of a coroutine, each run in a context of its own, within the task that awaits them.

    Attributes:
        context: what the step's context variables live in.
        ended: whether it returned, with ``value``, in its first stride.
    """

    __slots__ = ("_coroutine", "_error", "_waiting", "context", "ended", "value")

    def __init__(self, context: Context, about: StepContext) -> None:
        self.context = context
        self.ended = False
        self.value: Any = None
        self._coroutine: Coroutine[Any, Any, Any]
        self._error: BaseException | None = None
        self._waiting: Any = None
        context.run(step_context.set, about)

    def begin(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Take the first stride."""
        try:
            self._coroutine = fn(*args, **kwargs)
            self._waiting = self.context.run(self._coroutine.send, None)
        except StopIteration as stop:
            self.ended, self.value = True, stop.value
        except BaseException as error:
            self._error = error

    def __await__(self) -> Generator[Any, Any, Any]:
        if self._error is not None:
            raise self._error
        if self.ended:
            return self.value
        run, send, throw, waiting = self.context.run, self._coroutine.send, self._coroutine.throw, self._waiting
        try:
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
