"""The worlds in flows' histories, within one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from holdfast import codec
from holdfast.clock import to_datetime
from holdfast.flows.rewinding.model import Kept
from holdfast.flows.rewinding.sql import SqlHistory
from holdfast.rewind.model import OpenedWorld, Opening, Taken
from holdfast.store import Row, Transaction, load_queries
from holdfast.worlds.model import Scope

_q = load_queries("holdfast.rewind")


class Source(NamedTuple):
    """What a fork copies: the flow's id, its world as stored, and the number of the last record that is copied."""

    flow_id: UUID
    world: str
    cut: int


class SqlRewinds:
    """What rewinding asks of flows and worlds together."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def opened(self, flow: int) -> list[OpenedWorld]:
        """The worlds that a flow's kept records open, each once, in order."""
        found: dict[str, OpenedWorld] = {}
        for num, run_id, result in self._tx.fetch(_q["opened"], {"flow": flow}):
            opening = codec.decode(result, Opening)
            found.setdefault(opening.stored, OpenedWorld(num, run_id, opening))
        return list(found.values())

    def opening(self, flow_id: UUID, name: str) -> Opening | None:
        """What a flow has recorded of opening the world of that name, if it has."""
        num = SqlHistory(self._tx).num(flow_id)
        found = [] if num is None else self.opened(num)
        return next((world.opening for world in found if world.opening.name == name), None)

    def worker(self, flow_id: UUID) -> tuple[str, int] | None:
        """Host and process id of the worker that has a flow, if one has."""
        num = SqlHistory(self._tx).num(flow_id)
        row = None if num is None else self._tx.fetch_one(_q["worker"], {"flow": num})
        return (row[0], row[1]) if row else None

    def taken(self, flow_id: UUID, worlds: Sequence[str]) -> list[Taken]:
        """A flow's checkpoints of these worlds that no rewind has undone."""
        found = []
        for world in worlds:
            rows = self._tx.fetch(_q["taken"], {"run": str(flow_id), "world": world})
            found += [Taken(world, name, position) for name, position in rows]
        return found

    def begin(self, flow_id: UUID, world: str, record: int) -> None:
        """The flow opens this world: where it does so for the first time in its history, what it took of it before is
        of a past that was undone, or that it has left behind by beginning anew."""
        num = SqlHistory(self._tx).num(flow_id)
        opened = [] if num is None else self.opened(num)
        if not any(earlier.opening.stored == world and earlier.num < record for earlier in opened):
            self._tx.execute(_q["past"], {"run": str(flow_id), "world": world})

    def details(self, flow: int, records: Sequence[Kept]) -> dict[int, Row]:
        """Status and time of records that follow each other, by their numbers."""
        if not records:
            return {}
        bounds = {"flow": flow, "first": records[0].num, "last": records[-1].num}
        return {num: (status, to_datetime(at)) for num, status, at in self._tx.fetch(_q["details"], bounds)}

    def copy_checkpoints(
        self, source: Source, fork: int, fork_id: UUID, world: str, scopes: Mapping[Scope, Scope]
    ) -> None:
        """Give a fork, whose records are there, the checkpoints that go with them, of its own world and scopes."""
        named = {"run": str(source.flow_id), "world": source.world, "cut": source.cut}
        params = named | {"fork": fork, "fork_id": str(fork_id), "copy": world}
        self._tx.execute(_q["copy_checkpoints"], params)
        self._tx.execute(_q["copy_states"], params, rows=[(*old, *new) for old, new in scopes.items()])

    def rewrite(self, flow: int, run_id: str, opening: Opening) -> None:
        """Have a fork's record open the fork's own world."""
        self._tx.execute(_q["rewrite"], {"flow": flow, "run_id": run_id, "result": codec.encode(opening)})
