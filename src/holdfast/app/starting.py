"""Starting flows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any, TypeVar, Unpack
from uuid import UUID

from holdfast.app.controls import Controls
from holdfast.app.handle import Handle, no_work
from holdfast.app.verbs import arguments_of
from holdfast.flows.requests import (
    Start,
    StartKeywords,
    StartOptions,
    check_named,
    make_named_start,
    make_start,
    make_starts,
    split_options,
)
from holdfast.flows.starts import insert_all
from holdfast.flows.workflows import Workflow
from holdfast.ids import parse_id
from holdfast.packages.arguments import check_arguments
from holdfast.store import Transaction, Unit
from holdfast.store.units import await_for, wait_for

R = TypeVar("R")
GROUP = 1000
"""So many of many flows are started with one commit."""
AHEAD = 2
"""So many groups are on their way at most, so that the database never waits for the next one."""


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

    def start_named(
        self, name: str, arguments: Mapping[str, Any] | None = None, **options: Unpack[StartKeywords]
    ) -> Handle[Any]:
        """Start a flow of a workflow that this process does not have: one of a package, by its name.

        Args:
            name: the workflow type.
            arguments: by name, of JSON types; what they hold is checked where the workflow is.
            options: see :class:`~holdfast.flows.requests.StartOptions`.

        Raises:
            ArgumentsUnfit: the version that the type is routed to has not these parameters.
            InvalidInput, FlowExists, QueueNotFound, NestedUnit, StoreError: as :meth:`start`.
        """
        self.store.refuse_nested()
        given = arguments or {}
        start = make_named_start(name, given, StartOptions(**options), self._options.max_payload_bytes)
        self.store.read(lambda tx: check_arguments(tx, name, given))
        flow_id = wait_for(
            lambda answer: self._starts.submit(start, Unit(no_work, answer)), lambda: "a start is being written"
        )
        return Handle(self, UUID(flow_id), Any)

    @arguments_of(start)
    async def astart(self, workflow: Workflow[..., Any], /, *args: Any, **named: Any) -> Handle[Any]:
        """:meth:`start` for coroutines."""
        options, kwargs = split_options(named)
        submit = self._submit_start(workflow, args, kwargs, options)
        loop = asyncio.get_running_loop()
        flow_id = await await_for(lambda answer: submit(Unit(no_work, answer, loop=loop)))
        return Handle(self, UUID(flow_id), workflow.signature.result)

    def start_many(
        self,
        workflow: Workflow[..., R],
        calls: Iterable[Any],
        /,
        *,
        keys: Iterable[str] | None = None,
        owner: str = "",
        goal: str = "",
        tags: Mapping[str, str] | None = None,
        queue: str | None = None,
        queue_key: str | Callable[..., str] = "",
        priority: int = 0,
        delay: float | timedelta | None = None,
        at: datetime | None = None,
        progress: Callable[[int], None] = lambda started: None,
    ) -> list[Handle[R]]:
        """Start a flow of ``workflow`` for each of ``calls``; once this returns, all of them are durable.

        Everything is checked before the first is written. They are written in groups of a thousand, each of them all or
        nothing; interrupted in between, the same call with the same ``keys`` starts those that are missing (FL-18).

        Args:
            calls: a tuple of positional arguments each, or a dict of named ones; anything else is the only argument.
            keys: an idempotency key for each call.
            queue_key: for all, or a function that is given a call's arguments and gives it.
            progress: told after each group how many are durable.
            owner, goal, tags, queue, priority, delay, at: see :class:`~holdfast.flows.requests.StartOptions`.

        Raises:
            InvalidArguments, NotSerialisable, PayloadTooLarge, InvalidId, InvalidInput: as :meth:`start`; nothing was
                written.
            FlowExists: a key belongs to other arguments; nothing of its group was written, though groups around it
                were.
            QueueNotFound: there is no such queue.
            NestedUnit, StoreError: as :meth:`start`.
        """
        self.store.refuse_nested()
        self._registry.add(workflow)
        options = StartOptions(
            owner=owner, goal=goal, tags=tags or {}, queue=queue, queue_key="" if callable(queue_key) else queue_key,
            priority=priority, delay=delay, at=at,
        )  # fmt: skip
        starts = make_starts(workflow, calls, options, keys, queue_key, self._options.max_payload_bytes)
        handles: list[Handle[R]] = []
        sent: deque[Future[list[str]]] = deque()
        ahead = min(AHEAD, self.store.backend.group - 1)  # where units do not share commits they would overtake others
        groups = [starts[first : first + GROUP] for first in range(0, len(starts), GROUP)]
        for group in [*groups, *[None] * ahead]:
            if group is not None:
                sent.append(self._insert(group))
            if len(sent) > ahead or (group is None and sent):
                ids = sent.popleft().result()
                handles += [Handle(self, UUID(flow_id), workflow.signature.result) for flow_id in ids]
                progress(len(handles))
        self._wake()
        return handles

    def _insert(self, starts: Sequence[Start]) -> Future[list[str]]:
        """Have a group started; the next one is made ready while the database is at it."""
        future: Future[list[str]] = Future()

        def work(tx: Transaction) -> list[str]:
            self.store.backend.announce(tx)
            return insert_all(tx, starts)

        def settle(unit: Unit) -> None:
            if unit.error is not None:
                future.set_exception(unit.error)
            else:
                future.set_result(unit.result)

        self.store.submit(Unit(work, settle, idempotent=True, actor="user"))
        return future

    def _submit_start(
        self, workflow: Workflow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], options: StartOptions
    ) -> Callable[[Unit], None]:
        self.store.refuse_nested()
        self._registry.add(workflow)
        check_named(options, workflow.signature.names, len(args))
        encoded, digest = workflow.signature.encode(args, kwargs, self._options.max_payload_bytes)
        start = make_start(workflow.name, encoded, digest, options)
        return lambda unit: self._starts.submit(start, unit)

    def handle(self, flow_id: UUID | str) -> Handle[Any]:
        """A handle to a flow that was started before, here or elsewhere.

        Raises:
            InvalidId: malformed.
        """
        return Handle(self, parse_id(flow_id), Any, known=False)
