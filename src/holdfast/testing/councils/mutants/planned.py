"""Mutants that store, or complete, what no graph allows (CO-12)."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

from holdfast.councils import CouncilRun, RunStatus, TaskGraph
from holdfast.councils.errors import (
    CyclicGraph,
    DuplicateNode,
    GraphTooLarge,
    MalformedGraph,
    RunNotFound,
    StuckGraph,
)
from holdfast.testing.councils.mutants.base import Mutant


class CompletesTheStuck(Mutant):
    """Completes a run though its graph cannot get done."""

    breaks = "CO-12"

    def update_run_status(self, run_id: UUID, status: RunStatus, *, epoch: int | None = None) -> CouncilRun:
        with suppress(StuckGraph):
            return super().update_run_status(run_id, status, epoch=epoch)
        self.change(run_id, "status = :status, epoch = NULL", status=str(status))
        return self.lock_run(run_id)


class TrustsEdits(Mutant):
    """Looks at a graph when a run is created, and never again."""

    breaks = "CO-12"

    def update_graph(self, run_id: UUID, graph: TaskGraph, *, epoch: int | None = None) -> None:
        if not self.change(
            run_id, "graph = :graph, updated_at = :now", graph=graph.to_json(), now=self.tx.clock.micros()
        ):
            raise RunNotFound(run_id)


class AcceptsCycles(Mutant):
    """Does not see that nodes wait for one another."""

    breaks = "CO-12"

    def _graph_text(self, graph: TaskGraph) -> str:
        with suppress(CyclicGraph):
            return super()._graph_text(graph)
        return graph.to_json()


class AcceptsSelfDependency(Mutant):
    """Does not see that a node waits for itself."""

    breaks = "CO-12"

    def _graph_text(self, graph: TaskGraph) -> str:
        try:
            return super()._graph_text(graph)
        except CyclicGraph as error:
            if len(error.cycle) > 2:
                raise
            return graph.to_json()


class AcceptsTwins(Mutant):
    """Does not see two nodes of one id."""

    breaks = "CO-12"

    def _graph_text(self, graph: TaskGraph) -> str:
        with suppress(DuplicateNode):
            return super()._graph_text(graph)
        return graph.to_json()


class KnowsNoDepth(Mutant):
    """Counts nodes and dependencies, and no waves."""

    breaks = "CO-12"

    def _graph_text(self, graph: TaskGraph) -> str:
        try:
            return super()._graph_text(graph)
        except GraphTooLarge as error:
            if error.measure != "depth":
                raise
            return graph.to_json()


class StoresWhatCannotBeRead(Mutant):
    """Does not look at the types of a node's fields."""

    breaks = "CO-12"

    def _graph_text(self, graph: TaskGraph) -> str:
        with suppress(MalformedGraph):
            return super()._graph_text(graph)
        return graph.to_json()


class KnowsNoLimits(Mutant):
    """Stores a graph of whatever size."""

    breaks = "CO-12"

    def _graph_text(self, graph: TaskGraph) -> str:
        with suppress(GraphTooLarge):
            return super()._graph_text(graph)
        return graph.to_json()
