"""Rewinding a flow that runs: it is paused until its worker has given it up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

from holdfast.flows import Flow, SqlFlowStore, manager
from holdfast.flows.errors import AlreadyTerminal, FlowNotFound
from holdfast.flows.rewinding.errors import FlowRunning
from holdfast.flows.rewinding.model import Target
from holdfast.flows.rewinding.sql import SqlHistory
from holdfast.rewind.manager import rewind
from holdfast.store import Store, Transaction

PATIENCE_SECONDS = 30.0
_POLL_SECONDS = 0.02
_NAMED = 5
Running = Callable[[], Sequence[str]]


def rewind_flow(
    store: Store,
    flow_id: UUID,
    to_step: Target,
    *,
    patch: dict[str, Any] | None = None,
    note: str = "",
    timeout: float = PATIENCE_SECONDS,
    actor: str = "user",
    running: Running = lambda: (),
    waiting: Callable[[], None] = lambda: None,
) -> Flow:
    """:func:`holdfast.rewind.rewind`, also of a flow that runs: it is paused first. What cannot be is refused before
    anything happens to it.

    Args:
        timeout: seconds that its running steps get to end.
        running: names the steps that run, where somebody here knows.
        waiting: called before it is waited for; may refuse.

    Raises:
        FlowRunning: they did not end in time; the flow goes on as before.
        BeingCancelled: the flow is about to end.
        HoldfastError: as :func:`holdfast.rewind.rewind`.
    """

    def verb(tx: Transaction, wanted: UUID) -> Flow:
        return rewind(tx, wanted, to_step, patch=patch, note=note)

    with suppress(FlowRunning):
        return manager.change(store, verb, flow_id, actor=actor)
    waiting()
    with given_up(store, flow_id, timeout, actor, running):
        return manager.change(store, verb, flow_id, actor=actor)


@contextmanager
def given_up(store: Store, flow_id: UUID, timeout: float, actor: str, running: Running) -> Iterator[None]:
    """Hold a flow, once its worker has given it up; where that, or the block, fails, it goes on.

    Raises:
        FlowRunning: not within ``timeout`` seconds.
        FlowNotFound, BeingCancelled: it cannot be held.
    """
    ours = not _present(store, flow_id).paused
    try:
        if ours:
            with suppress(AlreadyTerminal):
                manager.change(store, manager.pause, flow_id, actor=actor)
        _wait(store, flow_id, timeout, running)
        yield
    except BaseException:
        if ours:
            with suppress(AlreadyTerminal):
                manager.change(store, manager.resume, flow_id, actor=actor)
        raise


def _wait(store: Store, flow_id: UUID, timeout: float, running: Running) -> None:
    deadline = store.clock.monotonic() + timeout
    while (flow := _present(store, flow_id)).epoch is not None:
        if store.clock.monotonic() >= deadline:
            reported = store.read(lambda tx: SqlHistory(tx).running_steps(flow_id, _NAMED))
            raise FlowRunning(flow_id, flow.epoch, running=list(running()) or reported, waited=timeout)
        time.sleep(_POLL_SECONDS)


def _present(store: Store, flow_id: UUID) -> Flow:
    found = store.read(lambda tx: SqlFlowStore(tx).get(flow_id))
    if found is None:
        raise FlowNotFound(flow_id)
    return found
