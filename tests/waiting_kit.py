"""What the tests of waiting flows share."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

from holdfast import Holdfast
from holdfast.flows.engine.port import Answer
from holdfast.flows.inbox.sql import standing

PATIENCE_SECONDS = 20.0


def until(true: Callable[[], object]) -> None:
    """Wait until it is."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.005)


def flow_num(hf: Holdfast, flow_id: UUID) -> int:
    """A flow's number in the store."""
    ((num,),) = hf.store.read(lambda tx: tx.fetch("SELECT num FROM flows WHERE id = :id", {"id": str(flow_id)}))
    return int(num)


def waits(hf: Holdfast, flow_id: UUID) -> list[Answer]:
    """The waits of a flow that are not recorded yet."""
    num = flow_num(hf, flow_id)
    return hf.store.read(lambda tx: standing(tx, [num]))
