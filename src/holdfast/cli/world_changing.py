"""``holdfast world restore``, ``merge`` and ``reset``: what changes a world."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
import typer

from holdfast.cli.output import Output
from holdfast.cli.session import JsonOption, StoreOption, flow_named, session
from holdfast.cli.world_directory import without
from holdfast.cli.world_opening import opened_place
from holdfast.cli.world_options import (
    AccountOption,
    Discard,
    DryRun,
    ExcludeOption,
    RegionOption,
    ServiceOption,
    Wanted,
    Where,
    WorldOption,
    place_of,
)
from holdfast.cli.world_place import OpenedPlace, Place, Use
from holdfast.cli.world_showing import merge_object, shown_diff, shown_merge
from holdfast.worlds import MergeConflict, MergeReport
from holdfast.worlds.comparing import Part, Views, compare, printable


class MergePolicy(StrEnum):
    """What a merge does about a resource that both have, differently."""

    KEEP = "keep"
    FAIL = "fail"
    REPLACE = "replace"


def restore(
    context: typer.Context,
    where: Where,
    wanted: Wanted,
    dry_run: DryRun = False,
    discard: Discard = False,
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="On behalf of the run that owns it.")] = None,
    exclude: ExcludeOption = None,
    account: AccountOption = None,
    region: RegionOption = None,
    service: ServiceOption = None,
    world: WorldOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Make the world what it was. What is there now is kept as a checkpoint without a name."""
    asked = session(context, store, json)
    place = place_of(where, account, region, world, exclude, service)
    with opened_place(asked, place, Use(change=not dry_run)) as opened:
        owner = None if run is None else flow_named(opened.store, run)
        views = opened.target(wanted)
        turn(asked.out, place, opened, views, wanted, dry_run=dry_run, discard=discard, run=owner)


def reset(
    context: typer.Context,
    where: Where,
    dry_run: DryRun = False,
    discard: Discard = False,
    exclude: ExcludeOption = None,
    account: AccountOption = None,
    region: RegionOption = None,
    service: ServiceOption = None,
    world: WorldOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Empty the world. What is there now is kept as a checkpoint without a name."""
    asked = session(context, store, json)
    place = place_of(where, account, region, world, exclude, service)
    with opened_place(asked, place, Use(change=not dry_run)) as opened:
        views = {part: msgspec.structs.replace(view, resources={}) for part, view in opened.present().items()}
        turn(asked.out, place, opened, views, None, became="is empty", dry_run=dry_run, discard=discard)


def merge(
    context: typer.Context,
    where: Where,
    wanted: Wanted,
    policy: Annotated[
        MergePolicy, typer.Option(help="What to do about what both have, differently.")
    ] = MergePolicy.KEEP,
    dry_run: DryRun = False,
    exclude: ExcludeOption = None,
    account: AccountOption = None,
    region: RegionOption = None,
    service: ServiceOption = None,
    world: WorldOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Add what the world has not; nothing is removed, and nothing replaced unless --policy replace."""
    asked = session(context, store, json)
    place = place_of(where, account, region, world, exclude, service)
    with opened_place(asked, place, Use(change=not dry_run)) as opened:
        views = opened.views(wanted)
        opened = opened.fitting(views)
        opened.world.check(views)
        reports = _merged(opened, views, policy, dry_run=True)
        for part, report in reports.items():
            if policy is MergePolicy.FAIL and report.conflicts and not dry_run:
                raise MergeConflict(part[0], report)  # before anything of another part is merged
        if not dry_run:
            reports = _merged(opened, views, policy, dry_run=False)
    lines = [line for part, report in reports.items() for line in shown_merge(opened, part, report)]
    last = "Nothing was changed." if dry_run else f"Merged into {place.shown}."
    parts = [merge_object(part, report) for part, report in reports.items()]
    asked.out.one({"dry_run": dry_run, "policy": policy, "parts": parts}, *lines, last)


def turn(
    out: Output,
    place: Place,
    opened: OpenedPlace,
    views: Views,
    wanted: str | None,
    *,
    became: str = "is restored",
    dry_run: bool = False,
    discard: bool = False,
    run: UUID | None = None,
) -> None:
    """Make the world ``views``, and tell what that has changed.

    Args:
        wanted: the checkpoint that they may be of.
        became: what people read of the place then.
    """
    opened = opened.fitting(views)
    opened.world.check(views)
    seen = opened.compared(views)
    found = compare(seen.views, views)
    told: dict[str, Any] = {"checkpoint": None, "before": None, "discarded": []}
    last = ["Nothing was changed."] if dry_run else []
    if not dry_run and (found or seen.obstacles):
        target = opened.world.record(views) if wanted is None else opened.checkpoint(wanted, views)
        done = opened.restore(target, run=run, discard=discard)
        before = opened.world.views(done.before)
        found = compare({part: without(view, seen.staying) for part, view in before.items()}, views)
        seen = seen._replace(obstacles=())
        told = {"checkpoint": done.checkpoint.id, "before": done.before.id, "discarded": done.discarded}
        last = [f"Discarded {printable(name)}." for name in done.discarded]
        last.append(f"{place.shown} {became}. What was there is the checkpoint {done.before.id}.")
    answer = told | {"dry_run": dry_run, "diff": found.to_object()} | seen.to_object()
    out.one(answer, *shown_diff(opened, found, seen), *last)


def _merged(opened: OpenedPlace, views: Views, policy: MergePolicy, *, dry_run: bool) -> dict[Part, MergeReport[Any]]:
    services = opened.world.services
    return {
        part: services[part[0]].merge(*part[1], view, policy=policy.value, dry_run=dry_run)
        for part, view in views.items()
    }
