"""What clients changed reaches the store before they have their answers (WO-12)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from holdfast.store import Store, Transaction, Unit
from holdfast.store.units import wait_for
from holdfast.worlds.aws.bodies import StoredBodies
from holdfast.worlds.aws.errors import WorldTakenOver
from holdfast.worlds.aws.sql import Attachment, Place, SqlAws


@dataclass(slots=True)
class _Batch:
    """What is written at once.

    Attributes:
        changed, named: see :meth:`Journal.note`.
        upto: the last ticket of those who wait for it.
        writer: the thread that writes it.
        bodies: what its records name and the store has not.
        begun: the store is at it: how it ends, the store tells.
        abandoned: its writer was interrupted before; it is not to begin any more.
    """

    changed: dict[Place, str | None]
    named: dict[Place, tuple[str, ...]]
    upto: int
    writer: int
    bodies: dict[str, bytes]
    begun: bool = False
    abandoned: bool = False


class Journal:
    """Writes the changes of an attached world, in their order, many clients' at once.

    Changes are noted inside the gate. Outside of it each client waits until its own are committed: one of those that
    wait writes for all. What could not be written is written with the next. Never are two writes under way: one whose
    writer was interrupted ends before the next begins.

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
        self._lock = threading.Lock()
        self._turn = threading.Condition(self._lock)
        self._pending: dict[Place, str | None] = {}
        self._named: dict[Place, tuple[str, ...]] = {}
        self._noted = 0
        self._written = 0
        self._batch: _Batch | None = None
        self._lost = False

    def ours(self) -> bool:
        """Whether no other process has attached the world since."""
        found = self._store.read(lambda tx: SqlAws(tx).get(self._world))
        return not self._lost and found is not None and found[:2] == self._attachment[:2]

    def check(self) -> None:
        """Raises:
        WorldTakenOver: a write has found that another process has the world.
        """
        if self._lost:
            raise WorldTakenOver(self._world)

    def check_rightful(self, tx: Transaction) -> None:
        """See that nobody else has the world, nor gets it before the transaction ends.

        Raises:
            WorldTakenOver: another process has it.
        """
        SqlAws(tx).check(self._world, self._attachment)

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
        with self._lock:
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
        self._store.refuse_nested()
        try:
            with self._lock:
                while self._written < ticket and self._batch is not None:
                    self._turn.wait()
                if self._written >= ticket:
                    return
                self.check()
                batch = self._take()
            wait_for(partial(self._submit, batch), lambda: f"the world {self._world} is journalled")
        except BaseException:
            self._give_up()
            raise

    def _take(self) -> _Batch:
        """Make what is pending the batch that is written now. To be called with the lock held."""
        batch = self._batch = _Batch(self._pending, self._named, self._noted, threading.get_ident(), {})
        self._pending, self._named = {}, {}
        batch.bodies = self._bodies.staged({digest for digests in batch.named.values() for digest in digests})
        return batch

    def _submit(self, batch: _Batch, settle: Callable[[Unit], None]) -> None:
        def answer(unit: Unit) -> None:
            self._answered(batch, unit.error)
            settle(unit)

        self._store.submit(Unit(partial(self._write, batch), answer, idempotent=True))

    def _write(self, batch: _Batch, tx: Transaction) -> None:
        with self._lock:
            if batch.abandoned:
                return
            batch.begun = True
        self._bodies.write(tx, batch.bodies)
        SqlAws(tx).write(self._world, self._attachment, batch.changed)

    def _answered(self, batch: _Batch, error: BaseException | None) -> None:
        if error is None and batch.begun:
            self._bodies.stored(batch.bodies)
        with self._lock:
            if batch.abandoned:
                return
            if error is None:
                self._written = batch.upto
                self._batch = None
                self._turn.notify_all()
            else:
                self._lost = self._lost or isinstance(error, WorldTakenOver)
                self._put_back(batch)

    def _give_up(self) -> None:
        """Who writes for all fails or is interrupted: what has not begun is left to the next."""
        with self._lock:
            batch = self._batch
            if batch is not None and batch.writer == threading.get_ident() and not batch.begun:
                batch.abandoned = True
                self._put_back(batch)

    def _put_back(self, batch: _Batch) -> None:
        self._pending = batch.changed | self._pending
        self._named = batch.named | self._named
        self._batch = None
        self._turn.notify_all()
