"""What clients changed reaches the store before they have their answers (WO-12)."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from holdfast.errors import HoldfastError
from holdfast.store import Store, Transaction
from holdfast.worlds.aws.bodies import StoredBodies
from holdfast.worlds.aws.errors import WorldTakenOver
from holdfast.worlds.aws.sql import Attachment, Place, SqlAws


class Journal:
    """Writes the changes of an attached world, in their order, many clients' at once.

    Changes are noted inside the gate. Outside of it each client waits until its own are committed: one of those that
    wait writes for all. What could not be written is written with the next.

    Args:
        store: the world's.
        world: its name.
        attachment: under which is written.
        bodies: stored along with the records that name them.
    """

    def __init__(self, store: Store, world: str, attachment: Attachment, bodies: StoredBodies) -> None:
        self._store = store
        self._world = world
        self._attachment = attachment
        self._bodies = bodies
        self._turn = threading.Condition()
        self._pending: dict[Place, str | None] = {}
        self._named: dict[Place, tuple[str, ...]] = {}
        self._noted = 0
        self._written = 0
        self._writing = False
        self.lost: WorldTakenOver | None = None

    def ours(self) -> bool:
        """Whether no other process has attached the world since."""
        found = self._store.read(lambda tx: SqlAws(tx).get(self._world))
        return self.lost is None and found is not None and found[:2] == self._attachment[:2]

    def tell(self, endpoint: str) -> None:
        """Have those who find the world attached read where it is served."""
        holder = f"{self._attachment.holder}, at {endpoint}"
        self._store.run(lambda tx: SqlAws(tx).tell(self._attachment, holder), idempotent=True)

    def note(self, changed: Mapping[Place, str | None], digests: Mapping[Place, tuple[str, ...]]) -> int:
        """Take note of changes; returns what :meth:`wait` takes. To be called inside the gate.

        Args:
            changed: JSON of each resource; ``None``: it is gone.
            digests: the bodies that each names.
        """
        with self._turn:
            if changed:
                self._noted += 1
                self._pending.update(changed)
                self._named.update(digests)
            return self._noted

    def wait(self, ticket: int) -> None:
        """Return once everything up to ``ticket`` is committed. Not to be called inside the gate.

        Raises:
            WorldTakenOver: another process has the world by now.
            StoreError: it cannot be written; it may or may not be later.
        """
        with self._turn:
            while self._written < ticket and self._writing:
                self._turn.wait()
            if self._written >= ticket:
                return
            if self.lost is not None:
                raise self.lost
            self._writing = True
            taken, named, upto = self._pending, self._named, self._noted
            self._pending, self._named = {}, {}
            bodies = self._bodies.staged({digest for digests in named.values() for digest in digests})
        try:
            self._write(taken, bodies)
        except BaseException as error:
            self._failed(taken, named, error)
            raise
        with self._turn:
            self._written = upto
            self._writing = False
            self._turn.notify_all()

    def _write(self, taken: Mapping[Place, str | None], bodies: dict[str, bytes]) -> None:
        def work(tx: Transaction) -> None:
            self._bodies.write(tx, bodies)
            SqlAws(tx).write(self._world, self._attachment, taken)

        self._store.run(work, idempotent=True)
        self._bodies.stored(bodies)

    def _failed(
        self, taken: dict[Place, str | None], named: dict[Place, tuple[str, ...]], error: BaseException
    ) -> None:
        with self._turn:
            if isinstance(error, HoldfastError) and isinstance(error, WorldTakenOver):
                self.lost = error
            self._pending = taken | self._pending
            self._named = named | self._named
            self._writing = False
            self._turn.notify_all()
