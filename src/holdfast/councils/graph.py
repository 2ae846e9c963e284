"""The task graph of a run: what is to be done, by whom, after what. Pure: no I/O.

All that walks a graph does so without recursion, so that its limits refuse a graph and not the interpreter's stack.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from typing import Any

import msgspec

from holdfast import codec
from holdfast.councils.errors import (
    CyclicGraph,
    DuplicateNode,
    EmptyGraph,
    GraphTooLarge,
    MalformedGraph,
    NamelessNode,
    UnknownDependency,
    UnknownTool,
)


class NodeStatus(StrEnum):
    """Where a node is."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskNode:
    """One task of a graph.

    Attributes:
        id: unique within the graph.
        task: what the agent is told to do.
        agent: the name of who does it.
        depends_on: ids of the nodes whose outputs it is given.
        tools: names of the tools it may use.
        output: a JSON value, once succeeded.
        error: ``{"kind", "detail", "trace"}``, once failed.
    """

    id: str
    task: str
    agent: str = ""
    depends_on: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    status: NodeStatus = NodeStatus.PENDING
    output: Any = None
    error: dict[str, Any] | None = None


_TYPED = tuple(field.name for field in fields(TaskNode) if field.name != "output")


@dataclass(frozen=True, slots=True)
class GraphLimits:
    """How large a graph may be.

    Attributes:
        nodes: how many in all.
        depth: how many waves.
        in_degree: how many dependencies one node may list.
    """

    nodes: int = 1000
    depth: int = 100
    in_degree: int = 100


DEFAULT_LIMITS = GraphLimits()


@dataclass(frozen=True, slots=True)
class TaskGraph:
    """Tasks and what each waits for. A graph made in memory may be wrong; :func:`validate` says so."""

    nodes: tuple[TaskNode, ...]

    @staticmethod
    def from_json(text: str) -> TaskGraph:
        """The graph that ``text`` holds, not validated.

        Raises:
            NotSerialisable: it is not the JSON of a graph.
        """
        return codec.decode(text, TaskGraph, what="The graph")  # type: ignore[no-any-return]

    def to_json(self) -> str:
        """The graph as JSON text.

        Raises:
            NotSerialisable, PayloadTooLarge: some output has no JSON form, or all are too large together.
        """
        return codec.encode(self, what="The graph")

    def node(self, node_id: str) -> TaskNode | None:
        """The node of that id, or ``None``."""
        return next((node for node in self.nodes if node.id == node_id), None)

    def with_node(self, changed: TaskNode) -> TaskGraph:
        """This graph with ``changed`` in the place of the node of its id.

        Raises:
            KeyError: there is none.
        """
        if self.node(changed.id) is None:
            raise KeyError(changed.id)
        return replace(self, nodes=tuple(changed if node.id == changed.id else node for node in self.nodes))

    def waves(self) -> tuple[tuple[str, ...], ...]:
        """Node ids by wave: each node is one wave after the latest of those it depends on; in a wave as in the graph.

        Raises:
            NamelessNode, DuplicateNode, UnknownDependency, CyclicGraph: nobody can say.
        """
        _check_names(self)
        return tuple(_waves(self))

    def ready(self) -> tuple[TaskNode, ...]:
        """The nodes that can be run now: pending, and all that they depend on has succeeded."""
        done = {node.id for node in self.nodes if node.status is NodeStatus.SUCCEEDED}
        return tuple(
            node for node in self.nodes if node.status is NodeStatus.PENDING and done.issuperset(node.depends_on)
        )

    @property
    def is_done(self) -> bool:
        """Whether every node has succeeded."""
        return all(node.status is NodeStatus.SUCCEEDED for node in self.nodes)

    @property
    def can_progress(self) -> bool:
        """Whether some node is running or can be run now."""
        return any(node.status is NodeStatus.RUNNING for node in self.nodes) or bool(self.ready())

    @property
    def is_stuck(self) -> bool:
        """Whether work is left that nothing can bring about any more: its run fails, it never completes (CO-12)."""
        return not self.is_done and not self.can_progress


def validate(graph: TaskGraph, limits: GraphLimits = DEFAULT_LIMITS, tools: Collection[str] | None = None) -> TaskGraph:
    """``graph`` itself, found to keep every rule (CO-12).

    Args:
        graph: planned or edited.
        limits: how large it may be.
        tools: names of those that exist; ``None``: not known here, so not checked.

    Raises:
        EmptyGraph, MalformedGraph, NamelessNode, DuplicateNode, UnknownDependency, UnknownTool, CyclicGraph,
            GraphTooLarge: it breaks that rule, the first in this order (sizes that cost nothing to see come first).
    """
    if not isinstance(graph, TaskGraph):
        raise MalformedGraph(f"A graph is a TaskGraph, not {type(graph).__name__}.")
    if not isinstance(graph.nodes, tuple | list):
        raise MalformedGraph(
            f"The nodes of a graph are a tuple of TaskNodes, not {type(graph.nodes).__name__}; of one node: (node,)."
        )
    if not graph.nodes:
        raise EmptyGraph
    _check_size("nodes", len(graph.nodes), limits.nodes)
    _check_types(graph)
    _check_size("in_degree", max(len(node.depends_on) for node in graph.nodes), limits.in_degree)
    _check_names(graph)
    if tools is not None:
        _check_tools(graph, frozenset(tools))
    _check_size("depth", sum(1 for _ in _waves(graph)), limits.depth)
    return graph


def _check_size(measure: str, found: int, limit: int) -> None:
    if found > limit:
        raise GraphTooLarge(measure, found, limit)


def _check_types(graph: TaskGraph) -> None:
    """What is stored must read back; an output may be anything that has JSON, which writing it finds out."""
    for place, node in enumerate(graph.nodes):
        if not isinstance(node, TaskNode):
            raise MalformedGraph(f"The node at place {place} is a {type(node).__name__}, not a TaskNode.")
        try:
            msgspec.convert({name: getattr(node, name) for name in _TYPED}, TaskNode)
        except msgspec.ValidationError as error:
            raise MalformedGraph(f"The node at place {place} is malformed: {error}.") from error


def _check_names(graph: TaskGraph) -> None:
    known: set[str] = set()
    for place, node in enumerate(graph.nodes):
        if not node.id:
            raise NamelessNode(place)
        if node.id in known:
            raise DuplicateNode(node.id)
        known.add(node.id)
    for node in graph.nodes:
        for dependency in node.depends_on:
            if dependency not in known:
                raise UnknownDependency(node.id, dependency)


def _check_tools(graph: TaskGraph, known: frozenset[str]) -> None:
    for node in graph.nodes:
        for tool in node.tools:
            if tool not in known:
                raise UnknownTool(node.id, tool)


def _waves(graph: TaskGraph) -> Iterator[tuple[str, ...]]:
    """The waves of a graph whose names were checked."""
    sorter = TopologicalSorter({node.id: node.depends_on for node in graph.nodes})
    try:
        sorter.prepare()
    except CycleError as error:
        raise CyclicGraph(error.args[1]) from None
    place = {node.id: number for number, node in enumerate(graph.nodes)}
    while wave := sorter.get_ready():
        yield tuple(sorted(wave, key=place.__getitem__))
        sorter.done(*wave)
