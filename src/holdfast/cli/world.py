"""``holdfast world``: checkpoints of a directory of files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from holdfast.cli.listing import listed
from holdfast.cli.output import clean, counted
from holdfast.cli.session import AfterOption, JsonOption, LimitOption, StoreOption, actor, flow_named, session
from holdfast.cli.world_place import Seen, UnreadableView, opened_place, place_of, store_of, without
from holdfast.worlds import MergeReport
from holdfast.worlds.checkpoints import Checkpoint, SqlCheckpoints
from holdfast.worlds.comparing import Part, WorldDiff, compare, describe_change, printable
from holdfast.worlds.directory.naming import world_name
from holdfast.worlds.model import Change, encode_view
from holdfast.worlds.restoring import abandon_restore

app = typer.Typer(help="Checkpoint, restore, merge and compare the files of a directory.", no_args_is_help=True)
_STYLES = {"+": "green", "-": "red", "~": "yellow", "!": "yellow", "?": "yellow"}

Directory = Annotated[
    Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="The directory; its files are the world.")
]
Wanted = Annotated[str, typer.Argument(metavar="NAME|FILE", help="A checkpoint's name or id, or a view in a file.")]
WorldOption = Annotated[
    str | None, typer.Option("--world", metavar="NAME", help="The world's name; made from DIR's path by default.")
]
AccountOption = Annotated[
    str | None, typer.Option("--account", help="With --region: the files of DIR/ACCOUNT/REGION alone.")
]
RegionOption = Annotated[str | None, typer.Option("--region", help="With --account.")]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="PATTERN",
        help="Leave such names alone: .venv, *.pyc, docs/build. May be given several times.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")]


class MergePolicy(StrEnum):
    """What a merge does about a resource that both have, differently."""

    KEEP = "keep"
    FAIL = "fail"
    REPLACE = "replace"


@app.command("snapshot")
def snapshot(
    context: typer.Context,
    directory: Directory,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write there, not to stdout.")] = None,
    exclude: ExcludeOption = None,
    account: AccountOption = None,
    region: RegionOption = None,
    world: WorldOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Print what the directory is now as a view in JSON; the bodies go into the store."""
    asked = session(context, store, json)
    with opened_place(asked, place_of(directory, account, region, world, exclude), create=True) as opened:
        (view,) = opened.world.snapshot([opened.place.scope]).values()
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
    directory: Directory,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    exclude: ExcludeOption = None,
    account: AccountOption = None,
    region: RegionOption = None,
    world: WorldOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Keep what the directory is now. Costs what changed since the last checkpoint."""
    asked = session(context, store, json)
    with opened_place(asked, place_of(directory, account, region, world, exclude), create=True) as opened:
        made = opened.world.checkpoint(name, [opened.place.scope])
    asked.out.one(made, f"Kept {counted(_resources(made), 'resource')} of {clean(str(directory))} as {name}.")


@app.command("ls")
def list_checkpoints(
    context: typer.Context,
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", exists=True, file_okay=False, help="Only this directory's checkpoints."),
    ] = None,
    world: WorldOption = None,
    limit: LimitOption = 50,
    after: AfterOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """List checkpoints, newest first."""
    asked = session(context, store, json)
    name = world or (world_name(directory) if directory else None)
    with store_of(asked) as opened:
        page = opened.read(lambda tx: SqlCheckpoints(tx).list(name, limit=limit, after=after))
    rows = [
        (c.id, c.world, c.name, c.created_at, _resources(c), c.run, c.position, "undone" if c.superseded else "")
        for c in page.items
    ]
    columns = ("id", "world", "name", "at", "resources", "run", "position", "")
    asked.out.many(page.items, page.next, *listed("No checkpoints.", columns, rows, page.next))


@app.command("diff")
def diff(
    context: typer.Context,
    directory: Directory,
    before: Wanted,
    after: Annotated[
        str | None, typer.Argument(metavar="[NAME|FILE]", help="The same; what is there now by default.")
    ] = None,
    exclude: ExcludeOption = None,
    account: AccountOption = None,
    region: RegionOption = None,
    world: WorldOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Show what changed from one state to another: + new, ~ changed, - gone, ? what no view can hold."""
    asked = session(context, store, json)
    with opened_place(asked, place_of(directory, account, region, world, exclude)) as opened:
        old = opened.views(before)
        if after is not None:
            new, seen = opened.views(after), None
        else:
            seen = opened.excluding(old).compared(old)
            new = seen.views
    found = compare(old, new)
    asked.out.one(found.to_object() | (seen.to_object() if seen else {}), *_shown(found, seen))


@app.command("restore")
def restore(
    context: typer.Context,
    directory: Directory,
    wanted: Wanted,
    dry_run: DryRun = False,
    discard: Annotated[
        bool, typer.Option("--discard", help="First remove, for good, links that leave DIR, pipes and sockets.")
    ] = False,
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="On behalf of the run that owns it.")] = None,
    exclude: ExcludeOption = None,
    account: AccountOption = None,
    region: RegionOption = None,
    world: WorldOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Make the directory what it was. What is there now is kept as a checkpoint without a name."""
    asked = session(context, store, json)
    with opened_place(asked, place_of(directory, account, region, world, exclude)) as opened:
        owner = None if run is None else flow_named(opened.store, run)
        views = opened.views(wanted)
        opened = opened.excluding(views)
        opened.world.check(views)
        seen = opened.compared(views)
        found = compare(seen.views, views)
        told: dict[str, Any] = {"checkpoint": None, "before": None, "discarded": []}
        last = ["Nothing was changed."] if dry_run else []
        if not dry_run and (found or seen.obstacles):
            target = opened.checkpoint(wanted, views)
            done = opened.world.restore(target, run=owner, actor=actor(), discard=discard)
            before = opened.world.views(done.before)
            found = compare({part: without(view, seen.staying) for part, view in before.items()}, views)
            seen = seen._replace(obstacles=())
            told = {"checkpoint": done.checkpoint.id, "before": done.before.id, "discarded": done.discarded}
            last = [f"Discarded {printable(name)}." for name in done.discarded]
            last.append(f"{clean(str(directory))} is restored. What was there is the checkpoint {done.before.id}.")
    asked.out.one(
        told | {"dry_run": dry_run, "diff": found.to_object()} | seen.to_object(), *_shown(found, seen), *last
    )


@app.command("merge")
def merge(
    context: typer.Context,
    directory: Directory,
    wanted: Wanted,
    policy: Annotated[
        MergePolicy, typer.Option(help="What to do about what both have, differently.")
    ] = MergePolicy.KEEP,
    dry_run: DryRun = False,
    exclude: ExcludeOption = None,
    account: AccountOption = None,
    region: RegionOption = None,
    world: WorldOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Add what the directory has not; nothing is removed, and nothing replaced unless --policy replace."""
    asked = session(context, store, json)
    with opened_place(asked, place_of(directory, account, region, world, exclude)) as opened:
        views = opened.views(wanted)
        opened = opened.excluding(views)
        opened.world.check(views)
        reports = {
            part: opened.world.services[part[0]].merge(*part[1], view, policy=policy.value, dry_run=dry_run)
            for part, view in views.items()
        }
    lines = [line for report in reports.values() for line in _merged(report)]
    last = "Nothing was changed." if dry_run else f"Merged into {clean(str(directory))}."
    asked.out.one(
        {"dry_run": dry_run, "policy": policy, "parts": [_report_object(*item) for item in reports.items()]},
        *map(_styled, lines),
        last,
    )


@app.command("forget")
def forget(
    context: typer.Context,
    directory: Directory,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The checkpoint's name or id.")],
    exclude: ExcludeOption = None,
    account: AccountOption = None,
    region: RegionOption = None,
    world: WorldOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Delete a checkpoint; the directory stays as it is."""
    asked = session(context, store, json)
    with opened_place(asked, place_of(directory, account, region, world, exclude)) as opened:
        found = opened.find(name)
        opened.store.run(lambda tx: SqlCheckpoints(tx).delete(found), idempotent=True)
    asked.out.one(found, f"Forgot the checkpoint {clean(name)}.")


@app.command("abandon")
def abandon(
    context: typer.Context,
    directory: Directory,
    world: WorldOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Give up an interrupted restore that cannot be carried out; the directory stays as it is."""
    asked = session(context, store, json)
    with store_of(asked) as opened:
        found = abandon_restore(opened, world or world_name(directory), actor=actor())
    if found is None:
        asked.out.one({"checkpoint": None, "before": None}, "There is no interrupted restore.")
        return
    last = [f"What was there before is the checkpoint {found.before}."] if found.before else []
    asked.out.one(
        {"checkpoint": found.checkpoint, "before": found.before},
        f"Gave up the restore to the checkpoint {found.checkpoint}.",
        *last,
    )


def _resources(checkpoint: Checkpoint) -> int:
    return sum(state.resources for state in checkpoint.states)


def _shown(found: WorldDiff, seen: Seen | None) -> list[RenderableType]:
    lines = [*found.lines(), *(seen.lines() if seen else ())]
    return [_styled(line) for line in lines] or ["No differences."]


def _styled(line: str) -> Text:
    return Text(clean(line), style=_STYLES.get(line[0], "bold"))


def _merged(report: MergeReport[Any]) -> Iterator[str]:
    for name in report.added:
        yield f"+ {printable(name)}"
    for conflict in report.conflicts:
        described = describe_change(Change(conflict.resource, conflict.mine, conflict.theirs))
        yield f"! {described.removeprefix('~ ')} ({conflict.resolution})"


def _report_object(part: Part, report: MergeReport[Any]) -> dict[str, Any]:
    service, scope = part
    return {
        "service": service,
        "account_id": scope.account_id,
        "region": scope.region,
        "added": report.added,
        "conflicts": report.conflicts,
    }
