"""The shelf: packages unpacked on this machine, with the environments that run them.

An archive's hash is checked whenever it is fetched, and what was unpacked before is compared with it (PK-9).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import InvalidInput
from holdfast.hosting.environments import Environments
from holdfast.hosting.errors import VersionNotLoadable
from holdfast.packages.archive.layout import LOCK
from holdfast.packages.archive.manifest import this_python
from holdfast.packages.archive.reading import Archive, open_archive
from holdfast.packages.archive.unpacking import unpack
from holdfast.packages.files import read_archive


@dataclass(frozen=True, slots=True)
class Shelved:
    """A version that is ready to be run here.

    Attributes:
        interpreter: of its environment.
        source: directory of its code.
        modules: to be imported.
        workflows: those of its manifest.
    """

    interpreter: Path
    source: Path
    modules: tuple[str, ...]
    workflows: tuple[str, ...]


class Shelf:
    """Fetches versions and makes them ready.

    Args:
        root: directory of the cache.
        body: gives a deployed archive's bytes by its hash.
        supplied: archives that the operator supplies as files, by hash (PK-5).
    """

    def __init__(
        self, root: Path, body: Callable[[str], bytes | None], supplied: Mapping[str, Path] | None = None
    ) -> None:
        self._root = root
        self._body = body
        self._supplied = supplied or {}
        self.environments = Environments(root / "environments")

    def fetch(self, content_hash: str) -> Shelved:
        """The version, unpacked and with its environment.

        Raises:
            VersionNotLoadable: there is no such archive, it is damaged, or its lock cannot be installed.
        """
        try:
            archive = self._find(content_hash)
        except InvalidInput as error:
            raise VersionNotLoadable(f"Its archive is refused: {error.message}", remedy=error.remedy) from error
        return shelve(archive, self._root / "packages" / content_hash, self.environments)

    def _find(self, content_hash: str) -> Archive:
        """The deployed archive, or the file that stands in for one that is lost or damaged."""
        body = self._body(content_hash)
        supplied = self._supplied.get(content_hash)
        if body:
            try:
                return open_archive(body, content_hash)
            except InvalidInput:
                if supplied is None:
                    raise
        if supplied is not None:
            return read_archive(supplied, content_hash)
        remedy = "Deploy its archive again, or supply it as a file: `holdfast worker --packages DIR`."
        raise VersionNotLoadable(f"The archive {content_hash[:12]}… is not there.", remedy=remedy)


def shelve(archive: Archive, directory: Path, environments: Environments) -> Shelved:
    """Unpack an archive into ``directory``, and see to its environment.

    Raises:
        VersionNotLoadable: its lock cannot be installed, or it needs a later Python.
    """
    manifest = archive.manifest
    if _minor(manifest.python) > sys.version_info[:2]:
        raise VersionNotLoadable(f"It needs Python {manifest.python}, and this is {this_python()}.")
    unpack(archive, directory)
    try:
        interpreter = environments.interpreter(directory, archive.files.get(LOCK))
    except InvalidInput as error:
        raise VersionNotLoadable(f"Its lock cannot be installed: {error.message}", remedy=error.remedy) from error
    return Shelved(
        interpreter=interpreter,
        source=directory / "source",
        modules=manifest.modules,
        workflows=tuple(workflow.name for workflow in manifest.workflows),
    )


def _minor(python: str) -> tuple[int, ...]:
    return tuple(map(int, python.split(".")))


def cache_root() -> Path:
    """Where packages and environments are kept: ``HOLDFAST_CACHE``, or ``holdfast`` in the user's cache directory."""
    named = os.environ.get("HOLDFAST_CACHE")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "holdfast"
