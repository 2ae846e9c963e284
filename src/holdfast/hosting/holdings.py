"""What a process may name: the epochs, flows and waits that it was given."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from holdfast.flows.engine.port import Answer, Claimed
from holdfast.hosting.errors import ProtocolError

REMEMBERED = 10_000
"""So many flows that left last may still be named: a step that nobody waited for may end after its flow."""


class Holdings:
    """The flows of one process. What left long ago, and what was never given, is refused."""

    def __init__(self) -> None:
        self.epoch = 0
        self._epochs: set[int] = set()
        self._waits: dict[int, set[int]] = {}
        self._flow_of: dict[int, int] = {}
        self._left: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._waits)

    def begin(self, epoch: int) -> None:
        """A new epoch: whatever was held is not any more."""
        self.epoch = epoch
        self._epochs.add(epoch)
        self._waits.clear()
        self._flow_of.clear()
        self._left.clear()

    def take(self, epoch: int, claimed: Sequence[Claimed]) -> None:
        """Flows were leased to ``epoch``, which may be over by now."""
        if epoch == self.epoch:
            for flow in claimed:
                self._waits[flow.num] = set()
                self._left.pop(flow.num, None)
                self.learn(flow.answers)

    def drop(self, flows: Iterable[int]) -> None:
        """Flows ended or were given back."""
        for flow in flows:
            if flow in self._waits:
                self.forget(self._waits[flow])
                del self._waits[flow]
                self._left[flow] = None
        while len(self._left) > REMEMBERED:
            del self._left[next(iter(self._left))]

    def learn(self, answers: Iterable[Answer]) -> None:
        """The process is told of waits of its flows."""
        for answer in answers:
            if answer.flow in self._waits:
                self._waits[answer.flow].add(answer.wait)
                self._flow_of[answer.wait] = answer.flow

    def forget(self, waits: Iterable[int]) -> None:
        """Waits are over."""
        for wait in tuple(waits):
            flow = self._flow_of.pop(wait, None)
            if flow is not None:
                self._waits[flow].discard(wait)

    # -- what it names -------------------------------------------------------------------------------------------

    def check_epoch(self, epoch: int) -> None:
        """Raises:
        ProtocolError: it was never this process's.
        """
        if epoch not in self._epochs:
            raise ProtocolError(f"The epoch {epoch} was never this process's.")

    def check_flows(self, epoch: int, flows: Iterable[int | None]) -> None:
        """Under an epoch that is over, anything: the store refuses whatever is written under it.

        Raises:
            ProtocolError: one of them is not this process's.
        """
        if epoch == self.epoch:
            for flow in flows:
                if flow not in self._waits and flow not in self._left:
                    raise ProtocolError(f"The flow {flow} is not this process's.")

    def check_waits(self, epoch: int, waits: Iterable[int]) -> None:
        """Likewise.

        Raises:
            ProtocolError: one of them is no wait of this process's flows.
        """
        if epoch == self.epoch:
            for wait in waits:
                if wait not in self._flow_of:
                    raise ProtocolError(f"The wait {wait} is not this process's.")
