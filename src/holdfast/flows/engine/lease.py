"""Leases: one row per worker, renewed from a thread of its own (FL-11).

A worker's life is an *epoch*: a row whose number every one of its writes proves to be alive. Expiry is judged by the
observer's own monotonic clock, from when it last saw the beat counter move; no two hosts' clocks are ever compared.
Taking over means to fence the row first, by compare-and-set on the beat, and only then to free the flows.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from holdfast import codec
from holdfast.clock import MICROS_PER_SECOND, Clock
from holdfast.flows.errors import HaltingError
from holdfast.flows.model import describe
from holdfast.flows.settling import settle
from holdfast.ids import new_id
from holdfast.store import Store, Transaction, load_queries, prune_keys

log = logging.getLogger("holdfast.flows")
_q = load_queries("holdfast.flows.engine")

BEATS_PER_LEASE = 5
OWN_SHARE = 0.7
"""A worker stops starting work when this share of its lease passed without a beat: well before others may act."""
SLICE = 500
MAX_CRASHES = 5
KEPT_DAYS = 30


class Poisoned(HaltingError):
    """A flow on which several workers in a row died (FL-19)."""

    code = "poisoned"
    remedy = "See what its next step does to a process (memory? a native crash?) before starting it again."


@dataclass(frozen=True, slots=True)
class Terms:
    """What a worker says about itself.

    Attributes:
        workflow_types: gives what it serves now.
        seconds: length of the lease.
    """

    workflow_types: Callable[[], Sequence[str]]
    seconds: float


class Lease:
    """A worker's hold on its flows.

    Args:
        store: where the rows are.
        terms: what to register.
        clock: for stamps; its monotonic time judges expiry.
        freed: called, from the lease's thread, when flows of others were freed.
        fenced: called, from the lease's thread, with an epoch of this worker that turns out to be over.
    """

    def __init__(
        self, store: Store, terms: Terms, clock: Clock, *, freed: Callable[[], None], fenced: Callable[[int], None]
    ) -> None:
        self.epoch = 0
        self._store = store
        self._terms = terms
        self._clock = clock
        self._freed = freed
        self._fenced = fenced
        self._renewed = 0.0
        self._watch = Watch(clock, terms.seconds / BEATS_PER_LEASE)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="holdfast-lease", daemon=True)

    def start(self) -> None:
        """Keep the lease and watch the others'."""
        self._thread.start()

    async def acquire(self) -> int:
        """Begin an epoch, and fence the one before it: whatever was leased to it is freed."""
        began, before = self._clock.monotonic(), self.epoch
        self.epoch = await self._store.arun(lambda tx: _register(tx, self._terms, before))
        self._renewed = began
        return self.epoch

    @property
    def until(self) -> float:
        """When it stops to be held unless it is renewed, in monotonic seconds: before others may take over."""
        return self._renewed + self._terms.seconds * OWN_SHARE

    def held(self) -> bool:
        """Whether this worker may still believe in its lease."""
        return self._clock.monotonic() < self.until

    def stop(self) -> None:
        """Stop renewing."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    async def give_up(self) -> None:
        """End the epoch and free its flows for others, at once."""
        await self._store.arun(lambda tx: tx.execute(_q["retire"], {"epoch": self.epoch, "now": tx.clock.micros()}))
        while await self._store.arun(lambda tx: _let_go(tx, self.epoch), idempotent=True):
            pass
        await self._store.arun(_mark_released, idempotent=True)

    async def forsake(self) -> None:
        """Whoever worked under the epoch has died: its flows are taken over at once, and that is counted (FL-19)."""
        await self._store.arun(lambda tx: tx.execute(_q["retire"], {"epoch": self.epoch, "now": tx.clock.micros()}))
        while await self._store.arun(take_over, idempotent=True):
            pass

    def _serve(self) -> None:
        while True:
            try:
                self._round()
            except Exception as error:  # not renewed: held() says so, and the next round tries again
                log.warning("the lease could not be renewed now: %s", error)
            if self._ended.wait(self._terms.seconds / BEATS_PER_LEASE):
                return

    def _round(self) -> None:
        began, epoch = self._clock.monotonic(), self.epoch
        if self._store.run(lambda tx: _beat(tx, epoch, self._terms), idempotent=True):
            self._renewed = began
        else:
            self._fenced(epoch)
        known = self._store.read(lambda tx: [Registered(*row) for row in tx.fetch(_q["unreleased"])])
        expired = self._watch.expired([worker for worker in known if worker.fenced_at is None], besides=epoch)
        for dead in expired:
            log.warning("the worker epoch %d (pid %d) is gone; its flows are taken over", dead.epoch, dead.pid)
            self._store.run(partial(_fence, epoch=dead.epoch, beat=dead.beat), idempotent=True)
        if expired or any(worker.fenced_at is not None for worker in known):
            self._take_over()

    def _take_over(self) -> None:
        freed = 0
        while count := self._store.run(take_over, idempotent=True):
            freed += count
        if freed:
            self._freed()


@dataclass(frozen=True, slots=True)
class Registered:
    """A worker whose flows were not all released yet, as its row has it."""

    epoch: int
    beat: int
    host: str
    pid: int
    lease_seconds: float
    fenced_at: int | None


class Watch:
    """Judges others' leases by how long this process has seen them silent.

    Only time that it spent watching counts: whoever was itself frozen, or held up by the database, has missed beats.

    Args:
        clock: its monotonic time is used.
        pace: seconds between two looks, when nothing delays them.
    """

    def __init__(self, clock: Clock, pace: float) -> None:
        self._clock = clock
        self._pace = pace
        self._looked = clock.monotonic()
        self._silence: dict[int, tuple[int, float]] = {}
        self._host = host_id()

    def expired(self, living: Sequence[Registered], *, besides: int) -> list[Registered]:
        """Those whose lease ran out, or whose process is known to be gone."""
        now = self._clock.monotonic()
        watched = min(now - self._looked, 2 * self._pace)
        self._looked = now
        known = self._silence
        self._silence = {
            worker.epoch: (worker.beat, known[worker.epoch][1] + watched)
            if worker.epoch in known and known[worker.epoch][0] == worker.beat
            else (worker.beat, 0.0)
            for worker in living
        }
        return [worker for worker in living if worker.epoch != besides and self._is_over(worker)]

    def _is_over(self, worker: Registered) -> bool:
        if self._silence[worker.epoch][1] > worker.lease_seconds:
            return True
        return worker.host == self._host and not process_exists(worker.pid)


def host_id() -> str:
    """Names this set of process ids: the same host, the same boot, the same pid namespace."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return "/".join(parts)


def process_exists(pid: int) -> bool:
    """Whether a process of this host still runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """A killed process whose parent has not read its end yet runs nothing any more."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return False


def _register(tx: Transaction, terms: Terms, before: int) -> int:
    now = tx.clock.micros()
    tx.execute(_q["retire"], {"epoch": before, "now": now})
    prune_keys(tx)
    tx.execute(_q["prune_workers"], {"before": now - KEPT_DAYS * 86_400 * MICROS_PER_SECOND})
    values = {
        "host": host_id(),
        "pid": os.getpid(),
        "workflow_types": codec.encode(list(terms.workflow_types())),
        "lease_seconds": terms.seconds,
        "now": now,
    }
    ((epoch,),) = tx.fetch(_q["register"], values)
    return int(epoch)


def _beat(tx: Transaction, epoch: int, terms: Terms) -> int:
    served = codec.encode(list(terms.workflow_types()))
    return tx.execute(_q["beat"], {"epoch": epoch, "now": tx.clock.micros(), "workflow_types": served})


def _fence(tx: Transaction, epoch: int, beat: int) -> int:
    return tx.execute(_q["fence_expired"], {"epoch": epoch, "beat": beat, "now": tx.clock.micros()})


def _let_go(tx: Transaction, epoch: int) -> int:
    return tx.execute(_q["let_go"], {"epoch": epoch, "now": tx.clock.micros(), "limit": SLICE})


def _mark_released(tx: Transaction) -> int:
    return tx.execute(_q["released"], {"now": tx.clock.micros()})


def take_over(tx: Transaction) -> int:
    """Free one slice of the flows that fenced workers held; returns how many.

    Each gets a ``resumed`` event, and a count of workers that died on it without any step being recorded in
    between; at ``MAX_CRASHES`` it is failed as poison (FL-19).
    """
    now = tx.clock.micros()
    ((mark,),) = tx.fetch(_q["step_mark"])
    freed = tx.fetch(_q["take_over"], {"now": now, "mark": mark, "limit": SLICE})
    if not freed:
        _mark_released(tx)
        return 0
    events = [(num, str(new_id()), codec.encode({"crashes": crashes})) for num, crashes in freed]
    tx.execute(_q["add_events"], {"kind": "resumed", "at": now}, rows=events)
    for num, crashes in freed:
        if crashes >= MAX_CRASHES:
            error = codec.encode(describe(Poisoned(f"{crashes} workers in a row died while running this flow.")))
            poisoned = tx.execute(_q["poison"], {"flow": num, "error": error, "now": now})
            event = {"flow": num, "id": str(new_id()), "kind": "poisoned", "payload": error, "at": now}
            tx.execute(_q["add_event"], event)
            if poisoned:
                settle(tx, [num])
    return len(freed)
