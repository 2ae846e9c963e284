"""What a running step knows about itself."""

from __future__ import annotations

import asyncio
import math
from contextvars import ContextVar
from typing import NamedTuple, Protocol

from holdfast.errors import InvalidInput
from holdfast.text import check_text


class StepContext(NamedTuple):
    """What a running step can know about itself.

    Attributes:
        flow_id: the text of the UUID of the flow it belongs to.
        run_id: unique within the flow.
        attempt: 1 on the first try.
        pulse: through which it reports and hears that it is not wanted any more.
    """

    flow_id: str
    run_id: str
    attempt: int
    pulse: Pulse

    @property
    def idempotency_key(self) -> str:
        """The same on every try of this call, on any worker; hand it to services that deduplicate."""
        return f"{self.flow_id}/{self.run_id}"

    @property
    def cancelled(self) -> bool:
        """Nobody waits for its result any more: the flow was cancelled, or a time-out won (FL-13)."""
        return self.pulse.abandoned

    @property
    def progress(self) -> StepProgress | None:
        """What this call has reported last, perhaps in a process that died: where it may go on."""
        return self.pulse.progress

    def heartbeat(self, done: float = 0, total: float | None = None, note: str | None = None) -> None:
        """Report progress, from any thread; shown by ``holdfast flow show --follow``. Written now and then.

        Args:
            done, total: of any unit; ``total`` may be unknown.
            note: in words, or whatever helps to go on (see :attr:`progress`).

        Raises:
            asyncio.CancelledError: nobody waits for its result any more; let it pass.
            InvalidInput: numbers that make no sense.
        """
        if not (math.isfinite(done) and done >= 0) or (total is not None and not (math.isfinite(total) and total >= 0)):
            raise InvalidInput(f"{done!r} of {total!r} is no progress.", remedy="Use finite numbers of 0 or more.")
        if self.pulse.abandoned:
            raise asyncio.CancelledError("the step is not waited for any more")
        check_text(note or "", "note")
        self.pulse.beat(StepProgress(done, total, note))


class StepProgress(NamedTuple):
    """How far a step says it is: ``done`` of ``total`` (of any unit, or unknown), in words."""

    done: float
    total: float | None
    note: str | None


class Pulse(Protocol):
    """A running call, as its step sees it."""

    progress: StepProgress | None

    @property
    def abandoned(self) -> bool: ...

    def beat(self, progress: StepProgress) -> None: ...


step_context: ContextVar[StepContext | None] = ContextVar("holdfast_step", default=None)


def current_step() -> StepContext:
    """The context of the step that is running.

    Raises:
        InvalidInput: no step is running here.
    """
    found = step_context.get()
    if found is None:
        raise InvalidInput("No step is running here.", remedy="Call current_step() inside a step of a flow.")
    return found
