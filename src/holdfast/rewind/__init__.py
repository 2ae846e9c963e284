"""Progress and world go back together: the floor above flows and worlds that composes both."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.flows.remains import buriers, clearers
from holdfast.flows.settling import followers
from holdfast.rewind.handle import WorldHandle
from holdfast.rewind.manager import fork, positions, retry, rewind
from holdfast.rewind.model import Position
from holdfast.rewind.opening import open_world
from holdfast.rewind.places import Aws, ServiceFactory, aws, directory
from holdfast.rewind.remains import bury_worlds, clear_worlds
from holdfast.store import Transaction
from holdfast.worlds.ownership import release_ended

__all__ = [
    "Aws",
    "Position",
    "ServiceFactory",
    "WorldHandle",
    "aws",
    "directory",
    "fork",
    "open_world",
    "positions",
    "retry",
    "rewind",
]


def _release(tx: Transaction, ended: Sequence[tuple[int, str]]) -> None:
    release_ended(tx, [str(flow_id) for _, flow_id in ended])


followers.append(_release)
buriers.append(bury_worlds)
clearers.append(clear_worlds)
