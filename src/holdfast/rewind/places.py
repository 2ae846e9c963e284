"""What a world's services are made by: factories, since the store is the worker's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from holdfast.store import Store
from holdfast.worlds import Scope, StatefulService
from holdfast.worlds.directory import DirectoryWorld


class ServiceFactory(Protocol):
    """Makes a service of a world: any callable, and always the same service."""

    def __call__(self, store: Store, /) -> StatefulService[Any]: ...


@dataclass(frozen=True, slots=True)
class Directory:
    """Makes a :class:`~holdfast.worlds.directory.DirectoryWorld`; see :func:`directory`.

    Attributes:
        scopes: what a world has that is made with it and says nothing else; ``None``: one of the flow's own.
    """

    root: Path
    exclude: tuple[str, ...]
    alone: bool

    @property
    def scopes(self) -> tuple[Scope, ...] | None:
        return (DirectoryWorld.LOCAL,) if self.alone else None

    def __call__(self, store: Store, /) -> DirectoryWorld:
        if self.alone:
            return DirectoryWorld.at(self.root, store, exclude=self.exclude)
        return DirectoryWorld(self.root, store, exclude=self.exclude)


def directory(root: str | Path, *, exclude: Iterable[str] = (), alone: bool = False) -> Directory:
    """A directory of files as a service of a world.

    Args:
        root: holds a tree for each flow (for each scope); made if it is not there. Workers in different working
            directories need an absolute path.
        exclude: patterns of names that are neither captured nor touched.
        alone: the files of ``root`` itself are the tree. One flow at a time can have it, and no fork a copy.
    """
    return Directory(Path(root), tuple(exclude), alone)
