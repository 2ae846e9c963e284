"""A directory as a world: its name, its store, its files, as the commands of ``holdfast world`` open them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import structs
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from holdfast.audit.keys import environment_signer
from holdfast.cli.output import clean, human_console
from holdfast.cli.session import PATIENCE_SECONDS, Session
from holdfast.errors import InvalidId, InvalidInput, StoreMissing
from holdfast.ids import parse_id
from holdfast.store import Store, Transaction, open_store
from holdfast.store.sqlite import sqlite_path
from holdfast.worlds import Scope
from holdfast.worlds.checkpoints import Checkpoint, SqlCheckpoints
from holdfast.worlds.comparing import Part, Views, printable
from holdfast.worlds.directory import DirectoryWorld, Obstacle, StoreInside, TreeView
from holdfast.worlds.directory.exclusions import patterns_of
from holdfast.worlds.directory.naming import world_name
from holdfast.worlds.errors import CheckpointNotFound, InvalidScope, UnknownService
from holdfast.worlds.manifests import get_view
from holdfast.worlds.ownership import describe_scope
from holdfast.worlds.world import World

_MOST_NAMED = 5
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
        exclude: patterns of the names in it that are left alone.
    """

    path: Path
    name: str
    scope: Scope
    plain: bool
    exclude: tuple[str, ...] = ()


class Seen(NamedTuple):
    """What is there now, as it compares with a state that it may be made into.

    Attributes:
        views: of it, but for what cannot be compared.
        obstacles: what no view can hold.
        staying: folders that the state has not, and that stay, for they hold what is excluded.
    """

    views: Views
    obstacles: tuple[Obstacle, ...]
    staying: list[str]

    def to_object(self) -> dict[str, Any]:
        """For programs."""
        return {"unsupported": self.obstacles, "staying": self.staying}

    def lines(self) -> Iterator[str]:
        """For people."""
        for item in self.obstacles:
            yield f"? {printable(item.path)}: {printable(item.fault)}"
        for folder in self.staying:
            yield f"? {printable(folder)}: stays, for it holds what is excluded"


class OpenedPlace(NamedTuple):
    store: Store
    place: Place
    world: World
    files: DirectoryWorld

    @property
    def part(self) -> Part:
        return self.files.service_name, self.place.scope

    def find(self, wanted: str) -> Checkpoint:
        """The world's checkpoint of that name, or any world's of that id.

        Raises:
            CheckpointNotFound: there is none; it names the worlds that have one of that name.
        """

        def elsewhere(tx: Transaction) -> Checkpoint:
            checkpoints = SqlCheckpoints(tx)
            with suppress(InvalidId):
                if found := checkpoints.get(parse_id(wanted)):
                    return found
            raise CheckpointNotFound(self.place.name, wanted, checkpoints.worlds_with(wanted, limit=_MOST_NAMED))

        try:
            return self.world.find(wanted)
        except CheckpointNotFound:
            return self.store.read(elsewhere)

    def views(self, wanted: str) -> Views:
        """The view of these files that a checkpoint holds, or the one in a file.

        Raises:
            InvalidScope: the checkpoint holds nothing of this account and region.
            UnknownService: it holds there what is no directory.
        """
        try:
            found = self.find(wanted)
        except CheckpointNotFound:
            path = Path(wanted)
            if "\0" in wanted or not path.is_file():
                raise
            try:
                return {self.part: self.files.decode(path.read_bytes())}
            except OSError as error:
                raise UnreadableView(f"{path} cannot be read: {error.strerror}.") from error
        states = [state for state in found.states if state.scope == self.place.scope]
        if not states:
            where = describe_scope(found.world, self.place.scope)
            held = " or ".join(f"--account {a} --region {r}" for a, r in sorted({s.scope for s in found.states}))
            raise InvalidScope(f"The checkpoint {wanted} holds nothing of {where}.", remedy=f"It holds: {held}.")
        for state in states:
            if state.service != self.files.service_name:
                raise UnknownService(found.world, state.service)
        return {self.part: self.store.read(lambda tx: get_view(tx, states[0].manifest, self.files))}

    def excluding(self, views: Views) -> OpenedPlace:
        """The same place, without what was left out of ``views``: it would pass for removed since."""
        noted = {pattern for view in views.values() for pattern in patterns_of(view.not_captured)}
        if noted.issubset(self.place.exclude):
            return self
        return _opened(self.store, self.place._replace(exclude=(*self.place.exclude, *noted)))

    def checkpoint(self, wanted: str, views: Views) -> Checkpoint:
        """The checkpoint ``wanted``, if it is this world's and of ``views`` alone; else one made of them."""
        with suppress(CheckpointNotFound):
            found = self.world.find(wanted)
            if {(state.service, state.scope) for state in found.states} == views.keys():
                return found
        return self.world.record(views)

    def compared(self, views: Views) -> Seen:
        """What is there now, to be compared with ``views``."""
        self.world.recover()
        survey = self.files.survey(*self.place.scope)
        staying = sorted(survey.holding - views[self.part].resources.keys())
        return Seen({self.part: without(survey.view, staying)}, survey.obstacles, staying)


def without(view: TreeView, names: Iterable[str]) -> TreeView:
    """``view`` but for these resources."""
    left_out = set(names)
    kept = {name: entry for name, entry in view.resources.items() if name not in left_out}
    return structs.replace(view, resources=kept)


def place_of(
    directory: Path,
    account: str | None,
    region: str | None,
    world: str | None,
    exclude: Iterable[str] | None = None,
) -> Place:
    """Raises:
    InvalidInput: an account without a region, or the other way round.
    """
    if (account is None) != (region is None):
        raise InvalidInput("--account and --region go together.", remedy="Give both, or neither for DIR itself.")
    name = world or world_name(directory)
    if account is None or region is None:
        return Place(directory, name, DirectoryWorld.LOCAL, True, tuple(exclude or ()))
    return Place(directory, name, Scope(account, region), False, tuple(exclude or ()))


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
        yield _opened(store, place)


def _opened(store: Store, place: Place) -> OpenedPlace:
    files = (DirectoryWorld.at if place.plain else DirectoryWorld)(place.path, store, exclude=place.exclude)
    return OpenedPlace(store, place, World(store, place.name, [files], [place.scope]), files)


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
