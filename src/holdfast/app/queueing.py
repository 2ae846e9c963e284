"""Declaring queues, holding them, looking at them."""

from __future__ import annotations

from functools import partial

from holdfast.app.face import Face
from holdfast.flows.queues import Queue, QueueStanding, manager
from holdfast.flows.queues.sql import SqlQueues


class Queueing(Face):
    """The verbs about queues."""

    def queue(self, queue: Queue, *, actor: str = "user") -> None:
        """Make a queue, or give the one of that name these limits; doing it again changes nothing.

        Raises:
            InvalidQueue: it is no queue.
        """
        self._act(partial(manager.declare, queues=[queue]), actor)

    def queues(self) -> list[QueueStanding]:
        """All queues as they are now, by name."""
        return self.store.read(lambda tx: SqlQueues(tx).page().items)

    def pause_queue(self, name: str, *, actor: str = "user") -> QueueStanding:
        """Let nothing more begin in a queue; see :func:`holdfast.flows.queues.manager.pause`.

        Raises:
            QueueNotFound: there is none of that name.
        """
        return self._act(partial(manager.pause, name=name), actor)

    def resume_queue(self, name: str, *, actor: str = "user") -> QueueStanding:
        """Let a paused queue go on.

        Raises:
            QueueNotFound: there is none of that name.
        """
        return self._act(partial(manager.resume, name=name), actor)

    def remove_queue(self, name: str, *, actor: str = "user") -> None:
        """Remove a queue; see :func:`holdfast.flows.queues.manager.remove`.

        Raises:
            QueueNotFound: there is none of that name.
            QueueInUse: flows wait or run in it.
        """
        self._act(partial(manager.remove, name=name), actor)
