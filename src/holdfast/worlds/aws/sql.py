"""The one adapter to the tables of attached worlds, for both dialects."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import NamedTuple

from holdfast.store import Transaction, load_queries
from holdfast.worlds.aws.errors import WorldTakenOver
from holdfast.worlds.model import Scope

_q = load_queries("holdfast.worlds.aws")


class Place(NamedTuple):
    """Where a resource is: service, account, region and its name."""

    service: str
    account_id: str
    region: str
    name: str


class Attachment(NamedTuple):
    """A world as it is attached to a store.

    Attributes:
        num: of the world.
        epoch: rises with each who has it, and is no former one's after the world was pruned either, though ``num`` may
            be; what is written under another is refused.
        holder: who has it.
    """

    num: int
    epoch: int
    holder: str


class SqlAws:
    """What attached worlds hold, over a transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def attach(self, world: str, holder: str, *, after: int | None = None) -> Attachment | None:
        """Make the world this process's: whoever had it can write no more.

        Args:
            after: the epoch of the last who had it, 0: nobody has; ``None`` is returned if it was another.
        """
        named = {"world": world, "holder": holder, "after": after, "at": self._tx.clock.micros()}
        row = self._tx.fetch_one(_q["attach"], named)
        return None if row is None else Attachment(row[0], row[1], holder)

    def check(self, world: str, attachment: Attachment) -> None:
        """See that nobody has attached the world since, nor does before the transaction ends.

        Raises:
            WorldTakenOver: another process has.
        """
        if not self._tx.fetch(_q["fence"], {"num": attachment.num, "epoch": attachment.epoch}):
            raise WorldTakenOver(world)

    def get(self, world: str) -> Attachment | None:
        """Who attached the world last; ``None``: it was never attached."""
        row = self._tx.fetch_one(_q["get_world"], {"world": world})
        return Attachment(*row) if row else None

    def tell(self, attachment: Attachment, holder: str) -> None:
        """Have others read who has the world, in other words than when it was attached."""
        self._tx.execute(_q["tell_holder"], {"num": attachment.num, "epoch": attachment.epoch, "holder": holder})

    def worlds(self) -> list[str]:
        """The names of all that were ever attached."""
        return [row[0] for row in self._tx.fetch(_q["list_worlds"])]

    def resources(self, num: int) -> list[tuple[Place, str]]:
        """All that a world holds, as JSON."""
        rows = self._tx.fetch(_q["list_resources"], {"num": num})
        return [(Place(row[0], row[1], row[2], _read(row[3])), row[4]) for row in rows]

    def of_scope(self, num: int, service: str, scope: Scope) -> dict[str, str]:
        """What a service holds in one scope: JSON by name."""
        named = {"num": num, "service": service, "account": scope.account_id, "region": scope.region}
        return {_read(row[0]): row[1] for row in self._tx.fetch(_q["scope_resources"], named)}

    def scopes(self, num: int) -> set[Scope]:
        """The scopes in which the world holds anything."""
        return {Scope(*row) for row in self._tx.fetch(_q["list_scopes"], {"num": num})}

    def write(self, world: str, attachment: Attachment, changed: Mapping[Place, str | None]) -> None:
        """Put or, where there is no JSON, delete resources (WO-12).

        Raises:
            WorldTakenOver: another process has attached the world since; nothing was written.
        """
        self.check(world, attachment)
        named = {"num": attachment.num}
        put = [
            (*place[:3], _digest(place.name), _written(place.name), text)
            for place, text in changed.items()
            if text is not None
        ]
        gone = [(*place[:3], _digest(place.name)) for place, text in changed.items() if text is None]
        if put:
            self._tx.execute(_q["put_resources"], named, rows=put)
        if gone:
            self._tx.execute(_q["delete_resources"], named, rows=gone)


def drop_some(tx: Transaction, world: str, limit: int) -> bool:
    """Delete up to ``limit`` of the resources that an attached world holds, and in the end that it was one; returns
    whether there may be more."""
    found = tx.fetch(_q["some_resources"], {"world": world, "limit": limit})
    if found:
        tx.execute(_q["drop_resources"], {"world": world}, rows=found)
    if len(found) == limit:
        return True
    tx.execute(_q["drop_world"], {"world": world})
    return False


def _written(name: str) -> str:
    """A name as every database can hold it: PostgreSQL takes no NUL."""
    return name.replace("%", "%25").replace("\0", "%00")


def _read(name: str) -> str:
    return name.replace("%00", "\0").replace("%25", "%")


def _digest(name: str) -> str:
    return blake2b(name.encode(), digest_size=16).hexdigest()


__all__ = ["Attachment", "Place", "SqlAws", "drop_some"]
