"""Programs that install wheels into a virtual environment: uv where it is there, otherwise pip.

Both read a requirements file in which each line names one wheel and its hashes, so that neither resolves, chooses or
builds anything; what they know of ``pylock.toml`` itself differs from release to release.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

from holdfast.hosting.errors import VersionNotLoadable

TARGET = "{python}"
"""Stands for the environment's Python in the command of an installer."""
_EXACTLY = ("--no-deps", "--only-binary", ":all:", "--require-hashes")


class Installer(NamedTuple):
    """How to call one.

    Attributes:
        name: for people.
        command: its verb that installs, with what goes before it and :data:`TARGET` as one of the words.
        options: of that verb.
        offline: options that keep it from looking anywhere.
    """

    name: str
    command: tuple[str, ...]
    options: tuple[str, ...] = ()
    offline: tuple[str, ...] = ("--no-index",)

    def install(self, python: Path, requirements: Path, *, offline: bool) -> list[str]:
        """The command that installs what ``requirements`` lists, and nothing else, for ``python``."""
        verb = [str(python) if word == TARGET else word for word in self.command]
        options = (*_EXACTLY, *self.options, *(self.offline if offline else ()))
        return [*verb, *options, "--requirement", str(requirements)]


def uv() -> Installer | None:
    """The one on PATH, or else the one installed beside holdfast; ``None`` where there is neither."""
    found = shutil.which("uv")
    if found is None and importlib.util.find_spec("uv") is None:
        return None
    program = (found,) if found else (sys.executable, "-m", "uv")
    return Installer(
        name="uv",
        command=(*program, "pip", "install", "--python", TARGET),
        options=("--no-progress", "--color", "never", "--compile-bytecode"),
        offline=("--no-index", "--offline"),
    )


def pip() -> Installer | None:
    """The one installed beside holdfast, or ``None``. Environments have none of their own."""
    if importlib.util.find_spec("pip") is None:
        return None
    return Installer(
        name="pip",
        command=(sys.executable, "-m", "pip", "--python", TARGET, "install"),
        options=("--no-input", "--disable-pip-version-check", "--no-warn-script-location"),
    )


def find_installer() -> Installer:
    """The one to use.

    Raises:
        VersionNotLoadable: there is none.
    """
    found = uv() or pip()
    if found is None:
        raise VersionNotLoadable(
            "There is neither uv nor pip to install the locked dependencies with.",
            remedy="Install uv, on PATH or beside holdfast; the version is tried again by itself.",
        )
    return found
