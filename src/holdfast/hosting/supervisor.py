"""The supervisor: one process of Holdfast that owns the store's leases, and a child process for each version in use."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.clock import MICROS_PER_SECOND, Clock
from holdfast.errors import HoldfastError, StoreError
from holdfast.flows.engine.lease import Lease, Terms
from holdfast.flows.engine.options import WorkerOptions
from holdfast.flows.engine.sql_port import SqlEnginePort
from holdfast.flows.errors import LeaseLost
from holdfast.flows.model import served_by
from holdfast.hosting.host import Host, House, Stage
from holdfast.hosting.shelf import Shelf, cache_root
from holdfast.packages.sql import SqlPackageStore
from holdfast.packages.troubles import clear_trouble, put_trouble, troubles
from holdfast.store import Store, Transaction, load_queries

log = logging.getLogger("holdfast.hosting")
_q = load_queries("holdfast.hosting")
POLL_SECONDS = 1.0
BEATS_PER_LEASE = 20


@dataclass(frozen=True, slots=True)
class HostingOptions:
    """How a supervisor works.

    Attributes:
        worker: how each process works.
        lease: seconds for which a silent process, or a silent supervisor, keeps its flows.
        idle: seconds after which a process that has nothing to do is stopped.
        retention: seconds for which flows are kept once they have ended; ``None``: for good.
        cache: directory for packages and environments.
        supplied: archives that the operator supplies as files, by hash.
    """

    worker: WorkerOptions = field(default_factory=WorkerOptions)
    lease: float = 10.0
    idle: float = 60.0
    retention: float | None = 30 * 86_400.0
    cache: Path = field(default_factory=cache_root)
    supplied: Mapping[str, Path] = field(default_factory=dict)


class Supervisor:
    """Runs whatever flows are pinned to packages, on the running event loop.

    Args:
        store: where flows and packages are.
        clock: where the time is read.
        options: how it works.
    """

    def __init__(self, store: Store, clock: Clock, options: HostingOptions) -> None:
        self._store = store
        self._clock = clock
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._hosts: dict[str, Host] = {}
        self._offered: list[str] = []
        self._port = SqlEnginePort(store, options.retention)
        self._lease = Lease(
            store,
            Terms(lambda: self._offered, options.lease),
            clock,
            freed=self._wake_threadsafe,
            fenced=lambda epoch: self._threadsafe(self._lost.set),
        )
        self._lost = asyncio.Event()
        self._chores: asyncio.Task[None] | None = None
        self._house = House(
            store=store,
            clock=clock,
            port=self._port,
            shelf=Shelf(options.cache, self._body, options.supplied),
            options=options.worker,
            lease_seconds=options.lease,
            wake=self._wake_threadsafe,
            stirred=self._wake_all,
            troubled=self._troubled,
        )

    @property
    def running(self) -> dict[str, int]:
        """Process ids by version, of those that serve."""
        return {
            version: host.pid
            for version, host in self._hosts.items()
            if host.stage is Stage.SERVING and host.pid is not None
        }

    async def run(self, started: Callable[[], None]) -> None:
        """Work until cancelled; then let all processes drain (FL-11)."""
        await self._lease.acquire()
        self._lease.start()
        unwatch = self._store.watch(self._announced)
        beating = self._loop.create_task(self._beat())
        started()
        try:
            await self._serve()
        finally:
            unwatch()
            await asyncio.gather(*(host.stop() for host in self._hosts.values()))
            self._house.shelf.environments.close()
            beating.cancel()
            if self._chores is not None:
                self._chores.cancel()
            await asyncio.to_thread(self._lease.stop)
            with contextlib.suppress(StoreError):  # then the lease runs out by itself
                await self._lease.give_up()

    # -- what is due ---------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        while True:
            self._wake.clear()
            pause = POLL_SECONDS
            try:
                if self._lost.is_set():
                    await self._lease.acquire()
                    self._lost.clear()
                pause = await self._look()
            except LeaseLost:
                self._lost.set()
                continue
            except StoreError as error:
                log.warning("the store cannot be asked for work now: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _look(self) -> float:
        """Start and stop what has to be; returns seconds after which to look again."""
        troubled = [host for host in self._hosts.values() if host.trouble is not None]
        needed, types, struck, self._offered = await self._store.aread(self._read)
        for host in troubled:
            if host.content_hash not in struck:
                host.forgive()  # it was deployed again
        now = self._clock.micros()
        moments = [moment for moment in (self._need(version) for version, due in needed if due <= now) if moment]
        await self._tend_schedules(types, now)
        self._rest_the_idle({version for version, due in needed if due <= now})
        delays = [(due - now) / MICROS_PER_SECOND for _, due in needed if due > now]
        delays += [moment - self._loop.time() for moment in moments]
        return max(0.0, min([POLL_SECONDS, *delays]))

    def _read(self, tx: Transaction) -> tuple[list[tuple[str, int]], list[str], set[str], list[str]]:
        """Versions that flows wait for, and since when; types that are routed; versions that are in trouble; and what
        flows can be claimed by of those that are not."""
        routed = [route.workflow_type for route in SqlPackageStore(tx).list_package_routes().items]
        struck = {trouble.content_hash for trouble in troubles(tx)}
        offered = [served_by(*row) for row in tx.fetch(_q["deployed"]) if row[1] not in struck]
        return [(row[0], row[1]) for row in tx.fetch(_q["needed"])], routed, struck, offered

    def _need(self, version: str) -> float | None:
        host = self._hosts.get(version)
        if host is None:
            host = self._hosts[version] = Host(version, self._house)
        return host.need()

    def _rest_the_idle(self, needed: set[str]) -> None:
        for version, host in self._hosts.items():
            since = host.idle_since
            if version not in needed and since is not None and self._loop.time() - since > self._options.idle:
                log.info("version %.12s is idle; its process is stopped", version)
                host.rest()

    async def _tend_schedules(self, types: Sequence[str], now: int) -> None:
        """Schedules of packaged workflows, and the daily chores: done here for all processes."""
        outlook = await self._port.outlook(self._lease.epoch, types)
        if outlook.schedules is not None and outlook.schedules <= now:
            await self._port.tick(self._lease.epoch, types)
            self._wake_all()
        if outlook.chores is not None and outlook.chores <= now and (self._chores is None or self._chores.done()):
            self._chores = self._loop.create_task(self._do_chores())

    async def _do_chores(self) -> None:
        try:
            await self._port.chores(self._lease.epoch)
        except HoldfastError as error:
            log.warning("the daily chores cannot be done now: %s", error)

    async def _beat(self) -> None:
        while True:
            for host in self._hosts.values():
                host.beat()
            await asyncio.sleep(self._options.lease / BEATS_PER_LEASE)

    # -- from other threads ------------------------------------------------------------------------------------

    def _announced(self) -> None:
        self._threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        self._wake.set()
        for host in self._hosts.values():
            host.wake()

    def _wake_threadsafe(self) -> None:
        self._threadsafe(self._wake.set)

    def _threadsafe(self, call: Callable[[], Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            self._loop.call_soon_threadsafe(call)

    def _body(self, content_hash: str) -> bytes | None:
        return self._store.read(lambda tx: SqlPackageStore(tx).get_archive(content_hash))

    def _troubled(self, content_hash: str, error: HoldfastError | None) -> None:
        def work(tx: Transaction) -> None:
            if error is None:
                clear_trouble(tx, content_hash)
            else:
                put_trouble(tx, content_hash, error, socket.gethostname())

        self._store.run(work, idempotent=True)
