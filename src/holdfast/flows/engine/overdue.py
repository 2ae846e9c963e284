"""Timers that have come due in flows that wait for something else as well."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from holdfast.clock import Clock
from holdfast.flows.engine.calls import Call
from holdfast.flows.engine.errands import persist
from holdfast.flows.engine.port import Answer, EnginePort, Record
from holdfast.flows.engine.run import FlowRun
from holdfast.flows.model import StepStatus


class Waiter(Protocol):
    """Who hears of answers and of time that has passed; the floor."""

    def answered(self, run: FlowRun, answer: Answer) -> None: ...

    def completed(self, call: Call, record: Record, value: Any) -> None: ...

    def is_leaving(self, run: FlowRun) -> bool: ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None: ...


class Overdue:
    """Lets time pass in flows: before it goes on in one that waits, that flow gets what has come for it so far. An
    answer that was given in time wins over a time-out (FL-12).

    Args:
        floor: hears of it.
        port: the engine's way to the store.
        clock: stamps the timers' records.
    """

    def __init__(self, floor: Waiter, port: EnginePort, clock: Clock) -> None:
        self._floor = floor
        self._port = port
        self._clock = clock

    def fire(self, call: Call) -> None:
        """A timer is due."""
        run = call.run
        if call.abandoned or self._floor.is_leaving(run):
            return
        run.overdue.append(call)
        if run.registering or run.waiting:
            self.look(run)
        else:
            self._pass(run)

    def look(self, run: FlowRun) -> None:
        """See what has come for a flow with timers that are due, unless that is under way."""
        if run.overdue and not run.registering and not run.looking:
            run.looking = True
            self._floor.spawn(self._look_and_pass(run))

    async def _look_and_pass(self, run: FlowRun) -> None:
        answers = await persist(lambda: self._port.standing(run.num))
        run.looking = False
        if not run.evicted:
            for answer in answers:
                self._floor.answered(run, answer)
            if not run.registering:
                self._pass(run)

    def _pass(self, run: FlowRun) -> None:
        if self._floor.is_leaving(run):
            return
        now = self._clock.micros()
        for call in run.take_overdue():
            self._floor.completed(call, call.record(StepStatus.SUCCEEDED, None, None, 1, now, now), None)
