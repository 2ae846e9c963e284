"""What a workflow may wait for besides steps and time: events, signals, approvals (FL-12); and what it says of itself.

Each is a durable call: a wait has an id of its own, its answer is recorded like a step's result, and a flow that waits
for nothing else leaves memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any, TypeVar, overload

from holdfast import codec
from holdfast.clock import MICROS_PER_SECOND
from holdfast.errors import InvalidInput
from holdfast.flows.ambient import current_flow
from holdfast.flows.durations import seconds
from holdfast.flows.engine.calls import Call
from holdfast.flows.engine.port import Wait
from holdfast.flows.engine.run import FlowRun
from holdfast.flows.errors import ContinueAsNew, WaitTimedOut
from holdfast.flows.inbox.model import Decision, check_name
from holdfast.flows.names import APPROVAL, EVENT, SIGNAL
from holdfast.flows.reading import reading
from holdfast.flows.workflows import Workflow

T = TypeVar("T")
_LEAST_SECONDS = 0.001
"""A time-out of nothing still lets what is in the inbox come."""


@overload
async def wait_for_event(
    topic: str, correlation_id: str, *, timeout: float | timedelta | None = None, type: type[T]
) -> T: ...
@overload
async def wait_for_event(
    topic: str, correlation_id: str, *, timeout: float | timedelta | None = None, type: Any = Any
) -> Any: ...
async def wait_for_event(
    topic: str, correlation_id: str, *, timeout: float | timedelta | None = None, type: Any = Any
) -> Any:
    """Wait for an event that somebody sends with ``hf.emit(topic, correlation_id, payload)``, before or after this.

    Each event goes to one wait, the oldest; one that came before its wait was kept.

    Args:
        topic: what it is about, e.g. ``"shipped"``.
        correlation_id: what it belongs to, e.g. the order's id.
        timeout: seconds or timedelta.
        type: what the payload is read as.

    Raises:
        WaitTimedOut: nothing came within ``timeout``.
        InvalidInput: a topic or correlation id that cannot be; called outside a workflow.
    """
    check_name(topic, "a topic")
    check_name(correlation_id, "a correlation id")
    limit = _limit(timeout)
    waiting = _wait(EVENT, topic, correlation_id, type)
    return await _within(waiting, limit, f"No event {topic!r} came for {correlation_id!r}")


async def wait_for_signal(name: str, *, timeout: float | timedelta | None = None, type: Any = Any) -> Any:
    """Wait for a signal that somebody sends to this very flow with ``hf.signal(flow_id, name, payload)``.

    Args, Raises: as :func:`wait_for_event`.
    """
    check_name(name, "a signal's name")
    flow = required_flow("wait_for_signal()")
    limit = _limit(timeout)
    return await _within(_wait(SIGNAL, name, flow.id, type), limit, f"No signal {name!r} came")


async def approval(
    name: str,
    what: Any = None,
    *,
    approvers: Sequence[str] = (),
    timeout: float | timedelta | None = None,
) -> Decision:
    """Ask people for leave, and wait for their answer: ``hf.approve(id)``, ``hf.reject(id)``, ``holdfast approval``.

    The request is durable and names what it is about by a digest, so that nobody approves something else.

    Args:
        name: in short.
        what: any JSON value: what is to be approved.
        approvers: who may answer; anybody where it is empty.
        timeout: seconds or timedelta after which no answer is taken any more.

    Raises:
        WaitTimedOut: nobody answered in time.
        InvalidInput: a name that cannot be; called outside a workflow.
        NotSerialisable, PayloadTooLarge: ``what`` cannot be written.
    """
    check_name(name, "an approval's name")
    flow = required_flow("approval()")
    if isinstance(approvers, str):
        raise InvalidInput(f"The approvers are {approvers!r}, one text.", remedy=f"Pass a list: [{approvers!r}].")
    for each in approvers:
        check_name(each, "an approver's name")
    text, digest = codec.encode_canonical(what, what="What is to be approved", max_bytes=flow.max_bytes)
    limit = _limit(timeout)
    body = sha256(text.encode()).hexdigest()

    def prepare(call: Call) -> None:
        terms = {"what": what, "digest": body, "approvers": list(approvers), "asked_at": flow.micros}
        expires = None if limit is None else flow.micros + round(limit * MICROS_PER_SECOND)
        call.wait = Wait(flow.num, call.run_id, "approval", name, "", codec.encode(terms), expires)
        call.reads = reading(Decision, f"The answer to {name}")

    waiting = flow.ask(APPROVAL + name, codec.digest([digest, list(approvers), limit]), prepare)
    return await _within(waiting, limit, f"Nobody answered {name!r}")  # type: ignore[no-any-return]


def _wait(prefix: str, topic: str, correlation: str, kind: Any) -> Awaitable[Any]:
    flow = required_flow("A wait")

    def prepare(call: Call) -> None:
        call.wait = Wait(flow.num, call.run_id, prefix[:-1], topic, correlation)
        call.reads = reading(kind, f"The payload of {topic}")

    digest = codec.digest(None if prefix == SIGNAL else correlation)  # a fork has another id of its own
    return flow.ask(prefix + topic, digest, prepare)


def _limit(timeout: float | timedelta | None) -> float | None:
    return None if timeout is None else seconds(timeout, "A time-out")


async def _within(waiting: Awaitable[Any], limit: float | None, what: str) -> Any:
    if limit is None:
        return await waiting
    try:
        async with asyncio.timeout(max(limit, _LEAST_SECONDS)) as scope:
            return await waiting
    except TimeoutError:
        if scope.expired():
            raise WaitTimedOut(f"{what} within {limit:g} s.") from None
        raise


# -- what a workflow says of itself ---------------------------------------------------------------------------------


def state() -> dict[str, Any]:
    """What this flow has published: a copy. A rewind's patch is in it from the point to which the flow was rewound.

    Raises:
        InvalidInput: called outside a workflow.
    """
    return codec.decode(codec.encode(required_flow("state()").state))  # type: ignore[no-any-return]


def update_state(patch: dict[str, Any]) -> None:
    """Change what this flow publishes, for ``hf.query(flow_id)`` and ``holdfast flow show`` (FL-15).

    Args:
        patch: a merge patch (RFC 7396): objects are merged, ``None`` removes, all else replaces.

    Raises:
        InvalidPatch: it is no object.
        NotSerialisable, PayloadTooLarge: it cannot be written.
        InvalidInput: called outside a workflow.
    """
    required_flow("update_state()").patch_state(patch)


def continue_as_new(workflow: Workflow[..., Any], /, *args: Any, **kwargs: Any) -> None:
    """End this run of the flow and begin it anew with these arguments and an empty history: for flows without end.

    The flow keeps its id, key, tags and published state; signals that came meanwhile are kept for it. Does not return.

    Args:
        workflow: the workflow itself; a flow stays of its type.

    Raises:
        InvalidInput: another workflow, or called outside one.
        InvalidArguments, NotSerialisable, PayloadTooLarge: the arguments do not fit.
    """
    flow = required_flow("continue_as_new()")
    if workflow is not flow.workflow:
        raise InvalidInput(
            f"A flow of {flow.workflow.name} cannot go on as {workflow.name}.",
            remedy="Start the other one as a child, or from a step.",
        )
    encoded, _ = workflow.signature.encode(args, kwargs, flow.max_bytes)
    raise ContinueAsNew(encoded)


# -- for higher floors ----------------------------------------------------------------------------------------------


def before_live(act: Callable[[], object]) -> None:
    """Have ``act`` run in a thread after each replay of this flow, before any of its outstanding calls is launched."""
    required_flow("before_live()").gate(act)


def mark_tied() -> None:
    """Have the followers of :mod:`holdfast.flows.settling` told of this flow's end."""
    required_flow("mark_tied()").tied = True


def required_flow(what: str) -> FlowRun:
    """The flow whose workflow function is running here.

    Raises:
        InvalidInput: none is.
    """
    flow = current_flow()
    if flow is None:
        raise InvalidInput(f"{what} belongs into a workflow.", remedy="Call it in an @workflow, not in a step.")
    return flow
