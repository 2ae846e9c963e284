"""A world in a workflow: opened and checkpointed by durable calls, used by steps."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID
from weakref import WeakValueDictionary

from holdfast.errors import HoldfastError, InvalidInput, StoreBusy, StoreUnreachable
from holdfast.flows.ambient import current_flow, current_store
from holdfast.flows.engine.lease import host_id
from holdfast.flows.names import CHECKPOINT
from holdfast.flows.step_context import current_step, step_context
from holdfast.flows.steps import Commit, committing_step
from holdfast.rewind.errors import NoSinglePlace, WorldNotOpened, WorldNotRestored
from holdfast.rewind.model import Opening, own_opening
from holdfast.rewind.places import Aws, ServiceFactory, single_place
from holdfast.rewind.remains import Folder, expect_nothing_left, note_world
from holdfast.rewind.sql import SqlRewinds
from holdfast.store import Store, Transaction
from holdfast.worlds import Moment, Scope, StatefulService, World
from holdfast.worlds.aws.errors import WorldTakenOver
from holdfast.worlds.checkpoints import check_checkpoint_name
from holdfast.worlds.directory import DirectoryWorld
from holdfast.worlds.errors import RestorePending
from holdfast.worlds.ownership import check_owner, hold_scopes

if TYPE_CHECKING:
    from holdfast.worlds.aws import AwsWorld

T = TypeVar("T")
_TRIES = 5
_WAITS, _WAIT_SECONDS = 60, 1.0


class OpenedHere:
    """A world as this process has it open for one run of a flow.

    Args:
        flow_id: of the flow.
        name: as the workflow calls it.
        factories: of its services.
    """

    def __init__(self, flow_id: UUID, name: str, factories: tuple[ServiceFactory | Aws, ...]) -> None:
        self.flow_id = flow_id
        self.name = name
        self.opening: Opening | None = None
        self._factories = factories
        self._world: World | None = None
        self.aws: AwsWorld | None = None

    @property
    def world(self) -> World:
        """The world itself.

        Raises:
            WorldNotOpened: not yet.
        """
        if self._world is None:
            raise WorldNotOpened(self.name)
        return self._world

    def recover(self) -> None:
        """After a replay, before anything of the flow runs: carry out a restore that a rewind or fork has begun, and
        see that the scopes are still the flow's."""
        store = current_store()
        opening = self.opening or store.read(lambda tx: SqlRewinds(tx).opening(self.flow_id, self.name))
        if opening is None:
            return  # the call that opens it is still outstanding
        self.opening = opening
        if opening.single and single_place(self._factories) != opening.stored:
            raise WorldNotRestored(self.name, f"this flow has opened another directory, {opening.stored}.")
        try:
            patiently(lambda: self._attach(store, opening).recover())
            store.run(lambda tx: hold_scopes(tx, opening.stored, opening.scopes, self.flow_id), idempotent=True)
        except HoldfastError as error:
            raise WorldNotRestored(self.name, error.message) from error

    def open(self, name: str, scopes: list[Scope] | None) -> Commit:
        """The step that opens it: the scopes become the flow's, and what is there is kept as the opening checkpoint."""
        store = current_store()
        opening = self.opening = self._opening(name, scopes)
        patiently(lambda: expect_nothing_left(store, self.flow_id, opening.stored))
        world = patiently(lambda: self._attach(store, opening))
        store.read(lambda tx: check_owner(tx, opening.stored, opening.scopes, self.flow_id))
        capture = patiently(lambda: world.capture(opening.scopes))
        files = [one for one in world.services.values() if isinstance(one, DirectoryWorld)]
        folders = [Folder(str(one.root), scope) for one in files for scope in opening.scopes]

        def write(tx: Transaction, num: int) -> None:
            SqlRewinds(tx).begin(self.flow_id, opening.stored, num)
            note_world(tx, self.flow_id, opening, folders)
            hold_scopes(tx, opening.stored, opening.scopes, self.flow_id)
            capture.write(tx, moment=Moment(self.flow_id, num))

        return Commit(opening, write)

    def checkpoint(self, name: str | None) -> Commit:
        """The step that takes a checkpoint."""
        world, opening = self.world, self.opening
        assert opening is not None
        capture = patiently(lambda: world.capture(opening.scopes))

        def write(tx: Transaction, num: int) -> None:
            hold_scopes(tx, opening.stored, opening.scopes, self.flow_id)
            capture.write(tx, name=name, moment=Moment(self.flow_id, num))

        return Commit(name, write)

    def _opening(self, name: str, scopes: list[Scope] | None) -> Opening:
        place = single_place(self._factories)
        if place is not None:
            return Opening(name, place, tuple(scopes or [DirectoryWorld.LOCAL]), own=False, single=True)
        if scopes is not None:
            return Opening(name, name, tuple(scopes), own=False)
        chosen = (scope for one in self._factories if isinstance(one, Aws) for scope in one.scopes)
        return own_opening(name, self.flow_id, tuple(chosen))

    def _attach(self, store: Store, opening: Opening) -> World:
        if self._world is None:
            services: list[StatefulService[Any]] = []
            for make in self._factories:
                if isinstance(make, Aws):
                    self.aws = make.open(store, opening.stored, self._expect_rightful if opening.own else None)
                    services.extend(self.aws.services.values())
                else:
                    services.append(make(store))
            self._world = World(store, opening.stored, services, opening.scopes)
        return self._world

    def _expect_rightful(self, tx: Transaction) -> None:
        """A worker that was thought dead, and wakes up, is not to take the world from the one that has the flow now.

        Raises:
            WorldTakenOver: this process has the flow no more.
        """
        if SqlRewinds(tx).worker(self.flow_id) != (host_id(), os.getpid()):
            raise WorldTakenOver(self.name)


def patiently(work: Callable[[], T]) -> T:
    """``work``'s answer, asked for again while the database or another process's restore is in the way."""
    for _ in range(_WAITS):
        try:
            return work()
        except (StoreUnreachable, StoreBusy, RestorePending):
            time.sleep(_WAIT_SECONDS)
    return work()


class WorldHandle:
    """A world that a workflow has opened (:func:`holdfast.open_world`). Steps may be handed it: it is recorded as its
    name alone, and is in each flow that flow's own world."""

    def __init__(self, world: str, opened: OpenedHere | None = None) -> None:
        self.world = world
        self._opened = opened

    # -- in the workflow ----------------------------------------------------------------------------------------

    async def checkpoint(self, name: str | None = None) -> None:
        """Keep what the world is now, so that the flow can be rewound to here; a durable call. Take it when no step is
        running that may change the world.

        Args:
            name: by which ``rewind`` finds it; each at most once in a flow.

        Raises:
            InvalidScope: a name that cannot be one.
            StepFailed: the name is taken, or the world cannot be captured.
        """
        if name is not None:
            check_checkpoint_name(name)
        opened = self._here()
        for _ in range(_TRIES):
            taking = committing_step(opened.checkpoint, name=CHECKPOINT + self.world, raises=(RestorePending,))
            try:
                await taking(name)
            except RestorePending:  # somebody else's, of the same world, has overtaken this one
                continue
            return
        raise RestorePending(self.world)

    # -- in its steps -------------------------------------------------------------------------------------------

    @property
    def path(self) -> Path:
        """The folder with the world's files: of its one directory and scope.

        Raises:
            InvalidInput: outside a step.
            NoSinglePlace: it has no directory or several, or several scopes.
        """
        found = [one for one in self._inside().world.services.values() if isinstance(one, DirectoryWorld)]
        scopes = self.scopes
        if len(found) != 1 or len(scopes) != 1:
            raise NoSinglePlace(self.world)
        return found[0].place(*scopes[0])

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    @property
    def aws(self) -> AwsWorld:
        """The mock AWS: ``world.aws.client("s3")``, or ``with world.aws.patched():`` for code that uses boto3 itself.

        Raises:
            InvalidInput: outside a step, or the world is none.
        """
        found = self._inside().aws
        if found is None:
            raise InvalidInput(f"The world {self.world!r} is no mock AWS.", remedy="Open it with aws().")
        return found

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """The accounts and regions that are the flow's: for the services' own methods.

        Raises:
            InvalidInput: outside a step.
        """
        opening = self._inside().opening
        assert opening is not None
        return opening.scopes

    def service(self, name: str) -> StatefulService[Any]:
        """A service, by its ``service_name``.

        Raises:
            InvalidInput: outside a step; the world has none of that name.
        """
        services = self._inside().world.services
        if name not in services:
            raise InvalidInput(
                f"The world {self.world!r} has no service {name!r}.", remedy=f"It has {', '.join(sorted(services))}."
            )
        return services[name]

    def _inside(self) -> OpenedHere:
        current_step()  # a workflow's own code must not depend on what only steps may touch
        return self._here()

    def _here(self) -> OpenedHere:
        if self._opened is not None:
            return self._opened
        step, flow = step_context.get(), current_flow()
        flow_id = step.flow_id if step else flow.id if flow else ""
        found = _opened.get((flow_id, self.world))
        if found is None:
            raise WorldNotOpened(self.world)
        return found

    # -- as a value ---------------------------------------------------------------------------------------------

    def model_dump(self, mode: str = "json") -> dict[str, str]:
        """Its recorded form, for the codec."""
        return {"world": self.world}

    @classmethod
    def model_validate(cls, value: Any) -> WorldHandle:
        """From its recorded form, for the codec."""
        if isinstance(value, WorldHandle):
            return value
        if not isinstance(value, dict) or value.keys() != {"world"} or not isinstance(value["world"], str):
            raise ValueError(f"{value!r} is no world's handle")
        return cls(value["world"])

    def __deepcopy__(self, memo: Any) -> WorldHandle:
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WorldHandle) and other.world == self.world

    def __hash__(self) -> int:
        return hash(self.world)

    def __repr__(self) -> str:
        return f"<world {self.world}>"


_opened: WeakValueDictionary[tuple[str, str], OpenedHere] = WeakValueDictionary()
"""By flow and name; in it for as long as the workflow or a step of it has the handle."""


def remember(flow_id: str, opened: OpenedHere) -> WorldHandle:
    """The handle of a world that a flow has opened here."""
    _opened[flow_id, opened.name] = opened
    return WorldHandle(opened.name, opened)
