"""The crash explorer: kill a run at each of its write points, resume it, compare with the undisturbed run.

A *write point* is the moment just before or just after a commit. A run with *n* of them is run *n* times, each
time killed at another one: in this process (fast; nothing the killed part does after that point reaches the
database) or in a process of its own with a real ``SIGKILL``. Afterwards a new worker finishes the flow, and

- the result is that of the undisturbed run,
- its history holds the same steps with the same outcomes (in whatever order concurrent ones came),
- no step that was recorded before the kill ran again (FL-10), by the effect ledger.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from holdfast.app import Holdfast
from holdfast.flows import SqlFlowStore
from holdfast.flows.errors import RecordedError
from holdfast.flows.workflows import Workflow
from holdfast.store import open_store
from holdfast.testing.crash.fuse import Fuse, Killed, die, kill_process, named
from holdfast.testing.hush import hushed
from holdfast.testing.ledger import EffectLedger

FLOW = UUID("01890000-0000-7000-8000-000000000001")
LEASE_SECONDS = 1.0
TIMEOUT_SECONDS = 60.0
_NO_PROCESS = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Scenario:
    """A workflow to kill.

    Attributes:
        workflow: takes the path of an :class:`EffectLedger` as its first argument and hands it to its steps, each of
            which appends ``current_step().run_id`` to it.
        reference: ``module:attribute`` under which another process finds ``workflow``.
        args: further arguments.
        children: workflows of which it starts children.
        park_after: as for :class:`~holdfast.Holdfast`; 0: it leaves memory whenever it waits.
    """

    workflow: Workflow[..., Any]
    reference: str = ""
    args: tuple[Any, ...] = ()
    children: tuple[Workflow[..., Any], ...] = ()
    park_after: float = 3600

    def open(self, url: str, **options: Any) -> Holdfast:
        """A worker of it."""
        served = [self.workflow, *self.children]
        return Holdfast(url, workflows=served, lease=LEASE_SECONDS, park_after=self.park_after, **options)


@dataclass(frozen=True, slots=True)
class Ending:
    """What a run came to: its outcome, and each step's outcome by run id."""

    outcome: str
    steps: dict[str, tuple[str, str | None]]

    @property
    def did(self) -> tuple[set[str], Counter[tuple[str, str, str | None]]]:
        """What was done, whatever the order: which of several concurrent calls of one name comes first is up to
        time, and so is which of them gets which number."""
        return set(self.steps), Counter((run_id.partition("#")[0], *done) for run_id, done in self.steps.items())


@dataclass(frozen=True, slots=True)
class Visit:
    """A run that was killed at one write point and resumed.

    Attributes:
        point: which write point, from 1.
        where: ``before commit`` or ``after commit``.
        recorded: steps that were recorded at the kill.
        repeated: effects that happened more than once.
        faults: what differs from the undisturbed run; empty when all is well.
    """

    point: int
    where: str
    recorded: int
    repeated: int
    faults: tuple[str, ...]


def explore(
    scenario: Scenario, new_url: Callable[[], str], folder: Path, *, processes: bool = False
) -> Iterator[Visit]:
    """Kill ``scenario`` at every write point.

    Args:
        scenario: what to run.
        new_url: gives the URL of a fresh, empty store at each call (not in memory: it has to survive).
        folder: for the ledgers.
        processes: kill real processes rather than a part of this one.

    Yields:
        one visit for each write point.
    """
    undisturbed = finish(scenario, new_url(), folder / "undisturbed.ledger")
    kill = _kill if processes else kill_here
    point = 1
    while True:
        url, ledger = new_url(), folder / f"point-{point}.ledger"
        with hushed():  # the dying complain, and so does who takes over from them
            where = kill(scenario, url, ledger, point)
            visit = _resume(scenario, url, ledger, point, where, undisturbed) if where is not None else None
        if visit is None:
            return
        yield visit
        point += 1


def _resume(scenario: Scenario, url: str, ledger: Path, point: int, where: str, undisturbed: Ending) -> Visit:
    recorded = set(recorded_steps(url))
    before = effects(ledger)
    ending = finish(scenario, url, ledger)
    again = recorded & {key for key, times in effects(ledger).items() if times > before.get(key, 0)}
    faults = []
    if again:
        faults.append(f"recorded steps ran again: {sorted(again)}")
    if ending.outcome != undisturbed.outcome:
        faults.append(f"the outcome is {ending.outcome}, undisturbed it is {undisturbed.outcome}")
    if ending.did != undisturbed.did:
        faults.append(f"the steps are {ending.steps}, undisturbed they are {undisturbed.steps}")
    repeated = sum(times - 1 for times in effects(ledger).values())
    return Visit(point, where, len(recorded), repeated, tuple(faults))


def finish(scenario: Scenario, url: str, ledger: Path) -> Ending:
    """Run the flow to its end, from wherever it is."""
    effects(ledger)
    with scenario.open(url) as hf:
        handle = hf.start(scenario.workflow, str(ledger), *scenario.args, id=FLOW)
        try:
            outcome = repr(handle.result(timeout=TIMEOUT_SECONDS))
        except RecordedError as error:
            outcome = f"{error.kind}: {error.detail}"
    return Ending(outcome.replace(str(ledger), "LEDGER"), recorded_steps(url))


def recorded_steps(url: str) -> dict[str, tuple[str, str | None]]:
    """Status and result of each step that is recorded, by run id."""
    with open_store(url) as store:
        steps = store.read(lambda tx: SqlFlowStore(tx).list_steps(FLOW)).items
    return {step.run_id: (str(step.status), step.result) for step in steps}


def effects(ledger: Path) -> dict[str, int]:
    """How often each step ran."""
    with EffectLedger(ledger) as found:
        return dict(found.counts())


def kill_here(scenario: Scenario, url: str, ledger: Path, point: int) -> str | None:
    """Let a part of this process die at the point; ``None`` when the run ended before it."""
    killed = threading.Event()

    def blow(where: str) -> None:
        killed.set()
        raise Killed("The process was killed.")

    fuse = Fuse(point, blow)

    async def main() -> None:
        async with scenario.open(url, drain=0, probe=fuse) as hf:
            run = asyncio.ensure_future(_run(hf, scenario, ledger))
            death = asyncio.ensure_future(asyncio.to_thread(_wait_for, killed, run))
            await asyncio.wait([run, death], return_when=asyncio.FIRST_COMPLETED)
            run.cancel()
            with suppress(asyncio.CancelledError, RecordedError, Killed):
                await run
            killed.set()
            await death

    with suppress(Killed):
        asyncio.run(main())
    if fuse.where is not None:
        bury(url)
    return fuse.where


async def _run(hf: Holdfast, scenario: Scenario, ledger: Path) -> None:
    handle = await hf.astart(scenario.workflow, str(ledger), *scenario.args, id=FLOW)
    await handle


def _wait_for(killed: threading.Event, run: asyncio.Future[None]) -> None:
    while not killed.wait(0.05) and not run.done():
        pass


def bury(url: str) -> None:
    """The workers that died here share this living process's id: let theirs be nobody's, so that they are seen to be
    gone."""
    with open_store(url) as store:
        store.run(lambda tx: tx.execute("UPDATE workers SET pid = :pid", {"pid": _NO_PROCESS}))


def _kill(scenario: Scenario, url: str, ledger: Path, point: int) -> str | None:
    children = ",".join(f"{child.fn.__module__}:{child.fn.__name__}" for child in scenario.children)
    arguments = (scenario.reference, url, str(ledger), str(point), str(scenario.park_after), children)
    return kill_process("holdfast.testing.crash.flows", *arguments)


def main(reference: str, url: str, ledger: str, point: str, park_after: str, children: str) -> None:
    """The process that is killed."""
    served = tuple(named(child) for child in children.split(",") if child)
    scenario = Scenario(named(reference), children=served, park_after=float(park_after))
    with scenario.open(url, probe=Fuse(int(point), die)) as hf, suppress(RecordedError):
        hf.start(scenario.workflow, ledger, id=FLOW).result(timeout=TIMEOUT_SECONDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
