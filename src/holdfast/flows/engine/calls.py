"""The durable calls of a flow: what it asks for, and what it sees of the outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from holdfast import codec
from holdfast.flows.engine.alarms import Entry
from holdfast.flows.engine.loop import Handle
from holdfast.flows.engine.port import Record, Wait
from holdfast.flows.errors import StepFailed
from holdfast.flows.model import StepStatus
from holdfast.flows.requests import Start
from holdfast.flows.step_context import StepProgress
from holdfast.flows.steps import Step

if TYPE_CHECKING:
    from holdfast.flows.engine.run import FlowRun

new_tuple = tuple.__new__
"""Makes a named tuple on the hot path: its own constructor takes three times as long."""


class Call:
    """One durable call that was issued and not delivered yet.

    Attributes:
        key: name and occurrence, its identity in the history.
        digest: of its arguments.
        step, args, kwargs: what to run; ``step`` is ``None`` for anything else.
        due: when a timer fires, micros.
        wait: what to wait for, of a wait.
        birth: what to start, of a child's start.
        reads: makes of its record what the workflow sees; steps and timers know by themselves.
        future: what the workflow awaits; for a timer the handle stands in.
        recorded: its record is on the way to the store.
        answered: the number of its wait, once that was registered.
        held: not launched, since its flow is about to pause.
        progress, reported: what its step has reported.
        task: the worker's task that runs it.
    """

    __slots__ = (
        "alarm", "answered", "args", "birth", "digest", "due", "future", "handle", "held", "key", "kwargs", "name",
        "progress", "reads", "recorded", "reported", "run", "run_id", "step", "task", "wait",
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
        self.wait: Wait | None = None
        self.birth: Start | None = None
        self.reads: Callable[[Record], Any] | None = None
        self.answered: int | None = None
        self.held = False
        self.progress: StepProgress | None = None
        self.reported = False

    def beat(self, progress: StepProgress) -> None:
        """What its step reports; from any thread."""
        self.progress = progress
        self.run.report(self)

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
        """Run a step, wait for a timer, register a wait, start a child."""
        ...

    def abandon(self, call: Call) -> None:
        """Nobody waits for this call any more."""
        ...

    def publish(self, run: FlowRun) -> None:
        """The flow's state has changed."""
        ...

    def report(self, call: Call) -> None:
        """A step has reported progress; from any thread."""
        ...


def outcome(call: Call, record: Record) -> Any:
    """What the caller of a step sees for ``record``: the decoded value, or an exception (FL-10)."""
    if call.step is None:
        return call.reads(record) if call.reads is not None else None
    if record.status == StepStatus.SUCCEEDED:
        return codec.decode(record.result or "null", call.step.signature.result, what=call.step.outcome)
    return failure(call.step, codec.decode(record.error or "{}"))


def failure(step: Step[..., Any], error: dict[str, Any]) -> Exception:
    """A recorded failure as the workflow sees it: a declared type as itself, anything else as ``StepFailed``."""
    declared: Callable[..., Exception] | None = step.raises.get(error.get("kind", ""))
    if declared is not None and "args" in error:
        return declared(*error["args"])
    return StepFailed(f"The step {step.name}", error.get("kind", ""), error.get("detail", ""), error.get("trace", ""))


def key_of(run_id: str) -> str:
    """What identifies a call in every attempt: name and occurrence."""
    return run_id.rpartition("@")[0]
