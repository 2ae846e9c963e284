"""What people do to flows: look at them, cancel them, hold them, let them go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from holdfast import codec
from holdfast.clock import to_datetime, to_micros
from holdfast.flows.errors import AlreadyTerminal, BeingCancelled, FlowNotFound, RevisionMismatch
from holdfast.flows.model import Flow, FlowEvent, FlowStatus
from holdfast.flows.settling import settle
from holdfast.flows.sql import SqlFlowStore
from holdfast.store import Store, Transaction, load_queries

_q = load_queries("holdfast.flows")
PAUSED = "paused"
_TRIES = 20


def cancel(tx: Transaction, flow_id: UUID) -> Flow:
    """Ask a flow to end (FL-13). One that never started ends at once; a started one at its next chance, after its
    cleanup. Asking again changes nothing.

    Raises:
        FlowNotFound: unknown id.
        AlreadyTerminal: it is finished or failed.
    """
    flow = present(tx, flow_id)
    if flow.status is FlowStatus.CANCELLED or flow.cancel_requested:
        return flow
    if flow.status.terminal:
        raise AlreadyTerminal(flow_id, flow.status)
    now = to_datetime(tx.clock.micros())
    change: dict[str, Any] = {"cancel_requested": True, "paused": False}
    if flow.status is FlowStatus.CREATED:
        change |= {"status": FlowStatus.CANCELLED, "finished_at": now}
    elif flow.epoch is None:
        change |= {"status": FlowStatus.RUNNING}  # to be claimed, so that its cleanup runs
    flow = _change(tx, flow, change, "cancel_requested", {"by": tx.actor})
    if flow.status.terminal:
        settle(tx, [SqlFlowStore(tx).number(flow_id)])
    return flow


def pause(tx: Transaction, flow_id: UUID) -> Flow:
    """Hold a flow until :func:`resume`: nobody takes it up. The worker that runs it lets its running steps end, records
    them, and gives it up. Pausing it again changes nothing.

    Raises:
        FlowNotFound: unknown id.
        AlreadyTerminal: it has ended.
        BeingCancelled: it was asked to end, and nothing holds that up (FL-13).
    """
    flow = _living(tx, flow_id)
    if flow.paused:
        return flow
    if flow.cancel_requested:
        raise BeingCancelled(flow_id)
    payload = {"by": tx.actor, "due_at": to_micros(flow.due_at) if flow.due_at else None}
    return _change(tx, flow, {"paused": True}, PAUSED, payload)


def resume(tx: Transaction, flow_id: UUID) -> Flow:
    """Let a halted or paused flow go on: whoever serves it takes it up at once, even if it only waits, but one that
    has not begun keeps to the moment that it was started for. Resuming it again changes nothing.

    Raises:
        FlowNotFound: unknown id.
        AlreadyTerminal: it has ended.
    """
    flow = _living(tx, flow_id)
    if not flow.paused:
        return flow
    change = {"paused": False, "error": None, "due_at": _due_before_pause(tx, flow)}
    return _change(tx, flow, change, "resumed_by_hand", {"by": tx.actor})


def history(tx: Transaction, flow_id: UUID) -> list[FlowEvent]:
    """Everything that happened to a flow, steps included, in order of time.

    Raises:
        FlowNotFound: unknown id.
    """
    flow = present(tx, flow_id)
    flows = SqlFlowStore(tx)
    happened = list(flows.list_events(flow_id).items)
    for step in flows.list_steps(flow_id).items:
        payload = {
            "run_id": step.run_id,
            "attempts": step.attempt,
            "epoch": step.epoch,
            "seconds": (step.updated_at - step.created_at) / timedelta(seconds=1),
            "result": step.result,
            "error": step.error,
        }
        happened.append(
            FlowEvent(id=step.id, flow_id=flow_id, kind=f"step_{step.status}", payload=payload, at=step.updated_at)
        )
    for kind, at in (("created", flow.created_at), ("started", flow.started_at), (str(flow.status), flow.finished_at)):
        if at is not None:
            happened.append(FlowEvent(id=flow_id, flow_id=flow_id, kind=kind, payload={}, at=at))
    order = {"created": 0, "started": 1}
    return sorted(happened, key=lambda event: (event.at, order.get(event.kind, 2 + (event.id == flow_id))))


def change(store: Store, verb: Callable[[Transaction, UUID], Flow], flow_id: UUID, *, actor: str) -> Flow:
    """Run a verb of this module, again when somebody else changed the flow in between; wakes the workers.

    Raises:
        RevisionMismatch: it keeps changing.
        HoldfastError: what the verb raises.
    """

    def work(tx: Transaction) -> Flow:
        store.backend.announce(tx)
        return verb(tx, flow_id)

    for _ in range(_TRIES):
        try:
            return store.run(work, actor=actor)
        except RevisionMismatch as error:
            problem = error
    raise problem


def _due_before_pause(tx: Transaction, flow: Flow) -> datetime | None:
    """When the flow was due when it was paused last."""
    row = tx.fetch_one(_q["last_event"], {"id": str(flow.id), "kind": PAUSED})
    due_at = codec.decode(row[0]).get("due_at") if row else None
    return None if due_at is None else to_datetime(due_at)


def _change(tx: Transaction, flow: Flow, change: dict[str, Any], kind: str, payload: Any) -> Flow:
    flow, _ = SqlFlowStore(tx).update_and_append(replace(flow, **change), kind, payload)
    return flow


def _living(tx: Transaction, flow_id: UUID) -> Flow:
    flow = present(tx, flow_id)
    if flow.status.terminal:
        raise AlreadyTerminal(flow_id, flow.status)
    return flow


def present(tx: Transaction, flow_id: UUID) -> Flow:
    """A flow that must be there.

    Raises:
        FlowNotFound: unknown id.
    """
    flow = SqlFlowStore(tx).get(flow_id)
    if flow is None:
        raise FlowNotFound(flow_id)
    return flow
