"""``holdfast queue``: look at queues, set their limits, hold them, remove them."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from holdfast.cli.listing import listed
from holdfast.cli.output import clean, fields
from holdfast.cli.session import AfterOption, JsonOption, LimitOption, Session, StoreOption, session
from holdfast.flows.queues import InvalidQueue, Queue, QueueStanding, Rate, manager
from holdfast.flows.queues.sql import SqlQueues
from holdfast.store import Transaction

COLUMNS = ("queue", "status", "running", "ready", "later", "concurrency", "per worker", "per key", "rate")
app = typer.Typer(help="Look at queues, set their limits, hold them.", no_args_is_help=True)
NONE = "none"
Name = Annotated[str, typer.Argument(metavar="NAME", help="The queue's name.")]


@app.command("ls")
def list_queues(
    context: typer.Context,
    limit: LimitOption = 50,
    after: AfterOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """List queues by name."""
    asked = session(context, store, json)
    with asked.store() as opened:
        page = opened.read(lambda tx: SqlQueues(tx).page(limit=limit, after=after))
    rows = [_row(standing) for standing in page.items]
    asked.out.many(
        [standing.as_object() for standing in page.items], page.next, *listed("No queues.", COLUMNS, rows, page.next)
    )


@app.command("show")
def show(context: typer.Context, name: Name, store: StoreOption = None, json: JsonOption = False) -> None:
    """Show a queue: its limits, and how many flows wait and run."""
    asked = session(context, store, json)
    with asked.store() as opened:
        _tell(asked, opened.read(partial(manager.standing, name=name)))


@app.command("set")
def set_limits(
    context: typer.Context,
    name: Name,
    concurrency: Annotated[str | None, typer.Option(metavar="N|none", help="Flows that run at once.")] = None,
    per_worker: Annotated[str | None, typer.Option(metavar="N|none", help="Flows that a worker runs at once.")] = None,
    per_key: Annotated[str | None, typer.Option(metavar="N|none", help="Flows of a key that run at once.")] = None,
    rate: Annotated[str | None, typer.Option(metavar="N/SECONDS|none", help="Flows that begin in a time.")] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Make a queue, or change its limits: those that are given, and `none` lifts one."""
    asked = session(context, store, json)
    fresh = Queue(name)

    def work(tx: Transaction) -> None:
        found = SqlQueues(tx).locked(name)
        queue = found.of(name) if found else fresh
        wanted = Queue(
            name,
            concurrency=_limit(concurrency, queue.concurrency, "--concurrency"),
            per_worker=_limit(per_worker, queue.per_worker, "--per-worker"),
            per_key=_limit(per_key, queue.per_key, "--per-key"),
            rate=queue.rate if rate is None else _rate(rate),
        )
        manager.declare(tx, [wanted])

    asked.act(work)
    with asked.store() as opened:
        _tell(asked, opened.read(partial(manager.standing, name=name)))


@app.command("pause")
def pause(context: typer.Context, name: Name, store: StoreOption = None, json: JsonOption = False) -> None:
    """Let nothing more begin in a queue, and nothing that was parked go on; what runs goes on."""
    asked = session(context, store, json)
    _tell(asked, asked.act(partial(manager.pause, name=name)))


@app.command("resume")
def resume(context: typer.Context, name: Name, store: StoreOption = None, json: JsonOption = False) -> None:
    """Let a paused queue go on."""
    asked = session(context, store, json)
    _tell(asked, asked.act(partial(manager.resume, name=name)))


@app.command("rm")
def remove(context: typer.Context, name: Name, store: StoreOption = None, json: JsonOption = False) -> None:
    """Remove a queue in which no flow waits or runs."""
    asked = session(context, store, json)
    asked.act(partial(manager.remove, name=name))
    asked.out.one({"removed": name}, f"The queue {clean(name)} is removed.")


def _tell(asked: Session, standing: QueueStanding) -> None:
    asked.out.one(standing.as_object(), fields(zip(COLUMNS, _row(standing), strict=True)))


def _row(standing: QueueStanding) -> tuple[object, ...]:
    queue = standing.queue
    return (
        queue.name, "paused" if standing.paused else "open", standing.running, standing.ready, standing.later,
        queue.concurrency, queue.per_worker, queue.per_key, _told_rate(queue),
    )  # fmt: skip


def _told_rate(queue: Queue) -> str | None:
    _, _, _, count, micros = queue.limits
    return None if micros is None else f"{count} in {micros / 1_000_000:g} s"


def _limit(given: str | None, present: int | None, option: str) -> int | None:
    if given is None:
        return present
    if given == NONE:
        return None
    if not given.isascii() or not given.isdigit():
        raise InvalidQueue(f"{option} cannot be {given!r}.", remedy=f"Use a whole number from 1, or {NONE}.")
    return int(given)


def _rate(given: str) -> Rate | None:
    if given == NONE:
        return None
    count, slash, span = given.partition("/")
    try:
        return Rate(int(count), float(span))
    except ValueError as error:
        if slash and isinstance(error, InvalidQueue):
            raise
        raise InvalidQueue(f"--rate cannot be {given!r}.", remedy=f"Write 10/60 for ten a minute, or {NONE}.") from None
