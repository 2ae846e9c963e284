"""What can go wrong with queues, each with its remedy."""

from __future__ import annotations

from holdfast.errors import Conflict, InvalidInput, NotFound


class InvalidQueue(InvalidInput):
    """A queue with a name or a limit that cannot be. Nothing was written."""

    code = "invalid_queue"
    remedy = "Use whole numbers from 1 as limits, None for no limit, and Rate(count, seconds) for a rate."


class QueueNotFound(NotFound):
    """There is no queue of that name. Nothing was written.

    Attributes:
        name: the name asked for.
    """

    code = "queue_not_found"
    remedy = (
        "Declare it first: hf.queue(Queue(name)), or `holdfast queue set`; `holdfast queue ls` lists those there are."
    )

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no queue {name!r}.")
        self.name = name


class QueueInUse(Conflict):
    """Flows wait or run in the queue, so that it cannot be removed.

    Attributes:
        name: the queue.
    """

    code = "queue_in_use"
    remedy = "Wait until its flows have ended, or cancel them; `holdfast queue pause` lets no more of them begin."

    def __init__(self, name: str) -> None:
        super().__init__(f"Flows wait or run in the queue {name!r}.")
        self.name = name
