"""A directory as a world: its name, its store, its files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import structs

from holdfast.cli.output import clean
from holdfast.cli.world_place import OpenedPlace, Seen, Use
from holdfast.store import Store, Transaction
from holdfast.store.sqlite import sqlite_path
from holdfast.worlds import Scope
from holdfast.worlds.checkpoints import Checkpoint, SqlCheckpoints, State
from holdfast.worlds.comparing import Part, Views
from holdfast.worlds.directory import DirectoryWorld, StoreInside, TreeView
from holdfast.worlds.directory.exclusions import patterns_of
from holdfast.worlds.errors import InvalidScope
from holdfast.worlds.ownership import describe_scope
from holdfast.worlds.world import World

_MOST_NAMED = 5


class DirectoryPlace(NamedTuple):
    """A directory as the commands see it.

    Attributes:
        path: as it was named.
        name: of its world.
        scope: the account and region in which its files are.
        plain: the directory itself is the tree of that scope.
        exclude: patterns of the names in it that are left alone.
    """

    path: Path
    name: str
    scope: Scope
    plain: bool
    exclude: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        return clean(str(self.path))

    def check_url(self, url: str) -> None:
        """Before a store is made there."""
        if not url.startswith("sqlite:///"):
            return
        path, inside = sqlite_path(url.removeprefix("sqlite:///")).resolve(), self.path.resolve()
        if path.is_relative_to(inside):
            raise StoreInside(path, inside)

    def check_known(self, store: Store) -> None:
        """Every directory is a world."""

    @contextmanager
    def open(self, store: Store, use: Use) -> Iterator[OpenedDirectory]:
        yield OpenedDirectory(store, self)


class OpenedDirectory(OpenedPlace):
    """A directory that a command works on."""

    def __init__(self, store: Store, place: DirectoryPlace) -> None:
        self._place = place
        opening = DirectoryWorld.at if place.plain else DirectoryWorld
        self._files = opening(place.path, store, exclude=place.exclude)
        self._part = self._files.service_name, place.scope
        super().__init__(store, place.name, World(store, place.name, [self._files], [place.scope]))

    def present(self) -> Views:
        return self.world.snapshot([self._place.scope])

    def one(self) -> tuple[Part, Any]:
        return self._part, self.present()[self._part]

    def keep(self, name: str) -> Checkpoint:
        return self.world.checkpoint(name, [self._place.scope])

    def held(self, found: Checkpoint) -> list[State]:
        states = [state for state in found.states if state.scope == self._place.scope]
        if not states:
            where = describe_scope(found.world, self._place.scope)
            held = " or ".join(f"--account {a} --region {r}" for a, r in sorted({s.scope for s in found.states}))
            raise InvalidScope(
                f"The checkpoint {found.name or found.id} holds nothing of {where}.", remedy=f"It holds: {held}."
            )
        return states

    def decode(self, text: bytes) -> Views:
        return {self._part: self._files.decode(text)}

    def check_part(self, part: Part) -> None:
        if part != self._part:
            where = describe_scope(self.name, part[1])
            remedy = f"Give --account {part[1].account_id} --region {part[1].region}."
            raise InvalidScope(f"{self._place.shown} is not {where}.", remedy=remedy)

    def namesakes(self, tx: Transaction, wanted: str) -> Sequence[str]:
        return SqlCheckpoints(tx).worlds_with(wanted, limit=_MOST_NAMED)

    def fitting(self, views: Views) -> OpenedDirectory:
        """The same place, without what was left out of ``views``: it would pass for removed since."""
        noted = {pattern for view in views.values() for pattern in patterns_of(view.not_captured)}
        if noted.issubset(self._place.exclude):
            return self
        found = OpenedDirectory(self.store, self._place._replace(exclude=(*self._place.exclude, *sorted(noted))))
        found.tell = self.tell
        return found

    def compared(self, views: Views) -> Seen:
        self.world.recover()
        survey = self._files.survey(*self._place.scope)
        staying = sorted(survey.holding - views[self._part].resources.keys())
        return Seen({self._part: without(survey.view, staying)}, survey.obstacles, staying)


def without(view: TreeView, names: Iterable[str]) -> TreeView:
    """``view`` but for these resources."""
    left_out = set(names)
    kept = {name: entry for name, entry in view.resources.items() if name not in left_out}
    return structs.replace(view, resources=kept)
