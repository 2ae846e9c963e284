"""Which emulator views are known to be complete for (WO-8)."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from holdfast.worlds.aws.errors import EmulatorMissing, UnsupportedEmulator

SUPPORTED = SpecifierSet(">=5.2.4,<=5.2.5")
"""Both ends are tested; another may have state that no view knows."""


def check_emulator() -> Version:
    """The version of moto that is installed.

    Raises:
        EmulatorMissing: none is.
        UnsupportedEmulator: it is not one of the supported.
    """
    try:
        found = Version(version("moto"))
    except PackageNotFoundError as error:
        raise EmulatorMissing("A mock AWS needs moto, which is not installed.") from error
    if found not in SUPPORTED:
        raise UnsupportedEmulator(f"moto {found} is installed; views are complete for moto {SUPPORTED}.")
    return found
