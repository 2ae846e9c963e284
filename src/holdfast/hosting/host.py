"""A version and the process that runs it: started when its flows need it, stopped when idle, started again when it
dies.

Whatever keeps a version from being loaded is its trouble, kept in the store: its flows are stranded until it is mended,
and are never run on another version (PK-5, PK-8).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from holdfast.clock import Clock
from holdfast.errors import HoldfastError, StoreError
from holdfast.flows.engine.lease import Lease, Terms
from holdfast.flows.engine.options import WorkerOptions
from holdfast.flows.engine.port import EnginePort
from holdfast.flows.model import served_by
from holdfast.hosting.errors import ProtocolError, VersionNotLoadable
from holdfast.hosting.examining import contents_of, greeted
from holdfast.hosting.frames.verbs import PROTOCOL, Welcome
from holdfast.hosting.process import Process
from holdfast.hosting.shelf import Shelf, Shelved
from holdfast.hosting.station import Station
from holdfast.store import Store

log = logging.getLogger("holdfast.hosting")
FIRST_BACKOFF = 0.25
MAX_BACKOFF = 60.0
STEADY_SECONDS = 10.0
"""A process that lived so long was no failure to start."""
TROUBLED_AFTER = 3
"""So many deaths in a row, and its flows are said to be stranded."""
SILENCE_SECONDS = 60.0
"""A process that leaves a ping unanswered for so long is killed."""


class Stage(StrEnum):
    """Where a version's process is."""

    RESTING = "resting"
    STARTING = "starting"
    SERVING = "serving"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class House:
    """What all hosts of a supervisor share.

    Attributes:
        store, clock, port: the engine's.
        shelf: where unpacked packages and environments are.
        options: how each process works.
        lease_seconds: how long a silent process keeps its flows.
        wake: to be called when something may be due.
        stirred: to be called when flows of any version may have something to do; a store does not tell its own process.
        troubled: called, in a thread, with a version and what keeps it from being loaded; ``None``: nothing any more.
    """

    store: Store
    clock: Clock
    port: EnginePort
    shelf: Shelf
    options: WorkerOptions
    lease_seconds: float
    wake: Callable[[], None]
    stirred: Callable[[], None]
    troubled: Callable[[str, HoldfastError | None], None]


class Host:
    """Keeps at most one process of one version.

    Args:
        content_hash: the version.
        house: what it shares with the others.
    """

    def __init__(self, content_hash: str, house: House) -> None:
        self.content_hash = content_hash
        self.stage = Stage.RESTING
        self.needed_at = 0.0
        self.trouble: HoldfastError | None = None
        self._house = house
        self._loop = asyncio.get_running_loop()
        self._deaths = 0
        self._not_before = 0.0
        self._task: asyncio.Task[None] | None = None
        self._station: Station | None = None
        self._process: Process | None = None
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """Of its process."""
        return self._process.pid if self._process is not None else None

    @property
    def idle_since(self) -> float | None:
        """The loop's time at which it last had something to do; ``None`` where it does not serve."""
        if self.stage is not Stage.SERVING or self._station is None:
            return None
        if self._station.holdings:
            self.needed_at = self._loop.time()
        return self.needed_at

    def need(self) -> float | None:
        """Its flows need it now. Returns the loop's time before which it is not tried again, if that is to come."""
        self.needed_at = self._loop.time()
        if self.stage is not Stage.RESTING:
            return None
        if self._loop.time() < self._not_before:
            return self._not_before
        self.stage = Stage.STARTING
        self._stopping.clear()
        self._task = self._loop.create_task(self._live())
        return None

    def forgive(self) -> None:
        """Something has changed that may have been in its way: try it at once."""
        self.trouble, self._not_before, self._deaths = None, 0.0, 0

    def wake(self) -> None:
        """Something may be due for it."""
        if self._station is not None and self._station.channel is not None:
            self._station.channel.tell("wake")

    def beat(self) -> None:
        """Let its process know how long it may work, and see that it answers."""
        station = self._station
        if station is None or station.channel is None or self.stage not in (Stage.SERVING, Stage.STOPPING):
            return
        station.tell_held()
        station.channel.tell("ping", 0)
        if self._loop.time() - station.answered_at > SILENCE_SECONDS:
            station.lost(ProtocolError(f"It did not answer for {SILENCE_SECONDS:g} s."))

    def rest(self) -> None:
        """Let its process drain and end."""
        self._stopping.set()

    async def stop(self) -> None:
        """:meth:`rest`, and wait for that."""
        self.rest()
        if self._task is not None:
            if self.stage is Stage.STARTING:
                self._task.cancel()
            await asyncio.wait([self._task])

    # -- one life ------------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        began = self._loop.time()
        try:
            shelved = await asyncio.to_thread(self._house.shelf.fetch, self.content_hash)
            await self._serve(shelved)
            self._deaths = 0
        except StoreError as error:
            log.warning("version %.12s cannot be started now: %s", self.content_hash, error)
            self._back_off(began)
        except HoldfastError as error:
            await self._struck(error, began)
        except Exception as error:  # no space, no such file: whatever a machine has in store
            log.exception("version %.12s cannot be started", self.content_hash)
            problem = f"{type(error).__name__}: {error}"
            await self._struck(VersionNotLoadable(f"It cannot be started on this machine: {problem}"), began)
        finally:
            self.stage = Stage.RESTING
            self._house.wake()

    async def _serve(self, shelved: Shelved) -> None:
        """Until it is to stop, or dies.

        Raises:
            VersionNotLoadable: it was never ready, or died.
        """
        lease = self._lease(shelved)
        lost: asyncio.Future[HoldfastError] = self._loop.create_future()
        station = Station(
            self._house.port,
            lease,
            lambda name: served_by(name, self.content_hash) if name in shelved.workflows else None,
            lambda error: None if lost.done() else lost.set_result(error),
            self._house.stirred,
        )
        self._station = station
        process = await Process.spawn(shelved.interpreter, station, self._welcome(shelved), station.connect)
        self._process = process
        try:
            self._check(shelved, contents_of(await greeted(process, station.hello)))
            self._ready(station)
            await self._until_it_ends(process, lost)
        finally:
            code = await process.end()
            station.close()
            self._station = self._process = None
            if not station.gave_up:
                await self._release(lease, clean=self._stopping.is_set() and code == 0)
            await asyncio.to_thread(lease.stop)

    async def _until_it_ends(self, process: Process, lost: asyncio.Future[HoldfastError]) -> None:
        ended = self._loop.create_task(process.ended())
        stopping = self._loop.create_task(self._stopping.wait())
        first: list[asyncio.Future[Any]] = [ended, stopping, lost]
        try:
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if self._stopping.is_set():
                self.stage = Stage.STOPPING
                return await process.drain(self._house.options.drain + 1.0)
            error = lost.result() if lost.done() else None
            if isinstance(error, ProtocolError):
                raise VersionNotLoadable(f"Its process was ended: {error.message}")
            raise VersionNotLoadable(f"Its process {await process.hung_up()}.")
        finally:
            for task in (ended, stopping):
                task.cancel()

    def _ready(self, station: Station) -> None:
        station.answered_at = self._loop.time()
        self.stage = Stage.SERVING
        self.trouble = None
        self._loop.run_in_executor(None, self._tell, None)  # somebody may have said that it was in trouble

    def _check(self, shelved: Shelved, contents: dict[str, list[dict[str, object]]]) -> None:
        defined = {str(item["name"]) for item in contents["workflows"]}
        missing = sorted(set(shelved.workflows) - defined)
        if missing:
            raise VersionNotLoadable(f"Its manifest names workflows that its modules do not define: {missing}.")

    def _welcome(self, shelved: Shelved) -> Welcome:
        options = self._house.options
        return Welcome(
            protocol=PROTOCOL,
            source=str(shelved.source),
            modules=list(shelved.modules),
            serve=True,
            concurrency=options.concurrency,
            threads=options.threads,
            max_payload_bytes=options.max_payload_bytes,
            park_after=options.park_after,
            drain=options.drain,
        )

    def _lease(self, shelved: Shelved) -> Lease:
        served = [served_by(name, self.content_hash) for name in shelved.workflows]

        def fenced(epoch: int) -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                self._loop.call_soon_threadsafe(self._fenced, epoch)

        terms = Terms(lambda: served, self._house.lease_seconds)
        return Lease(self._house.store, terms, self._house.clock, freed=self._house.wake, fenced=fenced)

    def _fenced(self, epoch: int) -> None:
        if self._station is not None:
            self._station.tell_fenced(epoch)

    async def _release(self, lease: Lease, *, clean: bool) -> None:
        """End the process's epoch: a death counts against the flows that it held (FL-19)."""
        if lease.epoch:
            with contextlib.suppress(StoreError):  # then the lease runs out by itself
                await (lease.give_up() if clean else lease.forsake())

    # -- failures ------------------------------------------------------------------------------------------------

    async def _struck(self, error: HoldfastError, began: float) -> None:
        self._back_off(began)
        was_serving = self.stage is Stage.SERVING
        log.error("version %.12s: %s", self.content_hash, error)
        stranded = not was_serving or self._deaths >= TROUBLED_AFTER
        if stranded and not self._stopping.is_set() and await asyncio.to_thread(self._tell, error):
            self.trouble = error

    def _tell(self, trouble: HoldfastError | None) -> bool:
        """Keep in the store what it suffers from; in a thread. Where that cannot be, it is said again the next time."""
        try:
            self._house.troubled(self.content_hash, trouble)
        except StoreError as error:
            log.warning("the trouble of version %.12s cannot be kept now: %s", self.content_hash, error)
            return False
        return True

    def _back_off(self, began: float) -> None:
        if self._loop.time() - began > STEADY_SECONDS and self.stage is Stage.SERVING:
            self._deaths = 0
        pause = min(MAX_BACKOFF, FIRST_BACKOFF * 2**self._deaths)
        self._deaths += 1
        self._not_before = self._loop.time() + pause * random.uniform(0.75, 1.25)
