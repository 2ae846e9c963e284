"""Why a flow cannot go back, each with its remedy."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from holdfast.errors import Conflict, InvalidInput, NotFound


class FlowRunning(Conflict):
    """A worker holds the flow: what it does now could not be undone with the rest (FL-16).

    Attributes:
        epoch: the worker epoch that holds it.
    """

    code = "flow_running"
    remedy = "Pause it first, until its worker has given it up; `hf.rewind` and `holdfast flow rewind` do so."

    def __init__(self, flow_id: UUID, epoch: int, *, running: Sequence[str] = (), waited: float | None = None) -> None:
        told = f"The flow {flow_id} runs on the worker epoch {epoch}"
        if waited is not None:
            told += f", which has not given it up within {waited:g} s"
        if running:
            told += f"; still running: {', '.join(running)}"
        remedy = None if waited is None else "Wait for the step to end, or give it more time: timeout=…"
        super().__init__(f"{told}.", remedy=remedy)
        self.flow_id = flow_id
        self.epoch = epoch
        self.running = tuple(running)


class NoSuchStep(NotFound):
    """The flow's history has no such position or record, or a rewind has undone it (FL-16)."""

    code = "no_such_step"

    def __init__(self, flow_id: UUID, wanted: object, count: int, names: Sequence[str] = ()) -> None:
        super().__init__(f"The history of the flow {flow_id} has no {wanted!r}.")
        others = f", or the name of a checkpoint: {', '.join(names)}" if names else ""
        self.remedy = (
            f"Give a position from 0 to {count}, or the run id of a record that is kept{others}; "
            "`holdfast flow steps` lists them."
        )


class RewindBeyondEnd(InvalidInput):
    """There are not so many records (FL-16).

    Attributes:
        wanted: the position that was asked for.
        count: how many records there are.
    """

    code = "rewind_beyond_end"
    remedy = "Give a position within the history; `holdfast flow steps` lists them."

    def __init__(self, flow_id: UUID, wanted: int, count: int) -> None:
        super().__init__(f"The flow {flow_id} has {count:,} records: there is no position {wanted:,}.")
        self.wanted = wanted
        self.count = count


class NothingToRetry(Conflict):
    """Only a failed or cancelled flow is tried again."""

    code = "nothing_to_retry"
    remedy = "A halted or paused flow goes on by `holdfast flow resume`, a finished one by `holdfast flow rewind`."

    def __init__(self, flow_id: UUID, status: str) -> None:
        super().__init__(f"The flow {flow_id} is {status}: there is nothing to retry.")


class PlaceTaken(Conflict):
    """The flow has ended, and another one has taken its deduplication key since."""

    code = "place_taken"
    remedy = "Wait for that flow to end, or cancel it; or fork this one: a fork has no deduplication key."

    def __init__(self, flow_id: UUID, queue: str, dedupe: str, holder: str) -> None:
        super().__init__(
            f"The flow {flow_id} cannot be live again: {holder} has its deduplication key {dedupe!r} in {queue!r}."
        )
        self.holder = holder
