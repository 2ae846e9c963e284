"""What can go wrong with a world, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from holdfast.errors import Conflict, HoldfastError, InvalidInput, NotFound


class StateViewError(HoldfastError):
    """A view cannot be taken, restored or merged. Nothing was changed."""

    code = "state_view"


class InvalidView(StateViewError, InvalidInput):
    """A view that does not fit its service (WO-2).

    Attributes:
        path: where in the view, e.g. ``$.resources["a.txt"].mode``.
    """

    code = "invalid_view"
    remedy = "Take the view from a snapshot of this service, and change it only within its types."

    def __init__(self, service: str, path: str, fault: str) -> None:
        super().__init__(f"The view of {service} is invalid at {path}: {fault}.")
        self.path = path


class ViewVersion(StateViewError, InvalidInput):
    """A view of another version than this service writes (WO-7).

    Attributes:
        found, known: the two versions.
    """

    code = "view_version"
    remedy = "Restore it with the Holdfast version that took it, and snapshot anew."

    def __init__(self, service: str, found: object, known: int) -> None:
        super().__init__(f"The view of {service} has version {found!r}, this service knows {known}.")
        self.found = found
        self.known = known


class MissingBlob(StateViewError, NotFound):
    """A view names bodies that are not stored here.

    Attributes:
        digests: their SHA-256, in hex.
    """

    code = "missing_blob"
    remedy = "Restore into the store in which the snapshot was taken, or bring its bodies along."

    def __init__(self, digests: Iterable[str]) -> None:
        self.digests = sorted(digests)
        super().__init__(f"{len(self.digests)} bodies of the view are not stored here, first {self.digests[0]}.")


class RevisionGone(StateViewError, NotFound):
    """An event's view was asked for when its revision could not be computed any more.

    Attributes:
        revision: that was asked for.
    """

    code = "revision_gone"
    remedy = "Ask for an event's view soon, in its listener; or snapshot the present state."

    def __init__(self, service: str, scope: tuple[str, str], revision: int) -> None:
        super().__init__(
            f"Revision {revision} of {service} in {'/'.join(scope)} is gone: other processes changed too much since."
        )
        self.revision = revision


class WorldShared(StateViewError, Conflict):
    """A scope belongs to another run, so that this one may not rewind it (WO-13).

    Attributes:
        scope: world, account and region, as text.
        owner: whose it is.
    """

    code = "world_shared"
    remedy = "Rewind the owning run, or fork: a fork gets a copy of its own."

    def __init__(self, scope: str, owner: str) -> None:
        super().__init__(f"{scope} belongs to {owner}.")
        self.scope = scope
        self.owner = owner


class InvalidScope(InvalidInput):
    """An account, region or world name that cannot be one."""

    code = "invalid_scope"
    remedy = "Use 1 to 64 letters, digits, '-', '_' or '.', beginning with a letter or digit."


class CheckpointNotFound(NotFound):
    """The world has no checkpoint of that name or id."""

    code = "checkpoint_not_found"
    remedy = "List the world's checkpoints: `holdfast world ls`, or world.checkpoints()."

    def __init__(self, world: str, wanted: str, elsewhere: Sequence[str] = ()) -> None:
        others = " or ".join(f"--world {name}" for name in elsewhere)
        remedy = f"Other worlds of this store have one of that name: {others}." if others else None
        super().__init__(f"The world {world} has no checkpoint {wanted!r}.", remedy=remedy)


class CheckpointExists(Conflict):
    """The world has a checkpoint of that name."""

    code = "checkpoint_exists"
    remedy = "Choose another name, or forget the old one first: `holdfast world forget`, or world.forget(name)."

    def __init__(self, world: str, name: str) -> None:
        super().__init__(f"The world {world} has a checkpoint {name!r} already.")


class CheckpointInUse(Conflict):
    """A restore that has begun needs the checkpoint."""

    code = "checkpoint_in_use"
    remedy = "Finish the restore first: opening the world carries it out."


class RestorePending(Conflict):
    """A restore of the world is under way in another process (WO-10).

    Attributes:
        world: its name.
    """

    code = "restore_pending"
    remedy = "Wait for it to end; if its process has died, opening the world carries the restore out."

    def __init__(self, world: str) -> None:
        super().__init__(f"The world {world} is being restored.")
        self.world = world


class RestoreStuck(StateViewError, Conflict):
    """A restore that has begun cannot be carried out: what it needs is gone, or no service takes it (WO-10)."""

    code = "restore_stuck"
    remedy = (
        "Mend what it names; or give the restore up, which leaves the world as it is: `holdfast world abandon`, "
        "or holdfast.worlds.restoring.abandon_restore(store, world)."
    )

    def __init__(self, world: str, checkpoint: str, fault: str) -> None:
        super().__init__(f"The restore of the world {world} to {checkpoint} cannot go on: {fault}")


class RestoreLost(Conflict):
    """Another process has taken this restore over, and carries it out (WO-10)."""

    code = "restore_lost"
    remedy = "Nothing to do: the world comes to the same checkpoint by the other process."

    def __init__(self, world: str) -> None:
        super().__init__(f"The restore of the world {world} was taken over by another process.")


class UnknownService(InvalidInput):
    """A state of a service that the world was not opened with."""

    code = "unknown_service"
    remedy = "Open the world with all of its services."

    def __init__(self, world: str, service: str, known: Iterable[str] = ()) -> None:
        there = ", ".join(sorted(known))
        remedy = f"It has {there}." if there else None
        super().__init__(f"The world {world} was opened without the service {service!r}.", remedy=remedy)


class ScopeInUse(Conflict):
    """A fork's copy would overwrite what is in its scope already (WO-13)."""

    code = "scope_in_use"
    remedy = "Fork to a scope that is empty."

    def __init__(self, scope: str) -> None:
        super().__init__(f"{scope} is not empty.")
