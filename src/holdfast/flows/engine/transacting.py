"""Transactional steps: their records do not go through the outbox, but keep their place among those that do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from holdfast.flows.engine.calls import Call, outcome
from holdfast.flows.engine.errands import Errands, persist
from holdfast.flows.engine.loop import excursion
from holdfast.flows.engine.port import EnginePort, Record
from holdfast.flows.engine.postbox import Postbox, Recipient
from holdfast.flows.errors import LeaseLost
from holdfast.store import Transaction


class Transacting:
    """Runs transactional steps.

    Args:
        port: the engine's way to the store.
        post: writes all else.
        errands: does it beside.
        recipient: hears what became of it.
    """

    def __init__(self, port: EnginePort, post: Postbox, errands: Errands, recipient: Recipient) -> None:
        self._port = port
        self._post = post
        self._errands = errands
        self._recipient = recipient

    async def transact(self, call: Call, work: Callable[[Transaction], Any]) -> None:
        """Run a transactional step; its record is written by the same transaction as its effect.

        A flow's writes follow one another, here and in the outbox: the order of writing is that of delivery.
        """
        run = call.run
        while run.unwritten:
            self._post.flush()
            await run.written()
        run.transacting, call.recorded = True, True
        run.unwritten += 1
        # whatever becomes of the step's task: a halt waits until it is known what was written
        problem = await asyncio.shield(self._errands.beside(self._transact(call, work)))
        if problem is not None:
            raise problem

    async def _transact(self, call: Call, work: Callable[[Transaction], Any]) -> BaseException | None:
        """Returns what the step raised: a task would let some of that out of the event loop."""
        run = call.run
        record: Record | None = None
        problem: BaseException | None = None
        try:
            record = await persist(lambda: self._port.transact(run.epoch, run.num, call.run_id, work))
        except LeaseLost as error:
            self._recipient.fence(error.epoch)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            call.recorded = False
            problem = error
        finally:
            run.transacting = False
            run.unwritten -= 1
            if record is not None and not run.evicted:
                with excursion():
                    self._recipient.hand_over(run, call, record, outcome(call, record))
            for item in run.take_deferred():
                self._post.send(*item)
            run.notify_written()
            self._recipient.flush_soon()
        return problem
