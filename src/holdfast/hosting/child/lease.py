"""The lease of a process, as its supervisor tells it: who renews it is the supervisor (FL-11)."""

from __future__ import annotations

from holdfast.clock import Clock
from holdfast.hosting.frames.channel import Channel
from holdfast.hosting.frames.verbs import Held


class ToldLease:
    """:class:`~holdfast.flows.engine.worker.Hold` over a channel.

    Args:
        channel: to the supervisor.
        clock: its monotonic time is the machine's, as the supervisor's is.
    """

    def __init__(self, channel: Channel, clock: Clock) -> None:
        self.epoch = 0
        self._until = 0.0
        self._channel = channel
        self._clock = clock

    async def acquire(self) -> int:
        """Begin an epoch."""
        self.renewed(await self._channel.call("acquire"))
        return self.epoch

    def renewed(self, held: Held) -> None:
        """The supervisor says how long it is held; what it said of an earlier epoch is out of date."""
        if held.epoch >= self.epoch:
            self.epoch, self._until = held

    def held(self) -> bool:
        """Whether it may still be believed in."""
        return self._clock.monotonic() < self._until

    def start(self) -> None:
        """The supervisor keeps it."""

    def stop(self) -> None:
        """The supervisor ends it."""

    async def give_up(self) -> None:
        """End the epoch and free its flows."""
        await self._channel.call("give_up")
