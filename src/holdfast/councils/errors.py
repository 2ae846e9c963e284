"""What can go wrong with a council run and its graph, each with its remedy."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from holdfast.errors import Conflict, InvalidInput, NotFound, StoreError


class RunNotFound(NotFound):
    """There is no council run with that id (CO-2)."""

    code = "run_not_found"
    remedy = "Check the id against the list of runs; it may have been pruned, or be in another store."

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"There is no council run {run_id}.")
        self.run_id = run_id


class RunExists(Conflict):
    """There is a council run with that id (CO-1)."""

    code = "run_exists"
    remedy = "Use a fresh id for a new run, or fetch the one that exists."

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"The council run {run_id} exists.")
        self.run_id = run_id


class RunHeld(Conflict):
    """Somebody else runs it: a lease is taken by entering ``running``, not beside it, and whoever lost it changes
    nothing any more (CO-7).

    Attributes:
        epoch: whose lease it is, if anybody's.
    """

    code = "run_held"
    remedy = "Leave it to its worker; once that worker is gone the run is marked interrupted and can be taken up."

    def __init__(self, run_id: UUID, epoch: int | None) -> None:
        holder = "without a lease" if epoch is None else f"by the worker epoch {epoch}"
        super().__init__(f"The council run {run_id} is being run {holder}.")
        self.run_id = run_id
        self.epoch = epoch


class StuckGraph(Conflict):
    """A run with work left that nothing can bring about any more: it fails, and is never completed (CO-12)."""

    code = "stuck_graph"
    remedy = "Move it to failed; or rewind it, or change its graph so that the work can be done."

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"The council run {run_id} cannot be completed: its graph cannot get done.")
        self.run_id = run_id


class RunDamaged(StoreError):
    """A stored run or event that does not read back."""

    code = "run_damaged"
    remedy = "Somebody edited its row, or the disk did: restore it from a backup, or delete the run."


class UnknownNode(NotFound):
    """The run's graph has no node of that id."""

    code = "unknown_node"
    remedy = "Look at the run's graph as it is now; it may have been edited."

    def __init__(self, run_id: UUID, node_id: str) -> None:
        super().__init__(f"The graph of the council run {run_id} has no node {node_id!r}.")
        self.run_id = run_id
        self.node_id = node_id


class InvalidRun(InvalidInput):
    """A record that no run can begin as, or a field that no run can have."""

    code = "invalid_run"
    remedy = "Make it a CouncilRun whose fields have the types that its documentation says."


class InvalidEvent(InvalidInput):
    """Something that no event can be of."""

    code = "invalid_event"
    remedy = "Its kind is a short text that is not empty."


class InvalidWave(InvalidInput):
    """A wave index that no wave can have."""

    code = "invalid_wave"
    remedy = "Waves count from 0; None stands for before the first."

    def __init__(self, wave_index: object) -> None:
        super().__init__(f"{wave_index!r} is not a wave index.")


class InvalidGraph(InvalidInput):
    """A task graph that breaks a rule. It was not stored (CO-12)."""

    code = "invalid_graph"


class EmptyGraph(InvalidGraph):
    """A graph without nodes."""

    code = "empty_graph"
    remedy = "Give the plan at least one node."

    def __init__(self) -> None:
        super().__init__("The graph has no nodes.")


class MalformedGraph(InvalidGraph):
    """A graph, or a node of one, with a field of the wrong type."""

    code = "malformed_graph"
    remedy = "A graph is a TaskGraph of TaskNodes; the message names the field."


class NamelessNode(InvalidGraph):
    """A node whose id is empty.

    Attributes:
        place: which node of the graph it is, from 0.
    """

    code = "nameless_node"
    remedy = "Give every node an id of its own."

    def __init__(self, place: int) -> None:
        super().__init__(f"The node at place {place} of the graph has an empty id.")
        self.place = place


class DuplicateNode(InvalidGraph):
    """Two nodes of one id."""

    code = "duplicate_node"
    remedy = "Give every node an id of its own."

    def __init__(self, node_id: str) -> None:
        super().__init__(f"The graph has two nodes {node_id!r}.")
        self.node_id = node_id


class UnknownDependency(InvalidGraph):
    """A node that waits for one that is not there."""

    code = "unknown_dependency"
    remedy = "Add the node it waits for, or take the dependency away."

    def __init__(self, node_id: str, dependency: str) -> None:
        super().__init__(f"The node {node_id!r} depends on {dependency!r}, which the graph does not have.")
        self.node_id = node_id
        self.dependency = dependency


class UnknownTool(InvalidGraph):
    """A node that is to use a tool that does not exist."""

    code = "unknown_tool"
    remedy = "Use one of the council's tools, or register this one."

    def __init__(self, node_id: str, tool: str) -> None:
        super().__init__(f"The node {node_id!r} uses the tool {tool!r}, which does not exist.")
        self.node_id = node_id
        self.tool = tool


class CyclicGraph(InvalidGraph):
    """Nodes that wait for one another.

    Attributes:
        cycle: their ids, each to be run before the next, the first again at the end.
    """

    code = "cyclic_graph"
    remedy = "Take away one of these dependencies."
    _SHOWN = 20

    def __init__(self, cycle: Sequence[str]) -> None:
        shown = cycle if len(cycle) <= self._SHOWN else [*cycle[: self._SHOWN - 1], "…", cycle[-1]]
        super().__init__(f"The graph has a cycle: {' → '.join(shown)}.")
        self.cycle = tuple(cycle)


class GraphTooLarge(InvalidGraph):
    """A graph beyond a limit.

    Attributes:
        measure: ``"nodes"``, ``"depth"`` (waves) or ``"in_degree"`` (dependencies of one node).
        found: how many it has.
        limit: how many it may have.
    """

    code = "graph_too_large"
    remedy = "Plan in fewer or larger tasks, or raise the limit (GraphLimits)."

    def __init__(self, measure: str, found: int, limit: int) -> None:
        super().__init__(f"The graph's {measure} is {found:,}, the limit is {limit:,}.")
        self.measure = measure
        self.found = found
        self.limit = limit
