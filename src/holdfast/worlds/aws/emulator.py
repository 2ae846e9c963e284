"""Which emulator views are known to be complete for (WO-8)."""

from __future__ import annotations

from importlib.metadata import version

from packaging.specifiers import SpecifierSet

from holdfast.worlds.aws.errors import UnsupportedEmulator

SUPPORTED = SpecifierSet(">=5.2.4,<=5.2.5")
"""Both ends are tested; another may have state that no view knows."""


def check_emulator() -> None:
    """Raises:
    UnsupportedEmulator: the installed moto is not one of the supported.
    """
    found = version("moto")
    if found not in SUPPORTED:
        raise UnsupportedEmulator(f"moto {found} is installed; views are complete for moto {SUPPORTED}.")
