"""What every verb of :class:`~holdfast.Holdfast` stands on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from holdfast.flows.engine.options import WorkerOptions
from holdfast.flows.outcomes import Outcomes
from holdfast.flows.starts import Starts
from holdfast.flows.workflows import Registry
from holdfast.store import Store, Transaction

R = TypeVar("R")


class Face:
    """An open store with, perhaps, a worker: made whole by :class:`~holdfast.Holdfast`."""

    _registry: Registry
    _options: WorkerOptions
    _outcomes: Outcomes
    _starts: Starts
    _wake: Callable[[], None]
    _loop: asyncio.AbstractEventLoop | None

    @property
    def store(self) -> Store:
        """The open store.

        Raises:
            StoreClosed: outside the ``with`` block.
        """
        raise NotImplementedError

    def _act(self, work: Callable[[Transaction], R], actor: str) -> R:
        """Run a verb that workers, here and elsewhere, should hear of."""

        def unit(tx: Transaction) -> R:
            self.store.backend.announce(tx)
            return work(tx)

        result = self.store.run(unit, actor=actor)
        self._wake()
        return result
