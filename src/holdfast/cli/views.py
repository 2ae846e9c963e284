"""Records as the command line shows them: JSON objects, and words about where a flow is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from rich.text import Text

from holdfast import codec
from holdfast.cli.output import clean
from holdfast.flows import Flow, FlowEvent, FlowStatus

_JSON_TEXTS = ("args", "result")


def flow_object(flow: Flow) -> dict[str, Any]:
    """A flow as a JSON object; its arguments and result as what they are, not as text."""
    made = {field.name: getattr(flow, field.name) for field in fields(flow)}
    for name in _JSON_TEXTS:
        made[name] = codec.decode(made[name]) if made[name] is not None else None
    return made | {"halted": halted(flow)}


def event_object(event: FlowEvent) -> dict[str, Any]:
    """One entry of a history as a JSON object."""
    payload = event.payload
    if event.kind.startswith("step_") and payload.get("result") is not None:
        payload = payload | {"result": codec.decode(payload["result"])}
    return {"id": event.id, "kind": event.kind, "at": event.at, "payload": payload}


def halted(flow: Flow) -> bool:
    """Held until somebody mends the cause, which ``error`` tells (FL-19)."""
    return flow.paused and flow.error is not None and not flow.status.terminal


def standing(flow: Flow) -> str:
    """One word for where a flow is: its status, unless it is held."""
    if flow.paused and not flow.status.terminal:
        return "halted" if halted(flow) else "paused"
    return str(flow.status)


def situation(flow: Flow) -> str:
    """What a flow is doing, in words."""
    if flow.status.terminal:
        return f"{flow.status}"
    if flow.paused:
        if flow.epoch is not None:
            return "to be paused once its running steps have ended"
        return "halted; it goes on after `holdfast flow resume`" if halted(flow) else "paused"
    doing = _doing(flow)
    return f"{doing}, asked to cancel" if flow.cancel_requested else doing


def tags_told(flow: Flow) -> str:
    """A flow's tags in one line."""
    return ", ".join(f"{name}={value}" for name, value in flow.tags.items())


def who_may(approvers: Sequence[str]) -> str:
    """Who may answer a request for approval."""
    return ", ".join(approvers) or "anybody"


def unserved(workflow_type: str) -> Text:
    """That nobody will do it."""
    told = f"No living worker serves {clean(workflow_type)}: start one with `holdfast worker module:hf`."
    return Text(told, style="yellow")


def _doing(flow: Flow) -> str:
    if flow.epoch is not None:
        return f"running on the worker epoch {flow.epoch}"
    if flow.status is FlowStatus.WAITING:
        if flow.due_at is None:
            return "waiting for an event, a signal, an approval or a child"
        return f"waiting until {flow.due_at:%Y-%m-%d %H:%M:%S}Z"
    if flow.status is FlowStatus.CREATED and flow.due_at is not None and flow.due_at > flow.updated_at:
        return f"to begin at {flow.due_at:%Y-%m-%d %H:%M:%S}Z"
    return "waiting for a worker" if flow.queue is None else f"waiting in the queue {flow.queue}"
