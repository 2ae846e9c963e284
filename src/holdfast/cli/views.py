"""Records as the command line shows them: JSON objects, and words about where a flow is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from rich.text import Text

from holdfast import codec
from holdfast.cli.output import clean
from holdfast.flows import Flow, FlowEvent, FlowStatus
from holdfast.flows.model import served_by, told_served
from holdfast.packages.troubles import Trouble, troubles
from holdfast.store import Transaction

_JSON_TEXTS = ("args", "result")
Troubles = Mapping[str, Trouble]
"""What keeps versions from being loaded, by content hash."""
NO_TROUBLES: Troubles = MappingProxyType({})


def flow_object(flow: Flow, troubles: Troubles = NO_TROUBLES) -> dict[str, Any]:
    """A flow as a JSON object; its arguments and result as what they are, not as text."""
    made = {field.name: getattr(flow, field.name) for field in fields(flow)}
    for name in _JSON_TEXTS:
        made[name] = codec.decode(made[name]) if made[name] is not None else None
    trouble = stranding(flow, troubles)
    return made | {"halted": halted(flow), "stranded": None if trouble is None else trouble.error}


def event_object(event: FlowEvent) -> dict[str, Any]:
    """One entry of a history as a JSON object."""
    payload = event.payload
    if event.kind.startswith("step_") and payload.get("result") is not None:
        payload = payload | {"result": codec.decode(payload["result"])}
    return {"id": event.id, "kind": event.kind, "at": event.at, "payload": payload}


def halted(flow: Flow) -> bool:
    """Held until somebody mends the cause, which ``error`` tells (FL-19)."""
    return flow.paused and flow.error is not None and not flow.status.terminal


def stranding(flow: Flow, troubles: Troubles) -> Trouble | None:
    """What keeps the version from being loaded that a flow is pinned to (PK-8); ``None``: nothing that is known."""
    return None if flow.status.terminal or flow.package_hash is None else troubles.get(flow.package_hash)


def standing(flow: Flow, troubles: Troubles = NO_TROUBLES) -> str:
    """One word for where a flow is: its status, unless it is held or stranded."""
    if flow.paused and not flow.status.terminal:
        return "halted" if halted(flow) else "paused"
    return str(flow.status) if stranding(flow, troubles) is None else "stranded"


def situation(flow: Flow, troubles: Troubles = NO_TROUBLES) -> str:
    """What a flow is doing, in words."""
    if flow.status.terminal:
        return f"{flow.status}"
    trouble = stranding(flow, troubles)
    if trouble is not None and not flow.paused:
        return f"stranded: its version cannot be loaded on {trouble.host}. {trouble.error['message']}"
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


def unserved(workflow_type: str, package_hash: str | None = None, *, elsewhere: bool = False) -> Text:
    """That nobody will do it.

    Args:
        elsewhere: somebody serves the workflow in a version that the flow is not pinned to.
    """
    if elsewhere and package_hash is None:
        told = "It was started while its workflow was routed to no package, so that no package serves it."
        remedy = "Cancel it and start it again, or serve it by `holdfast worker module:hf`."
        return Text(f"{told} {remedy}", style="yellow")
    remedy = "holdfast worker" if package_hash else "holdfast worker module:hf"
    what = clean(told_served(served_by(workflow_type, package_hash)))
    return Text(f"No living worker serves {what}: start one with `{remedy}`.", style="yellow")


def known_troubles(tx: Transaction) -> Troubles:
    """All that are known."""
    return {trouble.content_hash: trouble for trouble in troubles(tx)}


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
