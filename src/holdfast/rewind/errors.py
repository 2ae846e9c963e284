"""Why a run and its worlds cannot go back together, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from holdfast.errors import Conflict, InvalidInput, NotFound
from holdfast.flows.errors import HaltingError


class NotCheckpointed(Conflict):
    """Steps ran between the world's last checkpoint and the place: no state of the world is of that time (FL-20).

    Attributes:
        position: that was asked for.
        nearest: the nearest positions, before and behind it, that can be rewound to.
    """

    code = "not_checkpointed"

    def __init__(self, flow_id: UUID, position: int, worlds: Sequence[str], nearest: Sequence[int]) -> None:
        names = " and ".join(worlds)
        super().__init__(
            f"The flow {flow_id} has no checkpoint of {names} at position {position}: steps ran since the last one."
        )
        self.remedy = (
            f"Rewind to position {' or '.join(map(str, nearest))}; `holdfast flow steps` lists all, and "
            "`await world.checkpoint()` in the workflow makes more."
        )
        self.position = position
        self.nearest = tuple(nearest)


class CheckpointLost(NotFound):
    """The checkpoint that the place needs was deleted."""

    code = "checkpoint_lost"
    remedy = "Rewind to another place: `holdfast flow steps` lists them. `holdfast world forget` deletes checkpoints."

    def __init__(self, flow_id: UUID, position: int, world: str) -> None:
        super().__init__(f"The checkpoint of the world {world} at position {position} of {flow_id} was deleted.")


class ScopesNeeded(InvalidInput):
    """A fork acts on a copy of its own, and somebody has to say where that is to be (WO-13).

    Attributes:
        missing: the scopes without a copy.
    """

    code = "scopes_needed"

    def __init__(self, flow_id: UUID, missing: Iterable[tuple[str, str]]) -> None:
        self.missing = sorted(tuple(scope) for scope in missing)
        names = ", ".join("/".join(scope) for scope in self.missing)
        super().__init__(f"A fork of the flow {flow_id} needs copies of the scopes {names}.")
        self.remedy = f"Name another scope for each: scopes={{{self.missing[0]!r}: ('account', 'region')}}."


class NoCopyPossible(Conflict):
    """The flow's world is one directory alone, and a fork would need another (WO-13)."""

    code = "no_copy_possible"
    remedy = "Rewind the flow itself; or open its world by directory(root), which has a folder for each flow."

    def __init__(self, flow_id: UUID, world: str) -> None:
        super().__init__(f"A fork of the flow {flow_id} cannot have a copy of the world {world!r}: there is only one.")


class WorldNotOpened(InvalidInput):
    """The handle is of a world that this flow has not opened."""

    code = "world_not_opened"
    remedy = "Call open_world() in the workflow itself, and hand what it gives to the steps of that flow."

    def __init__(self, world: str) -> None:
        super().__init__(f"The world {world!r} is not open in this flow.")


class NoSinglePlace(InvalidInput):
    """A path was asked of a world that has none, or several."""

    code = "no_single_place"
    remedy = "Use world.service(name) and its own methods, or open a world of one directory and one scope."

    def __init__(self, world: str) -> None:
        super().__init__(f"The world {world!r} is no single directory.")


class WorldLeft(Conflict):
    """The flow has the id of one that was pruned, and something is left of that one's world."""

    code = "world_left"
    remedy = "Mend what it names, then `holdfast prune`; or start the flow under another id."

    def __init__(self, flow_id: UUID, world: str, fault: str) -> None:
        super().__init__(f"What is left of the world {world} of a pruned flow {flow_id} is still there: {fault}.")


class WorldNotRestored(HaltingError):
    """The flow's world could not be put back, so the flow does not go on: they would be of different times (FL-20)."""

    code = "world_not_restored"
    remedy = "Mend what it names, then `holdfast flow resume`."

    def __init__(self, world: str, fault: str) -> None:
        super().__init__(f"The world {world!r} cannot be put back: {fault}")
