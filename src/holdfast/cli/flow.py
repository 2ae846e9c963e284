"""``holdfast flow``: look at flows, cancel them, let them go on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import RenderableType
from rich.text import Text

from holdfast import codec
from holdfast.cli.output import clean, fields, table
from holdfast.cli.session import AfterOption, FlowId, JsonOption, LimitOption, Session, StoreOption, actor, session
from holdfast.cli.views import event_object, flow_object, situation, standing
from holdfast.flows import Flow, FlowEvent, FlowStatus, SqlFlowStore, health, manager
from holdfast.flows.errors import FlowNotFound
from holdfast.flows.health import RecentStep
from holdfast.ids import parse_id
from holdfast.pages import Page
from holdfast.store import Transaction

app = typer.Typer(help="Look at flows, cancel them, let them go on.", no_args_is_help=True)
LAST_STEPS = 10
_LONG = 2000


@app.command("ls")
def list_flows(
    context: typer.Context,
    status: Annotated[FlowStatus | None, typer.Option(help="Only these, oldest update first.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only this owner's, newest first.")] = None,
    limit: LimitOption = 50,
    after: AfterOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """List flows, newest first."""
    asked = session(context, store, json)
    with asked.store() as opened:
        page = opened.read(lambda tx: _page(SqlFlowStore(tx), status, owner, limit, after))
    rows = [
        (flow.id, flow.workflow_type, standing(flow), flow.owner_session_key, flow.updated_at, flow.goal)
        for flow in page.items
    ]
    human: list[RenderableType] = [table("id", "workflow", "status", "owner", "updated", "goal", rows=rows)]
    if not rows:
        human = ["No flows."]
    if page.next:
        human.append(f"There are more: --after {page.next}")
    asked.out.many([flow_object(flow) for flow in page.items], page.next, *human)


def _page(
    flows: SqlFlowStore, status: FlowStatus | None, owner: str | None, limit: int, after: str | None
) -> Page[Flow]:
    """One page; by owner *and* status it may be short of ``limit``, its cursor says whether there are more."""
    if owner is None:
        if status is None:
            return flows.list_all(limit=limit, after=after)
        return flows.list_by_status(status, limit=limit, after=after)
    while True:
        page = flows.list_by_owner(owner, limit=limit, after=after)
        matching = [flow for flow in page.items if status in (None, flow.status)]
        if matching or page.next is None:
            return Page(matching, page.next)
        after = page.next


@app.command("show")
def show(context: typer.Context, flow_id: FlowId, store: StoreOption = None, json: JsonOption = False) -> None:
    """Show a flow: where it is, its last steps, and what went wrong."""
    asked = session(context, store, json)
    wanted = parse_id(flow_id)

    def look(tx: Transaction) -> tuple[Flow | None, dict[str, int], list[RecentStep], set[str]]:
        return (
            SqlFlowStore(tx).get(wanted),
            health.step_counts(tx, wanted),
            health.last_steps(tx, wanted, LAST_STEPS),
            health.served_types(health.workers(tx)),
        )

    with asked.store() as opened:
        flow, counts, steps, served = opened.read(look)
    if flow is None:
        raise FlowNotFound(wanted)
    stranded = not flow.status.terminal and flow.workflow_type not in served
    made = flow_object(flow) | {
        "situation": situation(flow),
        "steps": {"total": sum(counts.values()), "by_status": counts},
        "last_steps": steps,
        "served": flow.workflow_type in served,
    }
    asked.out.one(made, *_shown(flow, counts, steps, stranded))


def _shown(flow: Flow, counts: dict[str, int], steps: list[RecentStep], stranded: bool) -> list[RenderableType]:
    pairs = [
        ("id", flow.id),
        ("workflow", flow.workflow_type),
        ("status", standing(flow)),
        ("now", situation(flow)),
        ("goal", flow.goal),
        ("owner", flow.owner_session_key),
        ("key", flow.key),
        ("current step", flow.current_step),
        ("attempt", flow.attempt),
        ("revision", flow.revision),
        ("created", flow.created_at),
        ("started", flow.started_at),
        ("updated", flow.updated_at),
        ("finished", flow.finished_at),
        ("workers lost", flow.crashes or None),
        ("arguments", _short(flow.args)),
        ("state", _short(codec.encode(flow.state)) if flow.state else None),
        ("result", _short(flow.result)),
        ("steps", ", ".join(f"{count} {status}" for status, count in counts.items()) or "none recorded"),
    ]
    parts: list[RenderableType] = [fields(pairs)]
    if steps:
        rows = [(step.run_id, step.status, step.attempt, step.updated_at, _took(step), _reason(step)) for step in steps]
        parts += ["", table("run id", "status", "attempt", "at", "took", "error", rows=rows, title="Last steps")]
    if flow.error:
        parts += ["", *_error(flow.error)]
    if stranded:
        told = f"No living worker serves {clean(flow.workflow_type)}: start one with `holdfast worker module:hf`."
        parts += ["", Text(told, style="yellow")]
    return parts


def _error(error: dict[str, Any]) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(clean(f"{error.get('kind')}: {error.get('detail')}"), style="bold red")]
    if error.get("trace"):
        parts.append(Text(clean(error["trace"]).rstrip()))
    if error.get("remedy"):
        parts.append(Text(clean(f"Remedy: {error['remedy']}")))
    return parts


@app.command("history")
def history(context: typer.Context, flow_id: FlowId, store: StoreOption = None, json: JsonOption = False) -> None:
    """Show everything that happened to a flow, in order of time."""
    asked = session(context, store, json)
    wanted = parse_id(flow_id)
    with asked.store() as opened:
        events = opened.read(lambda tx: manager.history(tx, wanted))
    rows = [(f"{event.at:%Y-%m-%d %H:%M:%S.%f}Z", event.kind, _told(event)) for event in events]
    asked.out.many([event_object(event) for event in events], None, table("at", "what", "detail", rows=rows))


@app.command("cancel")
def cancel(context: typer.Context, flow_id: FlowId, store: StoreOption = None, json: JsonOption = False) -> None:
    """Ask a flow to end: at its next chance, after its cleanup."""
    _change(session(context, store, json), manager.cancel, flow_id)


@app.command("resume")
def resume(context: typer.Context, flow_id: FlowId, store: StoreOption = None, json: JsonOption = False) -> None:
    """Let a halted or paused flow go on."""
    _change(session(context, store, json), manager.resume, flow_id)


def _change(asked: Session, verb: Callable[[Transaction, UUID], Flow], flow_id: str) -> None:
    wanted = parse_id(flow_id)
    with asked.store() as opened:
        flow = manager.change(opened, verb, wanted, actor=actor())
    asked.out.one(flow_object(flow), f"The flow {flow.id} is {situation(flow)}.")


def _told(event: FlowEvent) -> str:
    """A history entry's payload in one line."""
    payload = event.payload or {}
    if "run_id" in payload:
        told = f"{payload['run_id']} in {payload['seconds']:.3f} s, attempt {payload['attempts']}"
        error = payload["error"]
        return f"{told}: {error.get('kind')}: {error.get('detail')}" if error else told
    if "kind" in payload:
        return f"{payload['kind']}: {payload.get('detail', '')}"
    return ", ".join(f"{name}: {value}" for name, value in payload.items())


def _took(step: RecentStep) -> str:
    return f"{(step.updated_at - step.created_at) / timedelta(seconds=1):.3f} s"


def _reason(step: RecentStep) -> str:
    return f"{step.error.get('kind')}: {step.error.get('detail')}" if step.error else ""


def _short(text: str | None) -> str | None:
    if text is None or len(text) <= _LONG:
        return text
    return f"{text[:_LONG]}… ({len(text):,} characters; --json has all)"
