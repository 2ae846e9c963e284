"""What a world's services are made by: factories, since the store is the worker's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from holdfast.store import Store
from holdfast.worlds import StatefulService
from holdfast.worlds.directory import DirectoryWorld
from holdfast.worlds.directory.naming import world_name


class ServiceFactory(Protocol):
    """Makes a service of a world: any callable, and always the same service."""

    def __call__(self, store: Store, /) -> StatefulService[Any]: ...


@dataclass(frozen=True, slots=True)
class Directory:
    """Makes a :class:`~holdfast.worlds.directory.DirectoryWorld`; see :func:`directory`.

    Attributes:
        alone: the files of ``root`` itself are the tree.
    """

    root: Path
    exclude: tuple[str, ...]
    alone: bool

    def __call__(self, store: Store, /) -> DirectoryWorld:
        if self.alone:
            return DirectoryWorld.at(self.root, store, exclude=self.exclude)
        return DirectoryWorld(self.root, store, exclude=self.exclude)


def single_place(factories: Iterable[ServiceFactory]) -> str | None:
    """What the store calls a world of one directory alone, after its path: whoever calls it what, whoever else has that
    directory has this world. ``None`` where there is no such directory."""
    return next((world_name(one.root) for one in factories if isinstance(one, Directory) and one.alone), None)


def directory(root: str | Path, *, exclude: Iterable[str] = (), alone: bool = False) -> Directory:
    """A directory of files as a service of a world.

    Args:
        root: holds a tree for each flow (for each scope); made if it is not there. Workers in different working
            directories need an absolute path.
        exclude: patterns of names that are neither captured nor touched.
        alone: the files of ``root`` itself are the tree. One flow at a time can have it, and no fork a copy.
    """
    return Directory(Path(root), tuple(exclude), alone)
