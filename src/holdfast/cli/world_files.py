"""``holdfast world export`` and ``import``: whole worlds as files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, BinaryIO
from uuid import uuid4

import typer

from holdfast.cli.output import clean, counted
from holdfast.cli.session import JsonOption, StoreOption, session
from holdfast.cli.world_changing import turn
from holdfast.cli.world_opening import opened_place
from holdfast.cli.world_options import AccountOption, ExcludeOption, RegionOption, Where, WorldOption, place_of
from holdfast.cli.world_place import Use
from holdfast.errors import InvalidInput
from holdfast.worlds.checkpoints import check_checkpoint_name
from holdfast.worlds.exchange import Contents, UnreadableArchive, open_archive, write_archive


def export(
    context: typer.Context,
    where: Where,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to write; replaced if it is there.")],
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", metavar="NAME", help="What it was then; what it is now by default.")
    ] = None,
    exclude: ExcludeOption = None,
    account: AccountOption = None,
    region: RegionOption = None,
    world: WorldOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Write all of the world, bodies included, as one file. Equal states give equal bytes."""
    asked = session(context, store, json)
    place = place_of(where, account, region, world, exclude)
    with opened_place(asked, place, create=where.aws is None) as opened:
        views = opened.present() if checkpoint is None else opened.views(checkpoint)
        with _written(file) as target:
            contents = write_archive(target, opened.store, opened.world.services, views, opened.tell)
    asked.out.one(_described(file, contents), f"Wrote {_counted(contents)} of {place.shown} to {clean(str(file))}.")


def bring_in(
    context: typer.Context,
    where: Where,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `holdfast world export` wrote.")],
    only_checkpoint: Annotated[
        str | None,
        typer.Option(
            "--only-checkpoint", metavar="NAME", help="Keep it under that name, and leave the world as it is."
        ),
    ] = None,
    exclude: ExcludeOption = None,
    account: AccountOption = None,
    region: RegionOption = None,
    world: WorldOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Make the world what a file holds. What is there now is kept as a checkpoint without a name."""
    asked = session(context, store, json)
    place = place_of(where, account, region, world, exclude)
    if only_checkpoint is not None:
        check_checkpoint_name(only_checkpoint)
    use = Use(change=only_checkpoint is None, make=True)
    with open_archive(file) as archive, opened_place(asked, place, use, create=True) as opened:
        views = archive.take_in(opened.store, opened.world, opened.check_part, opened.tell)
        if only_checkpoint is None:
            turn(asked.out, place, opened, opened.completed(views), None, became=f"is as {clean(str(file))} has it")
            return
        made = opened.world.record(views, only_checkpoint)
    told = f"Kept {_counted(archive.contents)} as the checkpoint {only_checkpoint} of {place.shown}."
    asked.out.one(made, told)


@contextmanager
def _written(file: Path) -> Iterator[BinaryIO]:
    """All of it or nothing, also when this process is killed.

    Raises:
        InvalidInput: the path is none of a file.
        UnreadableArchive: it cannot be written.
    """
    _check_target(file)
    fresh = file.with_name(f".{file.name}.{uuid4().hex}")
    try:
        with fresh.open("xb") as target:
            yield target
            target.flush()
            os.fsync(target.fileno())
        fresh.replace(file)
    except OSError as error:
        raise UnreadableArchive(f"{clean(str(file))} cannot be written: {error.strerror}.") from error
    finally:
        with suppress(OSError, ValueError):
            fresh.unlink(missing_ok=True)


def _check_target(file: Path) -> None:
    """What is no file would be lost: a new one takes the place of whatever is there."""
    if file.name in ("", ".."):
        raise InvalidInput(
            f"{clean(str(file))!r} names no file.", remedy="Name the file to write, such as world.zip or out/world.zip."
        )
    with suppress(OSError):  # there is nothing yet, or nobody may look there, as writing will tell
        if not stat.S_ISREG(file.lstat().st_mode):
            raise InvalidInput(
                f"{clean(str(file))} is there, and no regular file.",
                remedy="Name a new file or a regular one; a directory, link, pipe or device is not replaced.",
            )


def _counted(contents: Contents) -> str:
    bodies = "1 body" if contents.bodies == 1 else f"{contents.bodies:,} bodies"
    return f"{counted(contents.resources, 'resource')} and {bodies}"


def _described(file: Path, contents: Contents) -> dict[str, Any]:
    return {"file": clean(str(file)), **contents._asdict()}
