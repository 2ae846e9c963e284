"""A mock AWS whose state is a world's: moto's services, seen, put back, merged, compared and watched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.worlds.aws.emulator import check_emulator

if TYPE_CHECKING:
    from holdfast.worlds.aws.events import WorldEvent
    from holdfast.worlds.aws.world import AwsWorld

__all__ = ["AwsWorld", "WorldEvent"]


def __getattr__(name: str) -> Any:
    """The emulator is an extra, and takes a second to import: only who asks for the world needs it.

    Raises:
        EmulatorMissing, UnsupportedEmulator: moto is not installed, or not one that views are complete for.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    check_emulator()
    from holdfast.worlds.aws import events, world

    return getattr(world if name == "AwsWorld" else events, name)
