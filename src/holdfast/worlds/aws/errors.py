"""What can go wrong with a mock AWS, each with its remedy."""

from __future__ import annotations

from holdfast.errors import Conflict, InvalidInput
from holdfast.worlds.errors import InvalidScope


class InvalidAccount(InvalidScope):
    """An account id that cannot be one."""

    code = "invalid_account"
    remedy = "Use the 12 digits of an AWS account, as a text."


class UnknownRegion(InvalidScope):
    """A region that AWS does not have."""

    code = "unknown_region"
    remedy = "Use a region such as us-east-1; what is global in AWS (IAM) is in the region 'global'."


class WrongRegion(InvalidScope):
    """A service that is global in AWS has no state in a region, and the other way round."""

    code = "wrong_region"

    def __init__(self, service: str, region: str, *, is_global: bool) -> None:
        place = "in the region 'global' alone" if is_global else "in regions, not in 'global'"
        super().__init__(f"{service} is {place}, and its view is not empty; {region!r} was asked for.")
        self.remedy = f"Name the region {'global' if is_global else 'that the view was taken in'}."


class UnsupportedEmulator(InvalidInput):
    """The installed moto is not one that views are known to be complete for (WO-8)."""

    code = "unsupported_emulator"
    remedy = "Install the extra: pip install 'holdfast[aws]'."


class EmulatorMissing(UnsupportedEmulator, ImportError):
    """moto is not installed."""

    code = "emulator_missing"


class WorldAttached(Conflict):
    """Another process has the world attached to this store, and serves clients from it (WO-12).

    Attributes:
        world: its name.
        holder: who has it, as it told: host and process id.
    """

    code = "world_attached"
    remedy = (
        "Stop that process, or close the world there; or ask its server, if it is one, under /_world. "
        "takeover=True takes the world from it. Checkpoints and diffs can be had meanwhile: stored_world(store, name)."
    )

    def __init__(self, world: str, holder: str) -> None:
        super().__init__(f"The world {world} is attached by {holder}.")
        self.world = world
        self.holder = holder


class WorldTakenOver(Conflict):
    """Another process has attached the world since; nothing that is done here counts any more (WO-12)."""

    code = "world_taken_over"
    remedy = "Open the world anew."

    def __init__(self, world: str) -> None:
        super().__init__(f"The world {world} was taken over by another process.")
        self.world = world


class WorldClosed(Conflict):
    """The world was closed, and is asked for something."""

    code = "world_closed"
    remedy = "Open it anew; keep clients of it within its block."

    def __init__(self, world: str) -> None:
        super().__init__(f"The world {world} is closed.")


class AmbiguousWorld(InvalidInput):
    """boto3 was asked for something in a thread that has no world of its own, while several are entered."""

    code = "ambiguous_world"
    remedy = (
        "Use clients of world.client(), enter the world in that thread, or run the thread's work in a copy of the "
        "context: contextvars.copy_context().run."
    )

    def __init__(self, count: int) -> None:
        super().__init__(f"This thread has no world of its own, and boto3 speaks to {count} at the moment.")
