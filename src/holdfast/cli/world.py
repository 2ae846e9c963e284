"""``holdfast world``: checkpoints of a directory of files, or of a mock AWS."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli import world_changing as changing
from holdfast.cli import world_files as files
from holdfast.cli.listing import listed
from holdfast.cli.output import clean, counted
from holdfast.cli.session import AfterOption, JsonOption, LimitOption, StoreOption, actor, session
from holdfast.cli.world_opening import opened_place
from holdfast.cli.world_options import (
    AccountOption,
    ExcludeOption,
    MaybeWhere,
    RegionOption,
    ServiceOption,
    Wanted,
    Where,
    WorldOption,
    place_of,
)
from holdfast.cli.world_place import UnreadableView, store_of
from holdfast.cli.world_serve import serve
from holdfast.cli.world_showing import resources_of, shown_diff
from holdfast.worlds.checkpoints import SqlCheckpoints
from holdfast.worlds.comparing import compare
from holdfast.worlds.model import encode_view
from holdfast.worlds.restoring import abandon_restore

app = typer.Typer(
    help="Checkpoint, restore, merge and compare the files of a directory, or a mock AWS.", no_args_is_help=True
)


@app.command("snapshot")
def snapshot(
    context: typer.Context,
    where: Where,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write there, not to stdout.")] = None,
    exclude: ExcludeOption = None,
    account: AccountOption = None,
    region: RegionOption = None,
    service: ServiceOption = None,
    world: WorldOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Print what a directory, or one service of a mock AWS, is now as a view in JSON; the bodies go into the store."""
    asked = session(context, store, json)
    place = place_of(where, account, region, world, exclude, service)
    with opened_place(asked, place, create=where.aws is None) as opened:
        _, view = opened.one()
    text = encode_view(view) + "\n"
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UnreadableView(f"{out} cannot be written: {error.strerror}.", remedy="Choose another file.") from error
    shown = clean(str(out))  # a path need not be a text
    told = f"Wrote the view of {counted(len(view.resources), 'resource')} to {shown}."
    asked.out.one({"out": shown, "resources": len(view.resources)}, told)


@app.command("checkpoint")
def checkpoint(
    context: typer.Context,
    where: Where,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    exclude: ExcludeOption = None,
    account: AccountOption = None,
    region: RegionOption = None,
    world: WorldOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Keep what the world is now, also while others use it. Costs what changed since the last checkpoint."""
    asked = session(context, store, json)
    place = place_of(where, account, region, world, exclude)
    with opened_place(asked, place, create=where.aws is None) as opened:
        made = opened.keep(name)
    asked.out.one(made, f"Kept {counted(resources_of(made), 'resource')} of {place.shown} as {name}.")


@app.command("ls")
def list_checkpoints(
    context: typer.Context,
    where: MaybeWhere = None,
    world: WorldOption = None,
    limit: LimitOption = 50,
    after: AfterOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """List checkpoints, newest first."""
    asked = session(context, store, json)
    place = place_of(where, world=world) if where else None
    with store_of(asked) as opened:
        if place:
            place.check_known(opened)
        name = place.name if place else world
        page = opened.read(lambda tx: SqlCheckpoints(tx).list(name, limit=limit, after=after))
    rows = [
        (c.id, c.world, c.name, c.created_at, resources_of(c), c.run, c.position, "undone" if c.superseded else "")
        for c in page.items
    ]
    columns = ("id", "world", "name", "at", "resources", "run", "position", "")
    asked.out.many(page.items, page.next, *listed("No checkpoints.", columns, rows, page.next))


@app.command("diff")
def diff(
    context: typer.Context,
    where: Where,
    before: Wanted,
    after: Annotated[
        str | None, typer.Argument(metavar="[NAME|FILE]", help="The same; what is there now by default.")
    ] = None,
    exclude: ExcludeOption = None,
    account: AccountOption = None,
    region: RegionOption = None,
    service: ServiceOption = None,
    world: WorldOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show what changed from one state to another: + new, ~ changed, - gone, ? what no view can hold."""
    asked = session(context, store, json)
    with opened_place(asked, place_of(where, account, region, world, exclude, service)) as opened:
        if after is not None:
            old, new, seen = opened.views(before), opened.views(after), None
        else:
            old = opened.target(before)
            seen = opened.fitting(old).compared(old)
            new = seen.views
    found = compare(old, new)
    asked.out.one(found.to_object() | (seen.to_object() if seen else {}), *shown_diff(opened, found, seen))


@app.command("forget")
def forget(
    context: typer.Context,
    where: Where,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The checkpoint's name or id.")],
    exclude: ExcludeOption = None,
    account: AccountOption = None,
    region: RegionOption = None,
    world: WorldOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Delete a checkpoint; the world stays as it is."""
    asked = session(context, store, json)
    with opened_place(asked, place_of(where, account, region, world, exclude)) as opened:
        found = opened.find(name)
        opened.store.run(lambda tx: SqlCheckpoints(tx).delete(found), idempotent=True)
    asked.out.one(found, f"Forgot the checkpoint {clean(name)}.")


@app.command("abandon")
def abandon(
    context: typer.Context,
    where: Where,
    world: WorldOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Give up an interrupted restore that cannot be carried out; the world stays as it is."""
    asked = session(context, store, json)
    place = place_of(where, world=world)
    with store_of(asked) as opened:
        place.check_known(opened)
        found = abandon_restore(opened, place.name, actor=actor())
    if found is None:
        asked.out.one({"checkpoint": None, "before": None}, "There is no interrupted restore.")
        return
    last = [f"What was there before is the checkpoint {found.before}."] if found.before else []
    asked.out.one(
        {"checkpoint": found.checkpoint, "before": found.before},
        f"Gave up the restore to the checkpoint {found.checkpoint}.",
        *last,
    )


app.command("restore")(changing.restore)
app.command("merge")(changing.merge)
app.command("reset")(changing.reset)
app.command("export")(files.export)
app.command("import")(files.bring_in)
app.command("serve")(serve)
