"""A handle to a flow: wait for it, look at it, end it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from datetime import timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

from holdfast import codec
from holdfast.app.controls import Controls
from holdfast.flows import Flow, manager
from holdfast.flows.durations import seconds
from holdfast.flows.errors import FlowCancelled, FlowFailed, FlowHalted, ResultPending, UseAwait
from holdfast.flows.outcomes import Outcome
from holdfast.store import Unit

R = TypeVar("R")


class Handle(Generic[R]):
    """A flow that was started: ``handle.result()``, or ``await handle``.

    Attributes:
        id: the flow's UUID.
    """

    def __init__(self, hf: Controls, flow_id: UUID, kind: Any, *, known: bool = True) -> None:
        self.id = flow_id
        self._known = known
        self._hf = hf
        self._kind = kind

    def flow(self) -> Flow:
        """The flow's record as it is now.

        Raises:
            FlowNotFound: it was pruned.
        """
        return self._hf.store.read(lambda tx: manager.present(tx, self.id))

    def state(self) -> dict[str, Any]:
        """What the flow publishes about itself: see :func:`holdfast.update_state`.

        Raises:
            FlowNotFound: it was pruned.
        """
        return self.flow().state

    def result(self, timeout: float | timedelta | None = None) -> R:
        """Wait for the flow's result.

        Args:
            timeout: seconds or timedelta; ``None`` waits for as long as it takes.

        Raises:
            FlowFailed, FlowCancelled, FlowHalted: it did not get there.
            FlowNotFound: there is no such flow.
            ResultPending: not within ``timeout``.
            UseAwait: called on the event loop that has to do the work.
            NestedUnit: called inside a unit of work.
        """
        self._refuse_own_loop()
        self._hf.store.refuse_nested()
        limit = None if timeout is None else seconds(timeout, "A time-out")
        if not self._known:
            self._known = bool(self.flow())
        done = threading.Event()
        unit = Unit(no_work, lambda unit: done.set())
        self._hf._outcomes.wait(str(self.id), unit)
        if not done.wait(limit):
            self._hf._outcomes.forget(str(self.id), unit)
            raise ResultPending(f"The flow {self.id} has not ended after {limit:g} s.")
        return self._read(unit)

    def __await__(self) -> Generator[Any, Any, R]:
        return self._wait().__await__()

    async def _wait(self) -> R:
        if not self._known:
            self._known = bool(await self._hf.store.aread(lambda tx: manager.present(tx, self.id)))
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        unit = Unit(no_work, lambda unit: _resolve(future), loop=future.get_loop())
        self._hf._outcomes.wait(str(self.id), unit)
        try:
            await future
        except asyncio.CancelledError:
            self._hf._outcomes.forget(str(self.id), unit)
            raise
        return self._read(unit)

    def cancel(self) -> Flow:
        """Ask the flow to end."""
        return self._hf.cancel(self.id)

    def _refuse_own_loop(self) -> None:
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            return
        if running is self._hf._loop:
            raise UseAwait("result() would block the event loop on which the worker runs.")

    def _read(self, unit: Unit) -> R:
        if unit.error is not None:
            raise unit.error
        outcome: Outcome = unit.result
        if outcome.status == "finished":
            what = f"The result of the flow {self.id}"
            return codec.decode(outcome.result or "null", self._kind, what=what)  # type: ignore[no-any-return]
        if outcome.status == "cancelled":
            raise FlowCancelled(self.id)
        error = codec.decode(outcome.error or "{}")
        told = (f"The flow {self.id}", error.get("kind", ""), error.get("detail", ""), error.get("trace", ""))
        if outcome.status == "halted":
            raise FlowHalted(*told, remedy=error.get("remedy"))
        raise FlowFailed(*told)

    def __repr__(self) -> str:
        return f"<handle of flow {self.id}>"


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def no_work(tx: Any) -> None:
    """Outcomes and starts are answered through units that run nothing themselves."""
