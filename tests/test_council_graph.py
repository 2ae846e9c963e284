"""Task graphs: rules, waves, progress (CO-12); and the records' state machine (CO-2, CO-11)."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.councils import GraphLimits, HitlMode, NodeStatus, RunStatus, TaskGraph, TaskNode, validate
from holdfast.councils.errors import (
    CyclicGraph,
    DuplicateNode,
    EmptyGraph,
    GraphTooLarge,
    InvalidGraph,
    MalformedGraph,
    NamelessNode,
    UnknownDependency,
    UnknownTool,
)
from holdfast.councils.model import check_run_move
from holdfast.errors import IllegalTransition, InvalidInput, NotSerialisable

NO_LIMITS = GraphLimits(nodes=10**6, depth=10**6, in_degree=10**6)


def node(node_id: str, *depends_on: str, **fields: object) -> TaskNode:
    return TaskNode(id=node_id, task=f"do {node_id}", depends_on=depends_on, **fields)  # type: ignore[arg-type]


def graph(*nodes: TaskNode) -> TaskGraph:
    return TaskGraph(nodes)


@st.composite
def dags(draw: st.DrawFn) -> TaskGraph:
    """Nodes that depend on earlier ones only, then shuffled."""
    count = draw(st.integers(1, 12))
    names = draw(st.lists(st.text(min_size=1, max_size=4), min_size=count, max_size=count, unique=True))
    nodes = [
        node(name, *draw(st.lists(st.sampled_from(names[:place]), unique=True, max_size=4) if place else st.just([])))
        for place, name in enumerate(names)
    ]
    return TaskGraph(tuple(draw(st.permutations(nodes))))


def reaches(found: TaskGraph, start: str) -> set[str]:
    """The nodes that depend on ``start``, directly or not."""
    reached = {start}
    for _ in found.nodes:
        reached |= {one.id for one in found.nodes if reached & set(one.depends_on)}
    return reached - {start}


@given(dags())
def test_a_graph_without_a_cycle_is_valid(found: TaskGraph) -> None:
    assert validate(found) is found


@given(dags())
def test_waves_hold_every_node_once_and_respect_dependencies(found: TaskGraph) -> None:
    waves = found.waves()
    place = {node_id: number for number, wave in enumerate(waves) for node_id in wave}
    assert sorted(node_id for wave in waves for node_id in wave) == sorted(one.id for one in found.nodes)
    for one in found.nodes:
        assert place[one.id] == max((place[name] + 1 for name in one.depends_on), default=0)


@given(dags(), st.data())
def test_an_edge_back_is_refused_and_its_cycle_named(found: TaskGraph, data: st.DataObject) -> None:
    start = data.draw(st.sampled_from(sorted(one.id for one in found.nodes)))
    end = data.draw(st.sampled_from(sorted(reaches(found, start) | {start})))
    first = found.node(start)
    assert first is not None
    back = found.with_node(node(start, *first.depends_on, end))
    with pytest.raises(CyclicGraph) as caught:
        validate(back)
    cycle = caught.value.cycle
    assert cycle[0] == cycle[-1]
    assert len(set(cycle)) == len(cycle) - 1
    for before, after in pairwise(cycle):
        later = back.node(after)
        assert later is not None
        assert before in later.depends_on


@given(dags(), st.randoms(use_true_random=False))
def test_whatever_is_run_when_ready_gets_done(found: TaskGraph, chance: random.Random) -> None:
    for _ in found.nodes:
        assert found.can_progress
        assert not found.is_stuck
        chosen = chance.choice(found.ready())
        found = found.with_node(node(chosen.id, *chosen.depends_on, status=NodeStatus.SUCCEEDED))
    assert found.is_done
    assert not found.is_stuck
    assert not found.ready()


@given(dags(), st.lists(st.sampled_from(NodeStatus), min_size=12, max_size=12))
def test_a_graph_is_done_or_can_progress_or_is_stuck(found: TaskGraph, statuses: list[NodeStatus]) -> None:
    nodes = tuple(
        node(one.id, *one.depends_on, status=status) for one, status in zip(found.nodes, statuses, strict=False)
    )
    found = TaskGraph(nodes)
    assert [found.is_done, found.can_progress, found.is_stuck].count(True) == 1


@given(dags())
def test_json_and_back(found: TaskGraph) -> None:
    assert TaskGraph.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("wrong", "kind", "told"),
    [
        (graph(), EmptyGraph, {}),
        (graph(node("a"), node("")), NamelessNode, {"place": 1}),
        (graph(node("a"), node("a")), DuplicateNode, {"node_id": "a"}),
        (graph(node("a", "b")), UnknownDependency, {"node_id": "a", "dependency": "b"}),
        (graph(node("a", tools=("dig",))), UnknownTool, {"node_id": "a", "tool": "dig"}),
        (graph(node("a", "a")), CyclicGraph, {"cycle": ("a", "a")}),
        (graph(*map(node, "abcde")), GraphTooLarge, {"measure": "nodes", "found": 5, "limit": 4}),
        (graph(*map(node, "abc"), node("d", "a", "b", "c")), GraphTooLarge, {"measure": "in_degree", "found": 3}),
        (graph(node("a"), node("b", "a"), node("c", "b")), GraphTooLarge, {"measure": "depth", "found": 3, "limit": 2}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_each_rule_has_its_error(wrong: TaskGraph, kind: type[InvalidGraph], told: dict[str, object]) -> None:
    limits = GraphLimits(nodes=4, depth=2, in_degree=2)
    with pytest.raises(kind) as caught:
        validate(wrong, limits, tools={"search"})
    assert isinstance(caught.value, InvalidInput)
    assert {name: getattr(caught.value, name) for name in told} == told
    assert caught.value.code != InvalidGraph.code
    assert caught.value.remedy != InvalidInput.remedy


def test_limits_are_inclusive() -> None:
    validate(graph(node("a"), node("b"), node("c", "a", "b")), GraphLimits(nodes=3, depth=2, in_degree=2))


def test_tools_that_are_not_known_are_not_checked() -> None:
    validate(graph(node("a", tools=("whatever",))))


def test_a_long_chain_meets_the_limits_and_not_the_stack() -> None:
    chain = [node("n0"), *(node(f"n{number}", f"n{number - 1}") for number in range(1, 100_000))]
    for limits, measure in ((GraphLimits(), "nodes"), (GraphLimits(nodes=10**6), "depth")):
        with pytest.raises(GraphTooLarge) as caught:
            validate(graph(*chain), limits)
        assert (caught.value.measure, caught.value.found) == (measure, 100_000)
    assert len(validate(graph(*chain), NO_LIMITS).waves()) == 100_000
    with pytest.raises(CyclicGraph) as ring:
        validate(graph(node("n0", "n99999"), *chain[1:]), NO_LIMITS)
    assert len(ring.value.cycle) == 100_001
    assert len(str(ring.value)) < 1000


def test_failure_lets_independent_branches_go_on_and_then_the_graph_is_stuck() -> None:
    failed = graph(node("a", status=NodeStatus.FAILED), node("b", "a"), node("c"))
    assert [one.id for one in failed.ready()] == ["c"]
    done = failed.with_node(node("c", status=NodeStatus.SUCCEEDED))
    assert done.is_stuck
    assert not done.is_done


def test_a_graph_that_was_not_validated_is_seen_to_be_stuck() -> None:
    assert graph(node("a", "b"), node("b", "a")).is_stuck
    assert graph(node("a", "nobody")).is_stuck


def test_waves_of_a_wrong_graph_are_refused() -> None:
    for wrong in (graph(node("a", "b")), graph(node("a"), node("a")), graph(node("a", "a")), graph(node(""))):
        with pytest.raises(InvalidGraph):
            wrong.waves()


def test_a_node_that_is_not_there_cannot_be_changed() -> None:
    with pytest.raises(KeyError):
        graph(node("a")).with_node(node("b"))
    assert graph(node("a")).node("b") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"nodes": [{"id": 1, "task": ""}]}', '{"nodes": [{"id": "a"}]}'])
def test_what_is_no_graph_is_refused(text: str) -> None:
    with pytest.raises(NotSerialisable):
        TaskGraph.from_json(text)


def test_human_in_the_loop_levels_are_ordered() -> None:
    assert HitlMode.NONE < HitlMode.PLAN < HitlMode.NODE < HitlMode.TOOL
    assert HitlMode.TOOL >= HitlMode.PLAN
    assert sorted(HitlMode) == list(HitlMode)
    assert [str(mode) for mode in HitlMode] == ["none", "plan", "node", "tool"]
    with pytest.raises(TypeError):
        assert HitlMode.NONE < "plan"


def test_only_the_moves_of_the_table_are_legal() -> None:
    table = {
        "running": {"awaiting_approval", "interrupted", "completed", "failed", "cancelled", "running"},
        "awaiting_approval": {"running", "failed", "cancelled", "awaiting_approval"},
        "interrupted": {"running", "failed", "cancelled", "interrupted"},
    }
    for origin in RunStatus:
        assert origin.terminal == (origin not in table)
        for target in RunStatus:
            if target in table.get(origin, ()):
                check_run_move(origin, target)
            else:
                with pytest.raises(IllegalTransition):
                    check_run_move(origin, target)


@pytest.mark.parametrize("nodes", [TaskNode(id="a", task=""), None, "a", iter(())])
def test_nodes_that_are_no_tuple_are_told(nodes: Any) -> None:
    with pytest.raises(MalformedGraph, match=type(nodes).__name__):
        validate(TaskGraph(nodes))
