"""Building a package of a project, and seeing that one can be loaded before it is deployed."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from holdfast.hosting.environments import Environments
from holdfast.hosting.errors import VersionNotLoadable
from holdfast.hosting.examining import examine
from holdfast.hosting.shelf import Shelved, cache_root, shelve
from holdfast.packages.archive.manifest import Manifest, make_manifest, this_python
from holdfast.packages.archive.reading import Archive, open_archive
from holdfast.packages.archive.writing import pack
from holdfast.packages.errors import NothingToDeploy
from holdfast.packages.project import collect

_MEND = "Mend what the message names, and build it again."
_PARTS = ("workflows", "steps", "queues", "schedules")


def build(directory: Path, label: str | None = None) -> bytes:
    """The archive of the project in ``directory``: the same bytes on any machine, at any time.

    Its modules are imported in a process and an environment of their own, to learn what they define.

    Args:
        directory: has a ``pyproject.toml`` with the table ``[tool.holdfast.package]``.
        label: names the version for people; by default as the project says.

    Raises:
        ProjectNotFound, InvalidProject: there is no such project, or something is wrong with it.
        InvalidArchive: it is too large, or has files that no archive can have.
        VersionNotLoadable: its lock cannot be installed, or its modules cannot be imported.
        NothingToDeploy: they define no workflow.
    """
    project = collect(directory)
    bare = Manifest(
        name=project.name,
        label=label if label is not None else project.label,
        python=this_python(),
        modules=project.modules,
        lock=project.lock,
    )
    try:
        found = _contents(open_archive(pack(bare, project.files)))
    except VersionNotLoadable as error:
        raise VersionNotLoadable(error.message, remedy=_MEND) from error
    if not found["workflows"]:
        raise NothingToDeploy(f"The package {project.name!r} has no workflow.")
    return pack(make_manifest(_said(bare) | found), project.files)


def validate(archive: Archive) -> None:
    """See that a package can be loaded, and defines what its manifest says.

    Raises:
        VersionNotLoadable: it cannot, or does not.
    """
    try:
        found = make_manifest(_said(archive.manifest) | _contents(archive))
    except VersionNotLoadable as error:
        raise VersionNotLoadable(error.message, remedy=_MEND) from error
    for part in _PARTS:
        said = {item.name: item for item in getattr(archive.manifest, part)}
        defined = {item.name: item for item in getattr(found, part)}
        if missing := sorted(said.keys() - defined.keys()):
            raise VersionNotLoadable(f"Its manifest names {part} that its modules do not define: {', '.join(missing)}.")
        if unsaid := sorted(defined.keys() - said.keys()):
            raise VersionNotLoadable(f"Its modules define {part} that its manifest does not name: {', '.join(unsaid)}.")
        if changed := sorted(name for name, item in said.items() if defined[name] != item):
            raise VersionNotLoadable(f"Its manifest tells otherwise of {part} than its modules: {', '.join(changed)}.")


def _contents(archive: Archive) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        environments = Environments(cache_root() / "environments")
        try:
            return asyncio.run(_examined(shelve(archive, Path(folder) / "package", environments)))
        finally:
            environments.close()


async def _examined(shelved: Shelved) -> dict[str, Any]:
    return dict(await examine(shelved.interpreter, shelved.source, shelved.modules))


def _said(manifest: Manifest) -> dict[str, Any]:
    """A manifest without what its modules define."""
    return {name: getattr(manifest, name) for name in ("name", "label", "python", "modules", "lock", "format")}
