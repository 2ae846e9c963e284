"""What a workflow may ask for besides steps: its own time, chance, ids and sleep.

Inside a workflow the answers follow from what was recorded (the time of the last delivered record, a seed stored
at the start), position by position, so that a replay gets the same ones and nothing more is written. Elsewhere
they are the ordinary ones.
"""

from __future__ import annotations

import asyncio
import random as _random
from asyncio.events import _get_running_loop
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from holdfast.errors import InvalidInput
from holdfast.flows.durations import seconds
from holdfast.flows.engine.loop import FlowLoop
from holdfast.flows.engine.run import FlowRun
from holdfast.store import Store

current_store_var: ContextVar[Store | None] = ContextVar("holdfast_store", default=None)
"""The store of the worker in whose context this runs."""


def current_store() -> Store:
    """The store that the running step's worker serves.

    Raises:
        InvalidInput: no step of a flow is running here.
    """
    found = current_store_var.get()
    if found is None:
        raise InvalidInput("No worker runs here.", remedy="Call it inside a step of a flow.")
    return found


def current_flow() -> FlowRun | None:
    """The flow whose workflow function is running here, if any."""
    loop = _get_running_loop()
    return loop.flow if isinstance(loop, FlowLoop) and isinstance(loop.flow, FlowRun) else None


def now() -> datetime:
    """The time, timezone-aware UTC; in a workflow, its own time, which stands still between two awaits."""
    flow = current_flow()
    return flow.now() if flow else datetime.now(UTC)


def random() -> float:
    """A number in [0, 1); in a workflow, the same on every replay."""
    flow = current_flow()
    return flow.random.random() if flow else _random.random()


def uuid() -> UUID:
    """A random UUID (version 4); in a workflow, the same on every replay."""
    flow = current_flow()
    return UUID(int=flow.random.getrandbits(128), version=4) if flow else uuid4()


async def sleep(span: float | timedelta) -> None:
    """Sleep for ``span`` (seconds or timedelta); in a workflow durably, through any number of restarts.

    Raises:
        InvalidTimeout: negative, not a number, or over a hundred years.
    """
    await asyncio.sleep(seconds(span, "A sleep"))
