"""Waiting for flows to end, wherever they run."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import NamedTuple

from holdfast.errors import StoreClosed
from holdfast.store import Store, Transaction, Unit, load_queries
from holdfast.store.units import answer

_q = load_queries("holdfast.flows.engine")
log = logging.getLogger("holdfast.flows")
LOCAL_SECONDS = 1.0
REMOTE_SECONDS = 0.1
SLICE = 1000


class Outcome(NamedTuple):
    """How a flow ended: its status (or ``halted``), and JSON texts."""

    status: str
    result: str | None
    error: str | None


class Outcomes:
    """Tells those who wait for a flow how it ended.

    Flows that run in this process are told by its worker. For all others one thread asks the store about everything
    that is waited for, in one statement.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Unit]] = {}
        self._local: set[str] = set()
        self._wake = threading.Event()
        self._ended = False
        self._thread: threading.Thread | None = None

    def expect(self, flow_id: str) -> None:
        """A worker of this process is about to run the flow, and will tell."""
        with self._lock:
            self._local.add(flow_id)

    def wait(self, flow_id: str, unit: Unit) -> None:
        """Answer ``unit`` with the flow's outcome."""
        with self._lock:
            if self._ended:
                unit.error = StoreClosed("The store is closed.")
                answer([unit])
                return
            self._waiting.setdefault(flow_id, []).append(unit)
            asking = flow_id not in self._local
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="holdfast-outcomes", daemon=True)
                self._thread.start()
        if asking:
            self._wake.set()

    def forget(self, flow_id: str, unit: Unit) -> None:
        """``unit`` is not waited for any more."""
        with self._lock:
            units = self._waiting.get(flow_id, [])
            if unit in units:
                units.remove(unit)
            if not units:
                self._waiting.pop(flow_id, None)

    def tell(self, ended: Iterable[tuple[str, Outcome]]) -> None:
        """These flows ended."""
        told: list[Unit] = []
        with self._lock:
            for flow_id, outcome in ended:
                self._local.discard(flow_id)
                for unit in self._waiting.pop(flow_id, ()):
                    unit.result = outcome
                    told.append(unit)
        if told:
            answer(told)

    def close(self) -> None:
        """Nobody will tell any more."""
        with self._lock:
            self._ended = True
        self._wake.set()
        if self._thread:
            self._thread.join()
        self.fail(StoreClosed("The store was closed while the flow was waited for."))

    def fail(self, error: Exception) -> None:
        """Tell everybody who waits that this process cannot know any more."""
        with self._lock:
            units = [unit for waiting in self._waiting.values() for unit in waiting]
            self._waiting.clear()
        for unit in units:
            unit.error = error
        answer(units)

    def _serve(self) -> None:
        rounds = 0
        while True:
            remote = self._asked(local=False)
            self._wake.wait(REMOTE_SECONDS if remote else LOCAL_SECONDS)
            self._wake.clear()
            if self._ended:
                return
            rounds += 1
            everything = not remote or rounds % round(LOCAL_SECONDS / REMOTE_SECONDS) == 0
            try:
                self._ask(self._asked(local=everything))
            except Exception as error:  # the next round asks again; this thread must not end before the store does
                log.warning("the store cannot be asked for outcomes now: %s", error)

    def _asked(self, *, local: bool) -> list[str]:
        with self._lock:
            return [flow_id for flow_id in self._waiting if local or flow_id not in self._local]

    def _ask(self, flow_ids: list[str]) -> None:
        for start in range(0, len(flow_ids), SLICE):
            chunk = [(flow_id,) for flow_id in flow_ids[start : start + SLICE]]
            self.tell(self._store.read(lambda tx, chunk=chunk: _outcomes(tx, chunk)))  # type: ignore[misc]


def _outcomes(tx: Transaction, ids: list[tuple[str]]) -> list[tuple[str, Outcome]]:
    found = []
    for flow_id, status, result, error in tx.fetch(_q["outcomes"], rows=ids):
        halted = status not in ("finished", "failed", "cancelled")
        if halted and error is None:
            continue  # paused by a person, not stuck
        found.append((flow_id, Outcome("halted" if halted else status, result, error)))
    return found
