"""What ``holdfast doctor`` finds out. It only reads: it never waits for a writer, not even for a frozen one."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from holdfast.audit.chain import check_end
from holdfast.cli.output import counted
from holdfast.errors import HoldfastError
from holdfast.flows import health
from holdfast.flows.health import Health, WorkerState
from holdfast.packages.troubles import Trouble, troubles
from holdfast.store import Store, Transaction, load_queries, open_store
from holdfast.store.migrate import check_version, found_version, migrations

LOW_DISK_BYTES = 256 * 1024 * 1024
_SAFE = ("full", "extra", "on", "remote_apply", "remote_write", "local")
_SECRET = re.compile(r"//([^:/@]*):[^@]*@")
_q = load_queries("holdfast.store")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong, and what to do about it."""

    code: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Turn:
    """Which process writes to the SQLite file now; ``frozen`` is ``None`` where that cannot be told."""

    pid: int
    frozen: bool | None


@dataclass(slots=True)
class Checkup:
    """What was found; ``None`` where it could not be looked at.

    Attributes:
        schema_found, schema_known: the database's version and this code's.
        durability: what a commit waits for: SQLite's ``synchronous``, PostgreSQL's ``synchronous_commit``.
        disk_free_bytes: beside the SQLite file.
        turn: who writes to it now.
        health: of flows and workers.
        troubles: what keeps versions of packages from being loaded.
    """

    url: str
    reachable: bool = False
    schema_found: int | None = None
    schema_known: int = field(default_factory=lambda: len(migrations()))
    writable: bool | None = None
    durability: str | None = None
    disk_free_bytes: int | None = None
    turn: Turn | None = None
    health: Health | None = None
    troubles: Sequence[Trouble] = ()
    problems: list[Problem] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        return not self.problems


def check_up(url: str, patience: float) -> Checkup:
    """Look at the store at ``url``; a store that cannot be opened is a finding, not an error.

    Args:
        patience: seconds to wait for an unreachable server.

    Raises:
        StoreUrlInvalid: not a store URL.
    """
    found = Checkup(_SECRET.sub(r"//\1@", url))
    _attempt(found, lambda: _look(found, url, patience))
    found.problems += _storage_problems(found)
    if found.health is not None:
        found.problems += _flow_problems(found.health)
    return found


def _attempt(found: Checkup, act: Callable[[], object]) -> None:
    try:
        act()
    except HoldfastError as error:
        found.problems.append(Problem(error.code, error.message, error.remedy))


def _look(found: Checkup, url: str, patience: float) -> None:
    with open_store(url, migrate=False, patience=patience) as store:
        found.url = store.url
        _look_beside(found, store)
        found.schema_found = store.read(found_version)
        found.reachable = True
        found.durability = store.read(_durability)
        check_version(found.schema_found)
        found.writable = store.read(_writable) and found.writable is not False
        _attempt(found, lambda: _look_into(found, store))
        _attempt(found, lambda: store.read(check_end))


def _look_into(found: Checkup, store: Store) -> None:
    found.health = store.read(health.inspect)
    found.troubles = store.read(troubles)
    found.problems += [_told_trouble(trouble) for trouble in found.troubles]


def _told_trouble(trouble: Trouble) -> Problem:
    told = f"Version {trouble.content_hash[:12]} is {trouble.kind} ({trouble.host}): {trouble.error['message']}"
    return Problem(f"version_{trouble.kind}", told, str(trouble.error["remedy"]))


def _look_beside(found: Checkup, store: Store) -> None:
    """What the machine knows of a store that is a file."""
    pid = store.backend.turn_holder()
    if pid is not None:
        found.turn = Turn(pid, health.is_frozen(pid))
    path = store.backend.path
    if path is not None:
        found.disk_free_bytes = shutil.disk_usage(path.parent).free
        found.writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _durability(tx: Transaction) -> str:
    ((setting,),) = tx.fetch(_q["durability"])
    return str(setting)


def _writable(tx: Transaction) -> bool:
    ((allowed,),) = tx.fetch(_q["writable"])
    return bool(allowed)


def _storage_problems(found: Checkup) -> Iterator[Problem]:
    if found.writable is False:
        yield Problem("not_writable", f"{found.url} cannot be written.", "Give this user the right to write there.")
    if found.disk_free_bytes is not None and found.disk_free_bytes < LOW_DISK_BYTES:
        free = f"{found.disk_free_bytes / 1e6:,.0f} MB"
        yield Problem("disk_low", f"Only {free} are free on the store's disk.", "Free space, or `holdfast prune`.")
    if found.durability is not None and found.durability not in _SAFE:
        told = f"A commit does not wait for the disk ({found.durability}): a power cut can lose acknowledged work."
        yield Problem("not_durable", told, "Turn the database's synchronous setting (and fsync) on.")
    if found.turn and found.turn.frozen:
        told = f"The process {found.turn.pid} is frozen while it holds the turn to write; all other writers wait."
        yield Problem("turn_frozen", told, f"Thaw it with `kill -CONT {found.turn.pid}`, or end it with `kill -9`.")


def _flow_problems(found: Health) -> Iterator[Problem]:
    for worker in found.workers:
        name = f"The worker epoch {worker.epoch} (pid {worker.pid} on {worker.host})"
        if worker.state is WorkerState.FROZEN:
            yield Problem("worker_frozen", f"{name} is frozen.", f"Thaw it with `kill -CONT {worker.pid}`.")
        elif worker.state is not WorkerState.LIVING and worker.flows:
            told = f"{name} is {worker.state} and holds {counted(worker.flows, 'flow')}."
            yield Problem(f"worker_{worker.state}", told, "Start a worker there: it takes them over by itself.")
    if found.halted_count:
        told = f"Halted: {counted(found.halted_count, 'flow')}, first {found.halted[0].id}."
        yield Problem("flows_halted", told, "`holdfast flow show` has the cause; mend it, then `holdfast flow resume`.")
    for name, count in found.unserved.items():
        told = f"No living worker serves {name}; waiting for one: {counted(count, 'flow')}."
        yield Problem(
            "flows_unserved",
            told,
            "Start `holdfast worker module:hf` of a module that has it; for packages, `holdfast worker`.",
        )
    for chore in found.chores:
        if chore.outcome and "error" in chore.outcome:
            told = f"The {chore.name} chore failed: {chore.outcome['error'].get('detail')}."
            yield Problem("chore_failed", told, "Mend the cause; workers try again the next day, `holdfast prune` now.")
