"""``holdfast flow``: look at flows, cancel them, hold them, let them go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

import typer
from rich.console import RenderableType

from holdfast.cli import showing
from holdfast.cli.moments import parse_moment
from holdfast.cli.output import table
from holdfast.cli.session import AfterOption, FlowId, JsonOption, LimitOption, Session, StoreOption, actor, session
from holdfast.cli.views import event_object, flow_object, situation, standing
from holdfast.clock import to_datetime
from holdfast.errors import InvalidInput
from holdfast.flows import Flow, FlowEvent, FlowStatus, manager
from holdfast.flows.search import search
from holdfast.ids import parse_id
from holdfast.pages import Page
from holdfast.store import Transaction

app = typer.Typer(help="Look at flows, cancel them, hold them, let them go on.", no_args_is_help=True)


@app.command("ls")
def list_flows(
    context: typer.Context,
    tag: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only those with it; repeatable.")] = None,
    workflow_type: Annotated[str | None, typer.Option("--type", metavar="NAME", help="Only this workflow's.")] = None,
    status: Annotated[FlowStatus | None, typer.Option(help="Only those.")] = None,
    paused: Annotated[bool, typer.Option("--paused", help="Only those that are held.")] = False,
    owner: Annotated[str | None, typer.Option(help="Only this owner's.")] = None,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help="Created since: 2h ago, or RFC 3339.")] = None,
    until: Annotated[str | None, typer.Option(metavar="WHEN", help="Created before.")] = None,
    limit: LimitOption = 50,
    after: AfterOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """List flows, newest first."""
    asked = session(context, store, json)
    tags = _tags(tag or [])

    def work(tx: Transaction) -> Page[Flow]:
        now = to_datetime(tx.clock.micros())
        return search(
            tx,
            tags=tags,
            workflow_type=workflow_type,
            status=status,
            owner=owner,
            since=parse_moment(since, now) if since else None,
            until=parse_moment(until, now) if until else None,
            paused=paused or None,
            limit=limit,
            after=after,
        )

    with asked.store() as opened:
        page = opened.read(work)
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


def _tags(given: list[str]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidInput(f"{text!r} is no tag with its value.", remedy="Write --tag name=value.")
        if tags.setdefault(name, value) != value:
            raise InvalidInput(f"No flow has two values of the tag {name!r}.", remedy="Ask for one of them.")
    return tags


@app.command("show")
def show(
    context: typer.Context,
    flow_id: FlowId,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until it ends.")] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show a flow: where it is, its last steps, and what went wrong. With --follow and --json, one object for every
    change."""
    asked = session(context, store, json)
    wanted = parse_id(flow_id)
    with asked.store() as opened:
        if follow:
            showing.follow(opened, wanted, asked.out)
        else:
            seen = opened.read(lambda tx: showing.look(tx, wanted))
            asked.out.one(seen.object(), *showing.show(seen))


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


@app.command("pause")
def pause(context: typer.Context, flow_id: FlowId, store: StoreOption = None, json: JsonOption = False) -> None:
    """Hold a flow; running steps end and are recorded."""
    _change(session(context, store, json), manager.pause, flow_id)


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
