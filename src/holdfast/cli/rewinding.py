"""``holdfast flow steps``, ``rewind``, ``fork`` and ``retry``: flows, and their worlds with them, go back."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import typer

from holdfast import codec
from holdfast.cli.flow import app, change_flow
from holdfast.cli.listing import listed
from holdfast.cli.session import AfterOption, FlowId, JsonOption, LimitOption, StoreOption, actor, flow_named, session
from holdfast.cli.views import flow_object, situation
from holdfast.errors import InvalidInput, NotSerialisable
from holdfast.flows import Flow, manager
from holdfast.flows.durations import seconds
from holdfast.flows.errors import InvalidPatch
from holdfast.flows.prefixes import find_id
from holdfast.flows.rewinding.model import Target
from holdfast.rewind import Position, fork, positions, retry
from holdfast.rewind.handing import PATIENCE_SECONDS, rewind_flow
from holdfast.store import Transaction

Place = Annotated[
    str,
    typer.Argument(metavar="STEP", help="How many records to keep, the last one's run id, or a checkpoint's name."),
]
PatchOption = Annotated[
    str | None, typer.Option("--patch", metavar="JSON", help="Merge this object into the flow's state (RFC 7396).")
]


@app.command("steps")
def list_steps(
    context: typer.Context,
    flow_id: FlowId,
    limit: LimitOption = 100,
    after: AfterOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """List the places in a flow's history, and which of them it can be rewound to."""
    asked = session(context, store, json)
    with asked.store() as opened:
        page = opened.read(lambda tx: positions(tx, find_id(tx, flow_id), limit=limit, after=after))
    rows = [
        (place.position, place.run_id or "(the beginning)", place.status, place.at, _checkpoints(place),
         "yes" if place.rewindable else "no")
        for place in page.items
    ]  # fmt: skip
    columns = ("step", "run id", "status", "at", "checkpoint", "rewindable")
    asked.out.many(page.items, page.next, *listed("No places.", columns, rows, page.next))


@app.command("rewind")
def rewind_to(
    context: typer.Context,
    flow_id: FlowId,
    step: Place,
    patch: PatchOption = None,
    note: Annotated[str, typer.Option("--note", help="Why, for the history and the audit chain.")] = "",
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", help="How long running steps get to end.")
    ] = PATIENCE_SECONDS,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Have a flow, and its worlds with it, go back to a place and on from there. A running one is paused first."""
    asked = session(context, store, json)
    limit, patched = seconds(timeout, "A time-out"), _patch(patch)
    with asked.store() as opened:
        wanted = flow_named(opened, flow_id)
        flow = rewind_flow(opened, wanted, _place(step), patch=patched, note=note, timeout=limit, actor=actor())
    asked.out.one(flow_object(flow), f"The flow {flow.id} was rewound to {step}; it is {situation(flow)}.")


@app.command("fork")
def fork_at(
    context: typer.Context,
    flow_id: FlowId,
    step: Place,
    new_id: Annotated[str | None, typer.Option("--id", metavar="ID", help="The fork's id.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="The fork's key.")] = None,
    patch: PatchOption = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope", metavar="OLD=NEW", help="Where the copy of a shared scope is to be: acme/main=acme/copy."
        ),
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Make another flow that goes on from a place of this one, with copies of its worlds."""
    asked = session(context, store, json)
    patched, scopes = _patch(patch), dict(_scopes(each) for each in scope or ())

    def verb(tx: Transaction, source: UUID) -> Flow:
        return fork(tx, source, _place(step), id=new_id, key=key, patch=patched, scopes=scopes)

    with asked.store() as opened:
        wanted = flow_named(opened, flow_id)
        flow = manager.change(opened, verb, wanted, actor=actor())
    asked.out.one(flow_object(flow), f"The flow {flow.id} goes on from {step} of {wanted}.")


@app.command("retry")
def retry_failed(context: typer.Context, flow_id: FlowId, store: StoreOption = None, json: JsonOption = False) -> None:
    """Have a failed or cancelled flow try again what failed it; all that succeeded is kept."""
    change_flow(session(context, store, json), retry, flow_id)


def _place(text: str) -> Target:
    return int(text) if text.isascii() and text.isdecimal() else text


def _patch(text: str | None) -> Any:
    if text is None:
        return None
    try:
        found = codec.decode(text)
    except NotSerialisable as error:
        raise InvalidPatch("--patch is no JSON.") from error
    if not isinstance(found, dict):
        raise InvalidPatch(f"A state cannot be patched with a {type(found).__name__}.")
    return found


def _scopes(text: str) -> tuple[tuple[str, str], tuple[str, str]]:
    old, _, new = text.partition("=")
    if old.count("/") != 1 or new.count("/") != 1:
        raise InvalidInput(f"--scope {text!r} is not understood.", remedy="Write it as ACCOUNT/REGION=ACCOUNT/REGION.")
    (a, b), (c, d) = old.split("/"), new.split("/")
    return (a, b), (c, d)


def _checkpoints(place: Position) -> str:
    return ", ".join(name or "(unnamed)" for name in place.checkpoints)
