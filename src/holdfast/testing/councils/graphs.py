"""Checks of what graphs are stored: CO-12."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from holdfast.councils import NodeStatus, RunStatus, TaskGraph
from holdfast.councils.errors import (
    CyclicGraph,
    DuplicateNode,
    EmptyGraph,
    GraphTooLarge,
    InvalidGraph,
    MalformedGraph,
    NamelessNode,
    StuckGraph,
    UnknownDependency,
)
from holdfast.councils.graph import DEFAULT_LIMITS
from holdfast.testing.conformance import expect, expect_equal
from holdfast.testing.councils.leases import CouncilPorts
from holdfast.testing.councils.samples import (
    Councils,
    add_run,
    caught,
    diamond,
    get,
    graph,
    make_run,
    move,
    moving,
    node,
    planning,
    present,
    suite,
)

_LONG = 100_000
_INVALID: list[tuple[type[InvalidGraph], TaskGraph]] = [
    (EmptyGraph, graph()),
    (NamelessNode, graph(node("a"), node(""))),
    (DuplicateNode, graph(node("a"), node("b"), node("a", "b"))),
    (UnknownDependency, graph(node("a"), node("b", "a", "A"))),
    (UnknownDependency, graph(node("b", "b "), node("a"))),
]
_SOUND = (
    graph(node("alone")),
    graph(node("d", "b", "c"), node("c", "a"), node("b", "a"), node("a")),
    graph(node("a"), node("A", "a"), node("a ", "A"), node("é", "a "), node("e\u0301", "é")),
    graph(node("a"), node("b", "a", "a")),
    graph(*(node(f"n{number}") for number in range(60))),
)


@suite.check
def invalid_graph_is_never_stored(units: Councils) -> None:
    """CO-12: ids that are empty, doubled or unknown, and a plan of nothing, are refused by the error of the rule, when
    a run is created as when its graph is edited; what was stored stays."""
    for kind, wrong in _INVALID:
        _expect_refused(units, kind, wrong)


@suite.check
def cycle_is_named_in_order(units: Councils) -> None:
    """CO-12: nodes that wait for one another, however few or many, are CyclicGraph, which names them in order."""
    for size in (1, 2, 3, 50):
        names = [f"n{number}" for number in range(size)]
        ring = [node(name, names[number - 1]) for number, name in enumerate(names)]
        error = _expect_refused(units, CyclicGraph, graph(node("before"), *ring, node("after", names[0])))
        assert isinstance(error, CyclicGraph)
        first, *rest = error.cycle
        expect_equal(error.cycle[-1], first, "the end of the cycle")
        start = names.index(first)
        expect_equal([first, *rest[:-1]], names[start:] + names[:start], "the cycle")


@suite.check
def endless_graph_is_refused_by_its_size(units: Councils) -> None:
    """CO-12: a graph beyond the limits is GraphTooLarge, were it a chain of a hundred thousand nodes."""
    chain = [node("n0"), *(node(f"n{number}", f"n{number - 1}") for number in range(1, _LONG))]
    for wrong in (
        graph(*chain),
        graph(*chain[:-1], node(f"n{_LONG - 1}", "n0")),
        graph(*chain[: DEFAULT_LIMITS.depth + 1]),
        graph(*chain[:2], node("wide", *["n0", "n1"] * (_LONG // 2))),
    ):
        _expect_refused(units, GraphTooLarge, wrong)


@suite.check
def malformed_graph_is_refused(units: Councils) -> None:
    """CO-12: a graph or a node with a field of another type is MalformedGraph: nobody could read it back."""
    fields: list[dict[str, Any]] = [{"id": 7}, {"id": ["a"]}, {"task": None}, {"agent": None}, {"status": "done"}]
    fields += [{"tools": "search"}, {"tools": None}, {"error": "boom"}, {"depends_on": None}, {"depends_on": [1]}]
    graphs = [graph(node("a"), node("b"), replace(node("c"), **wrong)) for wrong in fields]
    graphs += [graph(node("a"), node("b"), node("ab", depends_on="ab"))]
    odd: list[Any] = [graph("a"), '{"nodes": []}', None, {"nodes": []}]  # type: ignore[arg-type]
    for wrong in graphs + odd[:1]:
        _expect_refused(units, MalformedGraph, wrong)
    run = add_run(units, graph=diamond())
    for wrong in odd[1:]:
        units.run(caught(MalformedGraph, f"the graph {wrong!r}", planning(run.id, wrong)))
    expect_equal(present(units, run.id), run, "the run whose edits were refused")


@suite.check
def stuck_run_is_never_completed(units: Councils) -> None:
    """CO-12: a run whose graph cannot progress is not completed: StuckGraph, and nothing changes; it can fail."""
    done, failed = NodeStatus.SUCCEEDED, NodeStatus.FAILED
    stuck = [diamond(status=status) for status in (failed, NodeStatus.CANCELLED)]
    stuck += [graph(node("a", status=done), node("b", status=failed), node("c", "b"))]
    for planned in stuck:
        run = add_run(units, graph=planned)
        units.run(caught(StuckGraph, "completing what is stuck", moving(run.id, RunStatus.COMPLETED)))
        expect_equal(present(units, run.id), run, "the run that is stuck")
        expect_equal(move(units, run.id, RunStatus.FAILED).status, RunStatus.FAILED, "the run that failed")
    run = add_run(units, graph=graph(node("a", status=done), node("b", "a", status=done)))
    expect_equal(move(units, run.id, RunStatus.COMPLETED).status, RunStatus.COMPLETED, "the run that is done")


@suite.check
def sound_graphs_are_stored(units: Councils) -> None:
    """CO-12: whatever keeps the rules is stored: nodes in any order, names that are only similar, islands."""
    for sound in _SOUND:
        run = add_run(units, graph=sound)
        expect_equal(run.graph, sound, "the graph of a new run")
        units.run(planning(run.id, diamond()))
        units.run(planning(run.id, sound))
        expect_equal(present(units, run.id).graph, sound, "the edited graph")


def _expect_refused(units: Councils, kind: type[InvalidGraph], wrong: TaskGraph) -> InvalidGraph:
    unplanned = make_run(graph=wrong)

    def creating(ports: CouncilPorts) -> None:
        ports.councils.create_run(unplanned)

    units.run(caught(kind, "a new run of an invalid graph", creating))
    expect(get(units, unplanned.id) is None, "a run of an invalid graph was created")
    for status in (RunStatus.RUNNING, RunStatus.AWAITING_APPROVAL):
        run = add_run(units, graph=diamond(), status=status)
        error = units.run(caught(kind, "an edit that makes the graph invalid", planning(run.id, wrong)))
        expect_equal(present(units, run.id), run, "the run whose edit was refused")
    return error
