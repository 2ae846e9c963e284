"""``holdfast flow start``: start a flow of a workflow by its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from holdfast import codec
from holdfast.cli.flow import app, parse_tags
from holdfast.cli.moments import parse_moment
from holdfast.cli.session import JsonOption, StoreOption, hint_unknown, session
from holdfast.cli.views import flow_object, situation
from holdfast.clock import to_datetime
from holdfast.errors import NotSerialisable
from holdfast.flows import Flow, manager
from holdfast.flows.errors import InvalidArguments
from holdfast.flows.requests import StartOptions, make_named_start
from holdfast.flows.schedules.known import near_names
from holdfast.flows.starts import insert_all
from holdfast.ids import parse_id
from holdfast.packages.arguments import check_arguments
from holdfast.store import Transaction


@app.command("start")
def start(
    context: typer.Context,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", help="The workflow's name.")],
    args: Annotated[str, typer.Argument(metavar="[JSON]", help="Its arguments: an object by parameter name.")] = "{}",
    key: Annotated[str | None, typer.Option(help="An idempotency key: the same start again is the same flow.")] = None,
    id: Annotated[str | None, typer.Option(metavar="UUID", help="The flow's id, instead of a fresh one.")] = None,
    owner: Annotated[str, typer.Option(help="Whose it is.")] = "",
    goal: Annotated[str, typer.Option(help="What it is for, in words.")] = "",
    tag: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="To find it by; repeatable.")] = None,
    queue: Annotated[str | None, typer.Option(help="The queue it waits in.")] = None,
    queue_key: Annotated[str, typer.Option(help="Whose turn it takes in the queue.")] = "",
    priority: Annotated[int, typer.Option(help="In the queue; smaller ones first.")] = 0,
    at: Annotated[str | None, typer.Option(metavar="WHEN", help="Not before: RFC 3339.")] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Start a flow, on the version that the workflow is routed to; a worker takes it up."""
    asked = session(context, store, json)

    given = _arguments(args)

    def work(tx: Transaction) -> tuple[Flow, Sequence[str] | None]:
        options = StartOptions(
            id=id,
            key=key,
            owner=owner,
            goal=goal,
            tags=parse_tags(tag or []),
            queue=queue,
            queue_key=queue_key,
            priority=priority,
            at=parse_moment(at, to_datetime(tx.clock.micros())) if at else None,
        )
        near = near_names(tx, workflow)
        check_arguments(tx, workflow, given)
        (started,) = insert_all(tx, [make_named_start(workflow, given, options, codec.DEFAULT_MAX_BYTES)])
        return manager.present(tx, parse_id(started)), near

    flow, near = asked.act(work)
    asked.out.one(flow_object(flow), f"Started {flow.id}, {situation(flow)}.")
    if near is not None and flow.package_hash is None:
        hint_unknown(asked, workflow, near)


def _arguments(text: str) -> dict[str, object]:
    try:
        return codec.decode(text, dict[str, object], what="The arguments")  # type: ignore[no-any-return]
    except NotSerialisable as error:
        raise InvalidArguments(
            f"{text!r:.80} is no JSON object of arguments: {error.__cause__}.", remedy="""Write '{"name": value, …}'."""
        ) from error
