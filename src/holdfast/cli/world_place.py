"""What the first argument of ``holdfast world`` names: a world, as its commands open it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from holdfast.audit.keys import environment_signer
from holdfast.cli.session import PATIENCE_SECONDS, Session, actor
from holdfast.errors import InvalidId, InvalidInput, StoreMissing
from holdfast.ids import parse_id
from holdfast.store import Store, Transaction, open_store
from holdfast.worlds.checkpoints import Checkpoint, SqlCheckpoints, State
from holdfast.worlds.comparing import Part, Views, printable
from holdfast.worlds.directory import Obstacle
from holdfast.worlds.errors import CheckpointNotFound, UnknownService
from holdfast.worlds.manifests import get_view
from holdfast.worlds.restoring import Restored
from holdfast.worlds.world import World

Told = Callable[[int, int], None]
_NO_STORE = "Name another store by --store or HOLDFAST_URL; `holdfast world checkpoint` makes a new one."
_ARCHIVE = b"PK\x03\x04"


class StoreInMemory(InvalidInput):
    """The store would end with the command, and all that was kept with it."""

    code = "store_in_memory"
    remedy = "Name a store that lasts by --store or HOLDFAST_URL, such as sqlite:///holdfast.db."


class UnreadableView(InvalidInput):
    """A view's file that cannot be read or written."""

    code = "unreadable_view"
    remedy = "Write one by `holdfast world snapshot PLACE --out FILE`."


class Use(NamedTuple):
    """What a command is going to do with a place.

    Attributes:
        change: the world, not only what is kept of it.
        make: the world, where there is none.
    """

    change: bool = False
    make: bool = False


LOOK = Use()


class Seen(NamedTuple):
    """What is there now, as it compares with a state that it may be made into.

    Attributes:
        views: of it, but for what cannot be compared.
        obstacles: what no view can hold.
        staying: folders that the state has not, and that stay, for they hold what is excluded.
    """

    views: Views
    obstacles: tuple[Obstacle, ...] = ()
    staying: Sequence[str] = ()

    def to_object(self) -> dict[str, Any]:
        """For programs."""
        return {"unsupported": self.obstacles, "staying": self.staying}

    def lines(self) -> Iterator[str]:
        """For people."""
        for item in self.obstacles:
            yield f"? {printable(item.path)}: {printable(item.fault)}"
        for folder in self.staying:
            yield f"? {printable(folder)}: stays, for it holds what is excluded"


class Place(Protocol):
    """A world, as the command line names it."""

    @property
    def name(self) -> str:
        """The world's, within the store."""
        ...

    @property
    def shown(self) -> str:
        """What people call it."""
        ...

    def check_url(self, url: str) -> None:
        """Raises:
        StoreInside: the store would be in the world.
        """
        ...

    def check_known(self, store: Store) -> None:
        """Raises:
        WorldNotFound: there is no such world.
        """
        ...

    def open(self, store: Store, use: Use) -> AbstractContextManager[OpenedPlace]:
        """The world itself.

        Raises:
            WorldAttached: another process has it, and it is to be changed.
        """
        ...


class OpenedPlace(ABC):
    """A world that a command works on.

    Attributes:
        store: where its checkpoints are.
        world: all of it.
        tell: shows how far a long work is.
    """

    def __init__(self, store: Store, name: str, world: World) -> None:
        self.store = store
        self.name = name
        self.world = world
        self.tell: Told = lambda done, total: None

    @abstractmethod
    def present(self) -> Views:
        """What is there now, as far as the command was to look."""

    @abstractmethod
    def keep(self, name: str) -> Checkpoint:
        """A new checkpoint of what is there now."""

    @abstractmethod
    def one(self) -> tuple[Part, Any]:
        """The one view that is there now, as far as the command was to look.

        Raises:
            InvalidInput: there are several.
        """

    @abstractmethod
    def held(self, found: Checkpoint) -> list[State]:
        """What a checkpoint holds, as far as the command was to look.

        Raises:
            InvalidScope: nothing.
        """

    @abstractmethod
    def decode(self, text: bytes) -> Views:
        """The view that a file holds.

        Raises:
            InvalidView, ViewVersion, UnknownService: none of this world.
        """

    @abstractmethod
    def check_part(self, part: Part) -> None:
        """Raises:
        InvalidScope: the world has no such account and region.
        """

    @abstractmethod
    def compared(self, views: Views) -> Seen:
        """What is there now, to be compared with ``views``."""

    def prefix(self, part: Part) -> str | None:
        """What people read before the name of each resource; ``None``: parts are told apart by headings."""
        return None

    def fitting(self, views: Views) -> OpenedPlace:
        """The same place, set up to take ``views``."""
        return self

    def completed(self, views: Views) -> Views:
        """``views`` as the state of the whole world: with all that is to be empty then."""
        return views

    def namesakes(self, tx: Transaction, wanted: str) -> Sequence[str]:
        """Other worlds that have a checkpoint of that name, which the user may have meant."""
        return ()

    def find(self, wanted: str) -> Checkpoint:
        """The world's checkpoint of that name, or any world's of that id.

        Raises:
            CheckpointNotFound: there is none; it names the worlds that have one of that name.
        """

        def elsewhere(tx: Transaction) -> Checkpoint:
            with suppress(InvalidId):
                if found := SqlCheckpoints(tx).get(parse_id(wanted)):
                    return found
            raise CheckpointNotFound(self.name, wanted, self.namesakes(tx, wanted))

        try:
            return self.world.find(wanted)
        except CheckpointNotFound:
            return self.store.read(elsewhere)

    def views(self, wanted: str) -> Views:
        """What a checkpoint holds, or the view in a file.

        Raises:
            InvalidScope: the checkpoint holds nothing of what the command was to look at.
            UnknownService: it holds what this world has not.
        """
        try:
            found = self.find(wanted)
        except CheckpointNotFound:
            path = Path(wanted)
            if "\0" in wanted or not path.is_file():
                raise
            return self.decode(_read(path))
        states = self.held(found)
        for state in states:
            if state.service not in self.world.services:
                raise UnknownService(found.world, state.service)
        services = self.world.services
        return self.store.read(lambda tx: {_part(s): get_view(tx, s.manifest, services[s.service]) for s in states})

    def target(self, wanted: str) -> Views:
        """What the place would be once ``wanted`` is restored."""
        return self.views(wanted)

    def checkpoint(self, wanted: str, views: Views) -> Checkpoint:
        """The checkpoint ``wanted``, if it is this world's and of ``views`` alone; else one made of them."""
        with suppress(CheckpointNotFound):
            found = self.world.find(wanted)
            if {_part(state) for state in found.states} == views.keys():
                return found
        return self.world.record(views)

    def restore(self, target: Checkpoint, *, run: UUID | None = None, discard: bool = False) -> Restored:
        """See :meth:`holdfast.worlds.World.restore`."""
        return self.world.restore(target, run=run, actor=actor(), discard=discard)


def _part(state: State) -> Part:
    return state.service, state.scope


def _read(path: Path) -> bytes:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise UnreadableView(f"{path} cannot be read: {error.strerror}.") from error
    if text.startswith(_ARCHIVE):
        remedy = "Bring it in by `holdfast world import PLACE FILE --only-checkpoint NAME`, and name that checkpoint."
        raise UnreadableView(f"{path} is an archive, not a view.", remedy=remedy)
    return text


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
