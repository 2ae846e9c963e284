"""The event loop of one flow.

Each flow has a loop of its own, stepped by the worker, so that *rest* is exact: the ready queue is empty. Nothing
here touches the outside world: time is the flow's own (the time of the last record that was delivered), timers
are durable calls, and whatever else a loop can do is refused with :class:`ForeignAwait`.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from typing import Any, Protocol

from holdfast.errors import InvalidInput
from holdfast.flows.errors import ForeignAwait, HaltingError, Restless

MAX_TURNS = 1_000_000


class Timekeeper(Protocol):
    """What the loop asks of the flow it belongs to."""

    num: int

    def loop_time(self) -> float: ...

    def call_step(self, step: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Coroutine[Any, Any, Any]: ...

    def start_timer(self, when: float, handle: Handle) -> None: ...


@contextmanager
def excursion() -> Iterator[None]:
    """Leave the worker's own loop for those of flows. Around a group of strides, not each: to set the running loop
    asks the system for the process id every time."""
    outer = events._get_running_loop()
    try:
        yield
    finally:
        events._set_running_loop(outer)


class Handle:
    """A callback in the ready queue, or of a timer."""

    __slots__ = ("args", "callback", "context", "dropped", "forget")

    def __init__(self, callback: Callable[..., Any], args: tuple[Any, ...], context: Context | None) -> None:
        self.callback = callback
        self.args = args
        self.context = context or copy_context()
        self.dropped = False
        self.forget: Callable[[], None] | None = None

    def cancel(self) -> None:
        if not self.dropped:
            self.dropped = True
            if self.forget is not None:
                self.forget()

    def cancelled(self) -> bool:
        return self.dropped


class _Ordered:
    """Hashes by flow and order of creation, so that the sets asyncio keeps and returns iterate alike on every
    replay (and all the tasks of a process, which asyncio keeps in one set, still differ)."""

    _order: int

    def __hash__(self) -> int:
        return self._order


class FlowFuture(_Ordered, asyncio.Future[Any]):
    def __init__(self, loop: FlowLoop) -> None:
        self._order = loop.next_order()
        super().__init__(loop=loop)


class FlowTask(_Ordered, asyncio.Task[Any]):
    def __init__(
        self, coro: Coroutine[Any, Any, Any], loop: FlowLoop, name: str | None, context: Context | None
    ) -> None:
        self._order = loop.next_order()
        self._log_destroy_pending = False
        super().__init__(coro, loop=loop, name=name, context=context)


class FlowLoop(asyncio.AbstractEventLoop):
    """A minimal loop: a ready queue, durable timers, ordered tasks."""

    def __init__(self, flow: Timekeeper) -> None:
        self.flow = flow
        self.call_step = flow.call_step
        self.tasks: list[FlowTask] = []
        self._ready: deque[Handle] = deque()
        self._orders = hash(flow.num) * MAX_TURNS

    def settle(self) -> None:
        """Run until at rest; to be called within an :func:`excursion`.

        Raises:
            Restless: it does not come to rest.
        """
        ready = self._ready
        events._set_running_loop(self)
        turns = 0
        while ready:
            handle = ready.popleft()
            if not handle.dropped:
                try:
                    handle.context.run(handle.callback, *handle.args)
                except (HaltingError, InvalidInput):
                    raise
                except Exception as error:  # of a callback of the workflow's own; a task keeps its exceptions
                    self.call_exception_handler({"exception": error})
                except (SystemExit, KeyboardInterrupt):
                    pass  # asyncio's tasks keep it as their exception and raise it as well
            turns += 1
            if turns > MAX_TURNS:
                ready.clear()
                raise Restless(f"The workflow went round its event loop {MAX_TURNS:,} times without a pause.")

    def next_order(self) -> int:
        self._orders += 1
        return self._orders

    def push(self, handle: Handle) -> None:
        """Put a timer that fired into the ready queue."""
        self._ready.append(handle)

    # -- what asyncio asks of a loop ------------------------------------------------------------------------

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle:
        handle = Handle(callback, args, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle:
        handle = Handle(callback, args, context)
        self.flow.start_timer(when, handle)
        return handle

    def time(self) -> float:
        return self.flow.loop_time()

    def create_future(self) -> asyncio.Future[Any]:
        return FlowFuture(self)

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> FlowTask:
        task = FlowTask(coro, self, name, context)
        self.tasks.append(task)
        if len(self.tasks) > 64 and len(self.tasks) % 64 == 0:
            self.tasks = [task for task in self.tasks if not task.done()]
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What a task leaves behind unread belongs to the workflow; asyncio's log line would not name the flow."""

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def get_task_factory(self) -> None:
        return None


def _refuse(name: str) -> Callable[..., Any]:
    def refused(self: FlowLoop, *args: Any, **kwargs: Any) -> Any:
        raise ForeignAwait(f"The workflow asked its event loop for {name}(), which is not durable.")

    return refused


_refused = {
    name: _refuse(name)
    for name in dir(asyncio.AbstractEventLoop)
    if not name.startswith("_") and name not in vars(FlowLoop)
}
new_loop: Callable[[Timekeeper], FlowLoop] = type("FlowLoop", (FlowLoop,), _refused)
"""Makes a flow's loop: the class above, with all that it does not offer refused by name."""
