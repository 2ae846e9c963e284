"""What a world is, taken and stored: a checkpoint but for its row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from holdfast.store import Store, Transaction
from holdfast.store.blobs import put_texts
from holdfast.worlds.checkpoints import Checkpoint, Moment, SqlCheckpoints, Standing, State
from holdfast.worlds.comparing import Part, Views
from holdfast.worlds.errors import RestorePending
from holdfast.worlds.manifests import PackedView, batches, missing_texts, pack_view
from holdfast.worlds.model import StateView
from holdfast.worlds.service import StatefulService, cut_through


@dataclass(frozen=True, slots=True)
class Capture:
    """What a world is, stored, but not yet a checkpoint.

    Attributes:
        states: one a service and scope.
        restores: how many restores had begun; when it has moved, the capture may be of two times.
    """

    world: str
    states: tuple[State, ...]
    restores: int

    def write(self, tx: Transaction, *, name: str | None = None, moment: Moment | None = None) -> Checkpoint:
        """Make a checkpoint of it: in one transaction, where one likes, with the record of the step that led to it.

        Raises:
            RestorePending: a restore has begun since; capture the world anew.
            CheckpointExists, InvalidScope, InvalidInput: as :meth:`SqlCheckpoints.insert`.
        """
        checkpoints = SqlCheckpoints(tx)
        checkpoints.lock(self.world)
        if checkpoints.standing(self.world) != Standing(self.restores, restoring=False):
            raise RestorePending(self.world)
        return checkpoints.insert(self.world, self.states, name=name, moment=moment)

    def writer(self, name: str | None, moment: Moment | None) -> Callable[[Transaction], Checkpoint]:
        """:meth:`write` as a unit of work."""
        return lambda tx: self.write(tx, name=name, moment=moment)


def take_views(services: Mapping[str, StatefulService[Any]], parts: Iterable[Part]) -> dict[Part, StateView[Any]]:
    """The present views: one after the other, but of one moment where services can have their clients wait."""
    wanted = list(parts)
    with cut_through(services[name] for name, _ in wanted):
        return {(name, scope): services[name].snapshot(*scope) for name, scope in wanted}


def keep_views(store: Store, views: Views) -> tuple[State, ...]:
    """Store views, writing what is not there yet, in transactions that hold nobody up for long."""
    return tuple(
        State(
            service=service,
            account_id=scope.account_id,
            region=scope.region,
            manifest=packed.digest,
            resources=packed.resources,
        )
        for (service, scope), packed in ((part, _kept(store, view)) for part, view in views.items())
    )


def _kept(store: Store, view: StateView[Any]) -> PackedView:
    packed = pack_view(view)
    for part in batches(store.read(lambda tx: missing_texts(tx, packed))):
        store.run(partial(put_texts, texts=part), idempotent=True)
    return packed
