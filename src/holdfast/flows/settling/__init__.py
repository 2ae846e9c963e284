"""What follows the end of a flow on which others depend: in the transaction that ends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from holdfast import codec
from holdfast.flows.inbox.model import child_answer
from holdfast.flows.inbox.sql import answer_children, withdraw_flows
from holdfast.flows.model import FlowStatus
from holdfast.ids import new_id
from holdfast.store import Transaction, load_queries

_q = load_queries("holdfast.flows.settling")
followers: list[Callable[[Transaction, Sequence[tuple[int, str]]], None]] = []
"""What higher floors do when flows end: called with their numbers and ids."""


def settle(tx: Transaction, nums: Sequence[int]) -> None:
    """Answer those that wait for these ended flows, withdraw what they waited for themselves, cancel their
    children that are not to outlive them (FL-13), and tell the :data:`followers`.

    Args:
        nums: of flows that this transaction has ended.
    """
    while nums:
        rows = [(num,) for num in nums]
        ended = tx.fetch(_q["ended"], rows=rows)
        withdraw_flows(tx, nums)
        answer_children(tx, [(flow, *child_answer(flow, *how)) for _, flow, *how in ended])
        for follow in followers:
            follow(tx, [(num, flow) for num, flow, *_ in ended])
        nums = _close_children(tx, rows)


def _close_children(tx: Transaction, rows: Sequence[tuple[int]]) -> list[int]:
    """Ask the children that are not to outlive their parents to end; the numbers of those that did at once."""
    now = tx.clock.micros()
    closed = tx.fetch(_q["close_children"], {"now": now}, rows=rows)
    if closed:
        payload = codec.encode({"by": "parent"})
        events = [(num, str(new_id()), payload) for num, _ in closed]
        tx.execute(_q["add_close_events"], {"at": now}, rows=events)
    return [num for num, status in closed if status == FlowStatus.CANCELLED]
