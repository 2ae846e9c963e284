"""How the suite reaches worlds: a store, and what makes worlds over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from holdfast.store import Store, open_store
from holdfast.testing.checkpoints.services import services_of
from holdfast.testing.conformance import patience
from holdfast.worlds import Scope, StatefulService, World

MakeWorld = Callable[..., World]
"""Makes a world as :class:`~holdfast.worlds.World` is made."""
HOME = Scope("111122223333", "us-east-1")
NAME = "site"


@dataclass(frozen=True)
class WorldSubject:
    """Worlds under test.

    Attributes:
        store: fresh and empty.
        make: makes a world over it. Two of one name are to each other as those of two processes.
    """

    store: Store
    make: MakeWorld

    def world(
        self,
        name: str = NAME,
        *,
        store: Store | None = None,
        services: Sequence[StatefulService[Any]] | None = None,
        seconds: float | None = None,
    ) -> World:
        """A world that uses the scope :data:`HOME`.

        Args:
            name: of the world.
            store: another handle of the same store.
            services: in the place of the usual two.
            seconds: how long it waits for others.
        """
        over = store or self.store
        return self.make(
            over,
            name,
            services_of(over) if services is None else services,
            [HOME],
            patience=patience.get() if seconds is None else seconds,
        )


SubjectOpener = Callable[[], AbstractContextManager[WorldSubject]]
"""Gives a fresh, empty store with what makes worlds over it, and takes it down at the end."""


@contextmanager
def open_world(url: str, make: MakeWorld = World) -> Iterator[WorldSubject]:
    """The worlds that ``make`` makes in the store at ``url``."""
    with open_store(url) as store:
        yield WorldSubject(store, make)
