"""Starting flows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from holdfast.app.controls import Controls
from holdfast.app.handle import Handle, no_work
from holdfast.flows.definitions import Workflow
from holdfast.flows.requests import StartOptions, make_start
from holdfast.ids import parse_id
from holdfast.store import Unit
from holdfast.store.units import await_for, wait_for

R = TypeVar("R")


class Starting(Controls):
    """The verbs that start flows, and find those that were started."""

    def start(
        self,
        workflow: Workflow[..., R],
        /,
        *args: Any,
        id: UUID | str | None = None,
        key: str | None = None,
        owner: str = "",
        goal: str = "",
        tags: Mapping[str, str] | None = None,
        queue: str | None = None,
        queue_key: str = "",
        priority: int = 0,
        dedupe: str | None = None,
        delay: float | timedelta | None = None,
        at: datetime | None = None,
        **kwargs: Any,
    ) -> Handle[R]:
        """Start a flow of ``workflow``; once this returns, the flow is durable.

        Starting it again with the same ``id`` or ``key``, workflow and arguments gives the flow that exists (FL-18).

        Args:
            args, kwargs: the workflow's arguments; those that are called like an option go by position.
            id, key, owner, goal, tags, queue, queue_key, priority, dedupe, delay, at: see
                :class:`~holdfast.flows.requests.StartOptions`.

        Raises:
            InvalidArguments, NotSerialisable, PayloadTooLarge: the arguments do not fit the workflow.
            InvalidId: an empty or malformed id or key.
            InvalidInput: an option that makes no sense.
            FlowExists: the id or key belongs to another workflow, or other arguments.
            QueueNotFound: there is no such queue.
            NestedUnit: called inside a unit of work.
            StoreError: it could not be written.
        """
        options = StartOptions(
            id=id, key=key, owner=owner, goal=goal, tags=tags or {}, queue=queue, queue_key=queue_key,
            priority=priority, dedupe=dedupe, delay=delay, at=at,
        )  # fmt: skip
        submit = self._submit_start(workflow, args, kwargs, options)
        flow_id = wait_for(lambda answer: submit(Unit(no_work, answer)), lambda: "a start is being written")
        return Handle(self, UUID(flow_id), workflow.signature.result)

    async def astart(
        self,
        workflow: Workflow[..., R],
        /,
        *args: Any,
        id: UUID | str | None = None,
        key: str | None = None,
        owner: str = "",
        goal: str = "",
        tags: Mapping[str, str] | None = None,
        queue: str | None = None,
        queue_key: str = "",
        priority: int = 0,
        dedupe: str | None = None,
        delay: float | timedelta | None = None,
        at: datetime | None = None,
        **kwargs: Any,
    ) -> Handle[R]:
        """:meth:`start` for coroutines."""
        options = StartOptions(
            id=id, key=key, owner=owner, goal=goal, tags=tags or {}, queue=queue, queue_key=queue_key,
            priority=priority, dedupe=dedupe, delay=delay, at=at,
        )  # fmt: skip
        submit = self._submit_start(workflow, args, kwargs, options)
        loop = asyncio.get_running_loop()
        flow_id = await await_for(lambda answer: submit(Unit(no_work, answer, loop=loop)))
        return Handle(self, UUID(flow_id), workflow.signature.result)

    def _submit_start(
        self, workflow: Workflow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], options: StartOptions
    ) -> Callable[[Unit], None]:
        self.store.refuse_nested()
        if self._registry.get(workflow.name) is not workflow:
            self._registry.add(workflow)
        encoded, digest = workflow.signature.encode(args, kwargs, self._options.max_payload_bytes)
        start = make_start(workflow.name, encoded, digest, options)
        return lambda unit: self._starts.submit(start, unit)

    def handle(self, flow_id: UUID | str) -> Handle[Any]:
        """A handle to a flow that was started before, here or elsewhere.

        Raises:
            InvalidId: malformed.
        """
        return Handle(self, parse_id(flow_id), Any)
