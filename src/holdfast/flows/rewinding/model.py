"""Where a flow can go back to. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from holdfast.flows.model import Flow
from holdfast.flows.rewinding.errors import NoSuchStep, RewindBeyondEnd

Target = int | str
"""A position (0: the beginning, n: after the n-th kept record), or the run id of the last record to keep."""


class Kept(NamedTuple):
    """A record of a flow's history that no rewind has undone."""

    num: int
    run_id: str

    @property
    def key(self) -> str:
        """What names it in every attempt: ``plan#2`` of ``plan#2@1``."""
        return self.run_id.rpartition("@")[0]

    @property
    def task(self) -> str:
        return self.run_id.rpartition("#")[0]


class Cut(NamedTuple):
    """A place in a flow's history; the flow's row is locked and nobody's.

    Attributes:
        flow: as it is now.
        num: the flow's number.
        kept: all records that are kept now, in order.
        position: how many of them stay.
        anew: what follows has its full time: the flow's own time goes on from now.
    """

    flow: Flow
    num: int
    kept: Sequence[Kept]
    position: int
    anew: bool = False

    @property
    def record(self) -> int:
        """The number of the last record that stays; 0 where none does."""
        return self.kept[self.position - 1].num if self.position else 0

    @property
    def run_id(self) -> str | None:
        """The run id of the last record that stays, if any."""
        return self.kept[self.position - 1].run_id if self.position else None


def position_of(flow_id: UUID, kept: Sequence[Kept], target: Target) -> int:
    """How many records stay when ``target`` is the last one.

    Raises:
        RewindBeyondEnd: a position behind the last record.
        NoSuchStep: neither a position nor the run id of a kept record.
    """
    if isinstance(target, str):
        for position, record in enumerate(kept, 1):
            if target in (record.run_id, record.key):
                return position
        raise NoSuchStep(flow_id, target, len(kept))
    if type(target) is not int or target < 0:
        raise NoSuchStep(flow_id, target, len(kept))
    if target > len(kept):
        raise RewindBeyondEnd(flow_id, target, len(kept))
    return target
