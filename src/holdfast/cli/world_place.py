"""A directory as a world: its name, its store, its files, as the commands of ``holdfast world`` open them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from holdfast.audit.keys import environment_signer
from holdfast.cli.output import clean, human_console
from holdfast.cli.session import PATIENCE_SECONDS, Session
from holdfast.errors import InvalidInput, StoreMissing
from holdfast.store import Store, open_store
from holdfast.store.sqlite import sqlite_path
from holdfast.worlds import Scope
from holdfast.worlds.checkpoints import Checkpoint
from holdfast.worlds.comparing import Part, Views
from holdfast.worlds.directory import DirectoryWorld, StoreInside
from holdfast.worlds.errors import CheckpointNotFound
from holdfast.worlds.world import World

_BASENAME = 40
_NO_STORE = "Name another store by --store or HOLDFAST_URL; `holdfast world checkpoint` makes a new one."


class StoreInMemory(InvalidInput):
    """The store would end with the command, and all that was kept with it."""

    code = "store_in_memory"
    remedy = "Name a store that lasts by --store or HOLDFAST_URL, such as sqlite:///holdfast.db."


class UnreadableView(InvalidInput):
    """A view's file that cannot be read or written."""

    code = "unreadable_view"
    remedy = "Write one by `holdfast world snapshot DIR --out FILE`."


class Place(NamedTuple):
    """A directory as the commands see it.

    Attributes:
        path: as it was named.
        name: of its world.
        scope: the account and region in which its files are.
        plain: the directory itself is the tree of that scope.
    """

    path: Path
    name: str
    scope: Scope
    plain: bool


class OpenedPlace(NamedTuple):
    world: World
    files: DirectoryWorld
    scope: Scope

    def views(self, wanted: str) -> dict[Part, Any]:
        """The views of a checkpoint, or the one in a file."""
        try:
            return self.world.views(wanted)
        except CheckpointNotFound:
            path = Path(wanted)
            if "\0" in wanted or not path.is_file():
                raise
            try:
                return {(self.files.service_name, self.scope): self.files.decode(path.read_bytes())}
            except OSError as error:
                raise UnreadableView(f"{path} cannot be read: {error.strerror}.") from error

    def checkpoint(self, wanted: str, views: Views) -> Checkpoint:
        """The checkpoint of that name, or one made of the file's view."""
        try:
            return self.world.find(wanted)
        except CheckpointNotFound:
            return self.world.record(views)


def place_of(directory: Path, account: str | None, region: str | None, world: str | None) -> Place:
    """Raises:
    InvalidInput: an account without a region, or the other way round.
    """
    if (account is None) != (region is None):
        raise InvalidInput("--account and --region go together.", remedy="Give both, or neither for DIR itself.")
    name = world or world_name(directory)
    if account is None or region is None:
        return Place(directory, name, DirectoryWorld.LOCAL, True)
    return Place(directory, name, Scope(account, region), False)


def world_name(directory: Path) -> str:
    """A name that says which directory it is, and that no other directory has."""
    path = directory.resolve()
    base = "".join(ch if ch.isascii() and ch.isalnum() else "-" for ch in path.name).strip("-")[:_BASENAME]
    return f"{base or 'root'}-{sha256(bytes(path)).hexdigest()[:12]}"


@contextmanager
def opened_place(asked: Session, place: Place, *, create: bool = False) -> Iterator[OpenedPlace]:
    """The directory as a world, while a spinner turns.

    Args:
        create: make the store where there is none.
    """
    console = human_console(sys.stderr)
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    quiet = asked.out.json or not console.is_terminal
    _refuse_inside(asked.url, place.path)
    with (
        store_of(asked, create=create) as store,
        Progress(*columns, console=console, disable=quiet, transient=True) as shown,
    ):
        shown.add_task(clean(str(place.path)), total=None)
        files = (DirectoryWorld.at if place.plain else DirectoryWorld)(place.path, store)
        yield OpenedPlace(World(store, place.name, [files], [place.scope]), files, place.scope)


@contextmanager
def store_of(asked: Session, *, create: bool = False) -> Iterator[Store]:
    """The store, which is left as it is where it is there: to migrate it is up to its workers.

    Args:
        create: make it where there is none.
    """
    with ExitStack() as ending:
        try:
            store = ending.enter_context(asked.store())
        except StoreMissing as error:
            if not create:
                raise StoreMissing(error.message, remedy=_NO_STORE) from None
            store = ending.enter_context(open_store(asked.url, signer=environment_signer(), patience=PATIENCE_SECONDS))
        if store.backend.local:
            raise StoreInMemory(f"The store {store.url} is in memory.")
        yield store


def _refuse_inside(url: str, directory: Path) -> None:
    if not url.startswith("sqlite:///"):
        return
    path, inside = sqlite_path(url.removeprefix("sqlite:///")).resolve(), directory.resolve()
    if path.is_relative_to(inside):
        raise StoreInside(path, inside)  # before one is made there
