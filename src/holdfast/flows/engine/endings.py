"""How a workflow function's end is written down."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from holdfast import codec
from holdfast.errors import InvalidInput
from holdfast.flows.engine.port import Ending
from holdfast.flows.engine.run import FlowRun
from holdfast.flows.errors import ContinueAsNew, ForeignAwait, HaltingError
from holdfast.flows.model import FlowStatus, describe, trace


def ending_of(run: FlowRun, at: int, max_bytes: int) -> Ending:
    """How the workflow function ended.

    Raises:
        HaltingError, InvalidInput: in a way that a change of code mends: the flow is held rather than failed.
    """
    if run.main.cancelled():
        if run.cancelling:
            return Ending(run.num, FlowStatus.CANCELLED, None, None, at, run.tied)
        error: BaseException | None = asyncio.CancelledError("the workflow cancelled itself")
    else:
        error = run.main.exception()
    if error is None:
        what = f"The result of {run.workflow.name}"
        result = codec.encode(run.main.result(), what=what, max_bytes=max_bytes)
        codec.decode(result, run.workflow.signature.result, what=what)
        return Ending(run.num, FlowStatus.FINISHED, result, None, at, run.tied)
    for each in _alone(error):
        if isinstance(each, ContinueAsNew):
            return Ending(run.num, FlowStatus.RUNNING, None, None, at, True, each.encoded, run.attempt)
        if isinstance(each, HaltingError | InvalidInput):
            raise each
        if isinstance(each, RuntimeError) and "attached to a different loop" in str(each):
            raise ForeignAwait(f"The workflow awaited something of another event loop: {each}.") from each
    return Ending(run.num, FlowStatus.FAILED, None, codec.encode(describe(error, trace(error))), at, run.tied)


def _alone(error: BaseException) -> Iterator[BaseException]:
    """An exception, or those that a task group has put together."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _alone(each)
    else:
        yield error
