"""The transaction of a transactional step whose statements run in the supervisor (FL-10)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from holdfast.clock import Clock
from holdfast.errors import InvalidInput
from holdfast.flows.engine.port import Record, Sealing
from holdfast.hosting.frames.cells import packed, unpacked
from holdfast.hosting.frames.channel import Channel
from holdfast.hosting.frames.verbs import Statement
from holdfast.store import Query, Row, Signer, Transaction
from holdfast.store.transaction import NONE, Params


class NotInPackages(InvalidInput):
    """What needs the store itself cannot be done in a process that never opens it."""

    code = "not_in_packages"
    remedy = "Do it in a workflow that an ordinary worker serves: `holdfast worker module:hf`."


class NoStore:
    """Stands where a step looks for its worker's store."""

    def __getattr__(self, name: str) -> Any:
        raise NotInPackages("A package's process has no store; worlds cannot be opened in it.")


class FrameTransaction:
    """:class:`~holdfast.store.Transaction` over a channel: for the step's own statements, as texts.

    Args:
        channel: to the supervisor.
        session: the open transaction's number.
        clock: where to read the time.
    """

    def __init__(self, channel: Channel, session: int, clock: Clock) -> None:
        self.actor = "worker"
        self.clock = clock
        self.signer: Signer | None = None
        self._channel = channel
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._doom: Exception | None = None

    def perform(self, work: Callable[[Transaction], tuple[Record, Sealing | None]]) -> Record:
        """Do the step's work; in a thread.

        Raises:
            NotInPackages: what it returned needs the store itself.
            Exception: what the work raises, and what it was doomed with.
        """
        record, sealing = work(self)
        if self._doom is not None:
            raise self._doom
        if sealing is not None:
            raise NotInPackages("A package's steps cannot write checkpoints of worlds.")
        return record

    def fetch(self, query: Query | str, params: Params = NONE, *, rows: Sequence[Row] | None = None) -> list[Row]:
        return [tuple(map(unpacked, row)) for row in self._ask("fetch", query, params, rows)]

    def fetch_one(self, query: Query | str, params: Params = NONE) -> Row | None:
        found = self.fetch(query, params)
        return found[0] if found else None

    def execute(self, query: Query | str, params: Params = NONE, *, rows: Sequence[Row] | None = None) -> int:
        ((touched,),) = self._ask("execute", query, params, rows)
        return int(touched)

    def doom(self, error: Exception) -> None:
        self._doom = self._doom or error

    def lock(self, *names: str) -> None:
        self._wait_for(self._channel.call, "lock", self._session, list(names))

    def _ask(self, how: str, query: Query | str, params: Params, rows: Sequence[Row] | None) -> list[list[Any]]:
        if not isinstance(query, str):
            raise NotInPackages("A package's steps run statements of their own, as texts.")
        named = {name: packed(cell) for name, cell in params.items()}
        given = None if rows is None else [list(map(packed, row)) for row in rows]
        answer: list[list[Any]] = self._wait_for(
            self._channel.call, "statement", Statement(self._session, how, query, named, given)
        )
        return answer

    def _wait_for(self, call: Callable[..., asyncio.Future[Any]], *args: Any) -> Any:
        async def ask() -> Any:
            return await call(*args)

        return asyncio.run_coroutine_threadsafe(ask(), self._loop).result()
