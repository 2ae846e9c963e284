"""A mock AWS whose state is a world's: moto's services, seen, put back, merged, compared and watched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.worlds.aws.errors import EmulatorMissing

if TYPE_CHECKING:
    from holdfast.worlds.aws.events import WorldEvent
    from holdfast.worlds.aws.world import AwsWorld

__all__ = ["AwsWorld", "WorldEvent"]


def __getattr__(name: str) -> Any:
    """The emulator is an extra, and takes a second to import: only who asks for the world needs it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from holdfast.worlds.aws import events, world
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("moto", "boto3", "botocore"):
            raise
        raise EmulatorMissing(f"A mock AWS needs {error.name}, which is not installed.") from error
    return getattr(world if name == "AwsWorld" else events, name)
