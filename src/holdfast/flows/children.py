"""Flows that a workflow starts: its children."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid5

from holdfast import codec
from holdfast.errors import InvalidInput
from holdfast.flows.engine.calls import Call
from holdfast.flows.engine.port import Wait
from holdfast.flows.errors import FlowCancelled, FlowFailed, StartRefused
from holdfast.flows.names import CHILD, START
from holdfast.flows.reading import reading
from holdfast.flows.requests import StartOptions, check_named, make_start
from holdfast.flows.waiting import required_flow
from holdfast.flows.workflows import Workflow

R = TypeVar("R")
CLOSE = ("cancel", "abandon")
_CANCELLED = f"{FlowCancelled.__module__}.{FlowCancelled.__qualname__}"


class Child(Generic[R]):
    """A flow that this workflow has started: ``await child`` gives its result.

    Attributes:
        id: the flow's UUID.
    """

    def __init__(self, flow_id: UUID, workflow: Workflow[..., R]) -> None:
        self.id = flow_id
        self._workflow = workflow

    def __await__(self) -> Generator[Any, Any, R]:
        return self._result().__await__()

    async def _result(self) -> R:
        flow = required_flow("Awaiting a child")
        name, subject = self._workflow.name, f"The child {self.id}"

        def failed(error: dict[str, Any]) -> Exception:
            if error.get("kind") == _CANCELLED:
                return FlowCancelled(self.id)
            return FlowFailed(subject, error.get("kind", ""), error.get("detail", ""), error.get("trace", ""))

        def prepare(call: Call) -> None:
            call.wait = Wait(flow.num, call.run_id, "child", "", str(self.id))
            call.reads = reading(self._workflow.signature.result, f"The result of {name}", failed)

        return await flow.ask(CHILD + name, 0, prepare)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<child {self.id} ({self._workflow.name})>"


async def start_child(
    workflow: Workflow[..., R],
    /,
    *args: Any,
    id: UUID | str | None = None,
    key: str | None = None,
    goal: str = "",
    tags: Mapping[str, str] | None = None,
    queue: str | None = None,
    queue_key: str = "",
    priority: int = 0,
    delay: float | timedelta | None = None,
    at: datetime | None = None,
    parent_close: str = "cancel",
    **kwargs: Any,
) -> Child[R]:
    """Start a flow of ``workflow`` as this flow's child; it exists once this returns. ``await child`` parks this flow
    until the child has ended.

    Args:
        args, kwargs: the workflow's arguments.
        id, key: as for ``hf.start``; by default the id follows from the parent's and the place in its history.
        goal, tags, queue, queue_key, priority, delay, at: as for ``hf.start``.
        parent_close: what becomes of the child if this flow ends first: ``cancel`` or ``abandon`` (FL-13).

    Raises:
        StartRefused: the id belongs to another flow, to this one or one of its parents; there is no such queue.
        InvalidArguments, InvalidInput, NotSerialisable, PayloadTooLarge: it cannot be started so.
    """
    flow = required_flow("start_child()")
    if parent_close not in CLOSE:
        raise InvalidInput(f"{parent_close!r} is no policy.", remedy=f"Use one of {', '.join(CLOSE)}.")
    encoded, digest = workflow.signature.encode(args, kwargs, flow.max_bytes)
    options = StartOptions(
        id=id, key=key, owner=flow.owner, goal=goal, tags=tags or {}, queue=queue, queue_key=queue_key,
        priority=priority, delay=delay, at=at,
    )  # fmt: skip
    check_named(options, workflow.signature.names, len(args))
    make_start(workflow.name, encoded, digest, options)  # what makes no sense is refused here, on every replay alike

    def prepare(call: Call) -> None:
        derived = options if id is not None else replace(options, id=uuid5(UUID(flow.id), call.run_id))
        start = make_start(workflow.name, encoded, digest, derived)
        call.birth = start._replace(
            named=id is not None, parent=flow.num, parent_close=parent_close, depth=flow.depth + 1
        )
        call.reads = reading(UUID, "The child's id", _refused)

    said = codec.digest([workflow.name, digest, None if id is None else str(id), key])
    return Child(await flow.ask(START + workflow.name, said, prepare), workflow)


def _refused(error: dict[str, Any]) -> Exception:
    return StartRefused("The start of a child", error.get("kind", ""), error.get("detail", ""))


async def run_child(workflow: Workflow[..., R], /, *args: Any, **kwargs: Any) -> R:
    """:func:`start_child`, and its result."""
    return await (await start_child(workflow, *args, **kwargs))
