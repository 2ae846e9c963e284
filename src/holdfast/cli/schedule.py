"""``holdfast schedule``: when flows start by themselves."""

from __future__ import annotations

import re
from dataclasses import fields as parts_of
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from holdfast import codec
from holdfast.cli.listing import listed
from holdfast.cli.output import clean, fields, table
from holdfast.cli.session import AfterOption, JsonOption, LimitOption, Session, StoreOption, hint_unknown, session
from holdfast.cli.views import unserved
from holdfast.flows import health
from holdfast.flows.schedules import CatchUp, Definition, Overlap, Schedule, manager
from holdfast.flows.schedules.errors import InvalidInterval
from holdfast.flows.schedules.known import near_names
from holdfast.flows.schedules.timetable import find_zone
from holdfast.store import Transaction

app = typer.Typer(help="Have flows start by themselves.", no_args_is_help=True)
ScheduleName = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")]
NEXT_SHOWN = 5
_SPAN = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)([smhdw]?)", re.ASCII)
_UNITS = {"": "seconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@app.command("add")
def add(
    context: typer.Context,
    name: ScheduleName,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", help="The workflow's name.")],
    cron: Annotated[str | None, typer.Option(metavar="LINE", help="Such as '30 2 * * MON-FRI'.")] = None,
    every: Annotated[str | None, typer.Option(metavar="SPAN", help="Such as 90s, 15m, 6h, 1d.")] = None,
    zone: Annotated[str, typer.Option(help="The time zone that --cron is meant in.")] = "UTC",
    args: Annotated[str, typer.Option(metavar="JSON", help="The arguments: an object by parameter name.")] = "{}",
    overlap: Annotated[Overlap, typer.Option(help="While the last flow has not ended.")] = Overlap.SKIP,
    catch_up: Annotated[CatchUp, typer.Option(help="What of those missed while no worker was there.")] = CatchUp.ONE,
    queue: Annotated[str | None, typer.Option(help="The queue its flows wait in.")] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Make a schedule, or change the one of that name."""
    definition = Definition(
        name=name,
        workflow_type=workflow,
        args=args,
        cron=cron,
        every=None if every is None else parse_span(every),
        zone=zone,
        overlap=overlap,
        catch_up=catch_up,
        queue=queue,
    )
    asked = session(context, store, json)
    made, near = asked.act(lambda tx: (manager.create(tx, definition), near_names(tx, workflow)))
    _tell(asked, made, known=near is None)
    if near is not None:
        hint_unknown(asked, workflow, near)


@app.command("ls")
def list_schedules(
    context: typer.Context,
    limit: LimitOption = 50,
    after: AfterOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """List schedules by name."""
    asked = session(context, store, json)
    with asked.store() as opened:
        page = opened.read(lambda tx: manager.list_schedules(tx, limit=limit, after=after))
    rows = [
        (made.name, made.workflow_type, timing(made), _next(made), made.last_at, made.overlap, made.catch_up)
        for made in page.items
    ]
    columns = ("name", "workflow", "when", "next", "last", "overlap", "catch-up")
    human = listed("No schedules.", columns, rows, page.next)
    asked.out.many([schedule_object(made) for made in page.items], page.next, *human)


@app.command("show")
def show(context: typer.Context, name: ScheduleName, store: StoreOption = None, json: JsonOption = False) -> None:
    """Show a schedule and its next runs."""

    def look(tx: Transaction) -> tuple[Schedule, list[datetime], bool]:
        made = manager.get(tx, name)
        served = health.serves(health.workers(tx), made.workflow_type)
        return made, manager.upcoming(tx, name, NEXT_SHOWN), served

    asked = session(context, store, json)
    with asked.store() as opened:
        made, moments, served = opened.read(look)
    answer = schedule_object(made) | {"upcoming": _moments(made, moments), "served": served}
    human: list[RenderableType] = [fields(_pairs(made)), "", _moments_table(made, moments)]
    if not served:
        human += ["", unserved(made.workflow_type)]
    asked.out.one(answer, *human)


@app.command("next")
def upcoming(
    context: typer.Context,
    name: ScheduleName,
    count: Annotated[int, typer.Option(min=1, max=manager.MAX_UPCOMING, help="How many.")] = NEXT_SHOWN,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show when a schedule runs next."""
    asked = session(context, store, json)
    with asked.store() as opened:
        made, moments = opened.read(lambda tx: (manager.get(tx, name), manager.upcoming(tx, name, count)))
    asked.out.many(_moments(made, moments), None, _moments_table(made, moments))


@app.command("pause")
def pause(context: typer.Context, name: ScheduleName, store: StoreOption = None, json: JsonOption = False) -> None:
    """Start nothing until it is resumed."""
    asked = session(context, store, json)
    _tell(asked, asked.act(lambda tx: manager.pause(tx, name)))


@app.command("resume")
def resume(context: typer.Context, name: ScheduleName, store: StoreOption = None, json: JsonOption = False) -> None:
    """Let a paused schedule go on."""
    asked = session(context, store, json)
    _tell(asked, asked.act(lambda tx: manager.resume(tx, name)))


@app.command("trigger")
def trigger(context: typer.Context, name: ScheduleName, store: StoreOption = None, json: JsonOption = False) -> None:
    """Run a schedule now, once."""
    asked = session(context, store, json)
    flow_id = asked.act(lambda tx: manager.trigger(tx, name))
    told = f"It runs as the flow {flow_id}." if flow_id else "It runs once the flow before it has ended."
    asked.out.one({"name": name, "flow": flow_id}, told)


@app.command("rm")
def remove(context: typer.Context, name: ScheduleName, store: StoreOption = None, json: JsonOption = False) -> None:
    """Delete a schedule; the flows that it started go on."""
    asked = session(context, store, json)
    made = asked.act(lambda tx: manager.remove(tx, name))
    asked.out.one(schedule_object(made), Text(f"The schedule {clean(made.name)} is gone."))


def _tell(asked: Session, made: Schedule, **more: Any) -> None:
    following = "is paused" if made.paused else f"runs next at {_next(made) or 'no time ever'}"
    asked.out.one(schedule_object(made) | more, Text(f"The schedule {clean(made.name)} {following}."))


def schedule_object(made: Schedule) -> dict[str, Any]:
    """A schedule as a JSON object; its arguments as what they are, its interval in seconds."""
    answer = {part.name: getattr(made, part.name) for part in parts_of(made)}
    every = made.every and made.every.total_seconds()
    return answer | {"args": codec.decode(made.args), "every": every}


def timing(made: Schedule) -> str:
    """When a schedule runs, in words."""
    return f"{made.cron} {made.zone}" if made.cron else f"every {made.every}"


def parse_span(text: str) -> timedelta:
    """Such as ``90``, ``90s``, ``15m``, ``6h``, ``1d``, ``2w``.

    Raises:
        InvalidInterval: it is none.
    """
    found = _SPAN.fullmatch(text.strip())
    try:
        if found:
            return timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError:
        pass
    raise InvalidInterval(text)


def _next(made: Schedule) -> str:
    if made.paused:
        return "paused"
    return f"{made.next_at:%Y-%m-%d %H:%M:%S}Z" if made.next_at else ""


def _pairs(made: Schedule) -> list[tuple[str, Any]]:
    return [
        ("name", made.name),
        ("workflow", made.workflow_type),
        ("arguments", made.args),
        ("when", timing(made)),
        ("next", _next(made)),
        ("last", made.last_at),
        ("last flow", made.last_flow),
        ("buffered", made.buffered_at),
        ("overlap", made.overlap),
        ("catch-up", made.catch_up),
        ("queue", made.queue),
        ("tags", ", ".join(f"{tag}={value}" for tag, value in made.tags.items())),
        ("revision", made.revision),
        ("created", made.created_at),
        ("updated", made.updated_at),
    ]


def _moments(made: Schedule, moments: list[datetime]) -> list[dict[str, Any]]:
    zone = find_zone(made.zone)
    return [{"at": moment, "local": moment.astimezone(zone)} for moment in moments]


def _moments_table(made: Schedule, moments: list[datetime]) -> RenderableType:
    zone = find_zone(made.zone)
    rows = [(moment, f"{moment.astimezone(zone):%a %Y-%m-%d %H:%M:%S %z}") for moment in moments]
    return table("at", made.zone, rows=rows, title="Next runs")
