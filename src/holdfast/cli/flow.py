"""``holdfast flow``: look at flows, cancel them, hold them, let them go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

import typer

from holdfast.cli import following, showing
from holdfast.cli.listing import listed
from holdfast.cli.moments import parse_moment
from holdfast.cli.output import table
from holdfast.cli.session import (
    AfterOption,
    FlowId,
    JsonOption,
    LimitOption,
    Session,
    StoreOption,
    actor,
    flow_named,
    session,
)
from holdfast.cli.views import (
    Troubles,
    event_object,
    flow_object,
    known_troubles,
    situation,
    standing,
    stranding,
    tags_told,
)
from holdfast.clock import to_datetime
from holdfast.errors import InvalidInput
from holdfast.flows import Flow, FlowEvent, manager
from holdfast.flows.inbox.manager import open_waits
from holdfast.flows.prefixes import find_id
from holdfast.flows.search import STATUSES, search
from holdfast.pages import Page
from holdfast.store import Transaction

app = typer.Typer(help="Look at flows, cancel them, hold them, let them go on.", no_args_is_help=True)
_COLUMNS: dict[str, Callable[[Flow, Troubles], Any]] = {
    "id": lambda flow, _: flow.id,
    "workflow": lambda flow, _: flow.workflow_type,
    "version": lambda flow, _: flow.package_hash and flow.package_hash[:12],
    "status": standing,
    "key": lambda flow, _: flow.key,
    "owner": lambda flow, _: flow.owner_session_key,
    "tags": lambda flow, _: tags_told(flow),
    "updated": lambda flow, _: flow.updated_at,
    "goal": lambda flow, _: flow.goal,
    "stranded": lambda flow, troubles: (trouble := stranding(flow, troubles)) and trouble.error["message"],
}
_OPTIONAL = ("version", "key", "tags", "stranded")
"""Shown where any of the listed flows has them."""


@app.command("ls")
def list_flows(
    context: typer.Context,
    tag: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Only those with it; repeatable.")] = None,
    workflow_type: Annotated[str | None, typer.Option("--type", metavar="NAME", help="Only this workflow's.")] = None,
    status: Annotated[
        str | None, typer.Option(metavar="STATUS", help=f"Only those that are {', '.join(STATUSES)}.")
    ] = None,
    paused: Annotated[bool, typer.Option("--paused", help="Only those that are held.")] = False,
    owner: Annotated[str | None, typer.Option(help="Only this owner's.")] = None,
    parent: Annotated[str | None, typer.Option(metavar="ID", help="Only this flow's children.")] = None,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help="Created since: 2h ago, or RFC 3339.")] = None,
    until: Annotated[str | None, typer.Option(metavar="WHEN", help="Created before.")] = None,
    limit: LimitOption = 50,
    after: AfterOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """List flows, newest first."""
    asked = session(context, store, json)
    tags = parse_tags(tag or [])

    def work(tx: Transaction) -> tuple[Page[Flow], Troubles]:
        now = to_datetime(tx.clock.micros())
        found = search(
            tx,
            tags=tags,
            workflow_type=workflow_type,
            status=status,
            owner=owner,
            since=parse_moment(since, now) if since else None,
            until=parse_moment(until, now) if until else None,
            paused=paused or None,
            parent=find_id(tx, parent) if parent else None,
            limit=limit,
            after=after,
        )
        return found, known_troubles(tx)

    with asked.store() as opened:
        page, troubles = opened.read(work)
    cells = {name: [cell(flow, troubles) for flow in page.items] for name, cell in _COLUMNS.items()}
    columns = [name for name in _COLUMNS if name not in _OPTIONAL or any(cells[name])]
    rows = list(zip(*(cells[name] for name in columns), strict=True))
    human = listed("No flows.", columns, rows, page.next)
    asked.out.many([flow_object(flow, troubles) for flow in page.items], page.next, *human)


def parse_tags(given: list[str]) -> dict[str, str]:
    """Tags as they are written at the command line: ``name=value``.

    Raises:
        InvalidInput: one is written otherwise, or one name has two values.
    """
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
    with asked.store() as opened:
        wanted = flow_named(opened, flow_id)
        if follow:
            following.follow(opened, wanted, asked.out)
        else:
            seen = opened.read(lambda tx: showing.look(tx, wanted))
            asked.out.one(seen.object(), *showing.show(seen))


@app.command("waits")
def waits(
    context: typer.Context,
    flow_id: FlowId,
    limit: LimitOption = 50,
    after: AfterOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """List what a flow waits for besides time."""
    asked = session(context, store, json)
    with asked.store() as opened:
        page = opened.read(lambda tx: open_waits(tx, find_id(tx, flow_id), limit=limit, after=after))
    rows = [showing.wait_row(wait) for wait in page.items]
    asked.out.many(page.items, page.next, *listed("It waits for nothing.", showing.WAIT_COLUMNS, rows, page.next))


@app.command("history")
def history(context: typer.Context, flow_id: FlowId, store: StoreOption = None, json: JsonOption = False) -> None:
    """Show everything that happened to a flow, in order of time."""
    asked = session(context, store, json)
    with asked.store() as opened:
        events = opened.read(lambda tx: manager.history(tx, find_id(tx, flow_id)))
    rows = [(f"{event.at:%Y-%m-%d %H:%M:%S.%f}Z", event.kind, _told(event)) for event in events]
    asked.out.many([event_object(event) for event in events], None, table("at", "what", "detail", rows=rows))


@app.command("cancel")
def cancel(context: typer.Context, flow_id: FlowId, store: StoreOption = None, json: JsonOption = False) -> None:
    """Ask a flow to end: at its next chance, after its cleanup."""
    change_flow(session(context, store, json), manager.cancel, flow_id)


@app.command("pause")
def pause(context: typer.Context, flow_id: FlowId, store: StoreOption = None, json: JsonOption = False) -> None:
    """Hold a flow; running steps end and are recorded."""
    change_flow(session(context, store, json), manager.pause, flow_id)


@app.command("resume")
def resume(context: typer.Context, flow_id: FlowId, store: StoreOption = None, json: JsonOption = False) -> None:
    """Let a halted or paused flow go on."""
    change_flow(session(context, store, json), manager.resume, flow_id)


def change_flow(asked: Session, verb: Callable[[Transaction, UUID], Flow], flow_id: str) -> None:
    """Run a verb, and say what has become of the flow."""
    with asked.store() as opened:
        flow = manager.change(opened, verb, flow_named(opened, flow_id), actor=actor())
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
