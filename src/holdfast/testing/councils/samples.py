"""The suite of the councils' repository, and the records its checks are made of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from holdfast.councils import (
    CouncilRepositoryPort,
    CouncilRun,
    CouncilRunEvent,
    NodeStatus,
    RunStatus,
    TaskGraph,
    TaskNode,
)
from holdfast.testing.conformance import Suite, expect, expect_raises
from holdfast.testing.councils.leases import CouncilPorts, Leases
from holdfast.testing.flows.samples import LONG_AGO
from holdfast.testing.shapes import parts_of, units_of
from holdfast.testing.units import UnitRunner

E = TypeVar("E", bound=BaseException)
Councils = UnitRunner[CouncilPorts]
Call = Callable[[CouncilPorts], object]

suite: Suite[Councils] = Suite(
    "CouncilRepositoryPort",
    units_of(
        "Yield council_units(store, make), where make(tx) gives a CouncilRepositoryPort; it adds the leases. Without a"
        " Holdfast store: a runner whose units are given CouncilPorts(your_repository, your_leases).",
        *parts_of(CouncilRepositoryPort, "councils"),
        *parts_of(Leases, "leases"),
    ),
)
TERMINAL = (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED)


class Thrown(Exception):
    """Raised by a unit to make it fail."""


def node(node_id: str, *depends_on: str, **fields: Any) -> TaskNode:
    """A node that waits for the others named."""
    return TaskNode(**{"id": node_id, "task": f"do {node_id}", "depends_on": depends_on} | fields)


def graph(*nodes: TaskNode) -> TaskGraph:
    """A graph of these nodes."""
    return TaskGraph(nodes)


def diamond(**fields: Any) -> TaskGraph:
    """Four nodes in three waves; ``fields`` are those of the first."""
    return graph(node("a", **fields), node("b", "a"), node("c", "a"), node("d", "b", "c"))


def full_graph(output: Any = None) -> TaskGraph:
    """A graph in which every field says something."""
    return graph(
        node("a", agent="ann", tools=("search", "read"), status=NodeStatus.SUCCEEDED, output=output),
        node("b", "a", agent="bob", status=NodeStatus.FAILED, error={"kind": "E", "detail": [output]}),
        node("c", "a", "b", task="", tools=("read",), status=NodeStatus.CANCELLED),
        node("d", status=NodeStatus.RUNNING),
    )


def make_run(**fields: Any) -> CouncilRun:
    """A run of its own id, created long ago."""
    wanted: dict[str, Any] = {
        "id": uuid4(),
        "goal": "goal",
        "created_at": LONG_AGO,
        "updated_at": fields.get("created_at", LONG_AGO),
    }
    return CouncilRun(**wanted | fields)


def create(units: Councils, run: CouncilRun) -> None:
    """Create in a unit of its own."""
    units.run(lambda ports: ports.councils.create_run(run))


def get(units: Councils, run_id: UUID) -> CouncilRun | None:
    """Get in a unit of its own."""
    return units.run(lambda ports: ports.councils.get_run(run_id))


def present(units: Councils, run_id: UUID) -> CouncilRun:
    """The run, which must be there."""
    run = get(units, run_id)
    expect(run is not None, f"the run {run_id} is not there")
    assert run is not None
    return run


def add_run(units: Councils, **fields: Any) -> CouncilRun:
    """Create a run; returns it as the store has it."""
    run = make_run(**fields)
    create(units, run)
    return present(units, run.id)


def move(units: Councils, run_id: UUID, status: RunStatus, epoch: int | None = None) -> CouncilRun:
    """Move a run in a unit of its own."""
    return units.run(moving(run_id, status, epoch))


def moving(run_id: UUID, status: RunStatus, epoch: int | None = None) -> Callable[[CouncilPorts], CouncilRun]:
    """The unit that moves a run."""
    return lambda ports: ports.councils.update_run_status(run_id, status, epoch=epoch)


def planning(run_id: UUID, planned: TaskGraph, epoch: int | None = None) -> Call:
    """The unit that replaces a run's graph."""
    return lambda ports: ports.councils.update_graph(run_id, planned, epoch=epoch)


def append(
    units: Councils, run_id: UUID, kind: str = "kind", payload: Any = None, wave_index: int | None = None
) -> CouncilRunEvent:
    """Append in a unit of its own."""
    return units.run(appending(run_id, kind, payload, wave_index))


def appending(
    run_id: UUID, kind: str = "kind", payload: Any = None, wave_index: int | None = None
) -> Callable[[CouncilPorts], CouncilRunEvent]:
    """The unit that appends an event."""
    return lambda ports: ports.councils.append_event(run_id, kind, payload, wave_index=wave_index)


def live(units: Councils, run_id: UUID) -> list[CouncilRunEvent]:
    """The live events of a run."""
    return units.run(lambda ports: ports.councils.list_events(run_id)).items


def log(units: Councils, run_id: UUID) -> list[CouncilRunEvent]:
    """All events of a run, superseded ones included."""
    return units.run(lambda ports: ports.councils.list_events(run_id, superseded=True)).items


def seqs(events: list[CouncilRunEvent]) -> list[int]:
    """Their numbers."""
    return [event.seq for event in events]


def rewind(units: Councils, run_id: UUID, wave_index: int | None, epoch: int | None = None) -> CouncilRunEvent:
    """Truncate in a unit of its own."""
    return units.run(rewinding(run_id, wave_index, epoch))


def rewinding(
    run_id: UUID, wave_index: int | None, epoch: int | None = None
) -> Callable[[CouncilPorts], CouncilRunEvent]:
    """The unit that truncates."""
    return lambda ports: ports.councils.truncate_events_after_wave(run_id, wave_index, epoch=epoch)


def mark(units: Councils) -> int:
    """Mark the interrupted runs in a unit of its own."""
    return units.run(lambda ports: ports.councils.mark_interrupted_runs())


def begin_lease(units: Councils) -> int:
    """The epoch of a new lease."""
    return units.run(lambda ports: ports.leases.begin())


def end_lease(units: Councils, epoch: int) -> None:
    """End a lease."""
    units.run(lambda ports: ports.leases.end(epoch))


def caught(kind: type[E], what: str, call: Call) -> Callable[[CouncilPorts], E]:
    """A unit that survives the error which ``call`` must raise, so that whatever it had written is committed."""
    return lambda ports: expect_raises(kind, what, lambda: call(ports))


def days_ago(units: Councils, days: float) -> datetime:
    """That many days before the backend's own present, which may be a virtual clock's."""
    return append(units, add_run(units, goal="witness").id).at - timedelta(days=days)
