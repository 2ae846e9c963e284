"""The flow store against a plain model: whatever is done to both, both answer alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from holdfast.errors import HoldfastError
from holdfast.flows import Flow, FlowEvent, FlowStatus, FlowStep, FlowStore, SqlFlowStore, StepStatus
from holdfast.store import Store, open_store
from holdfast.testing import StoreUnits, VirtualClock
from holdfast.testing.flows import ModelUnits
from holdfast.testing.flows.samples import all_pages, make_flow, make_step

FLOW_IDS = [uuid4() for _ in range(4)]
STEP_IDS = [uuid4() for _ in range(4)]
OWNERS = ["ann", "é"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


flow_ids = st.sampled_from(FLOW_IDS)
step_ids = st.sampled_from(STEP_IDS)
run_ids = st.sampled_from(["a", "b", "A"])
owners = st.sampled_from(OWNERS)
keys = st.sampled_from([None, "k", "l"])
types = st.sampled_from(["one", "two"])
tags = st.sampled_from([{}, {}, {"a": "1"}, {"a": "1", "é": "2"}, {"a": ""}])
limits = st.none() | st.integers(-1, 6)


class Comparison(RuleBasedStateMachine):
    """Does the same to a store and to the model; every answer, errors included, must be the same.

    Time stands still unless a rule moves it, so that ties are common.
    """

    def __init__(self, store: Store, clock: VirtualClock) -> None:
        super().__init__()
        self.clock = clock
        self.model = ModelUnits(clock)
        self.real: StoreUnits[FlowStore] = StoreUnits(store, SqlFlowStore)
        for table in ("flow_events", "steps", "flow_tags", "flows"):
            store.run(lambda tx, table=table: tx.execute(f"DELETE FROM {table}"))

    @initialize(flow_id=flow_ids)
    def begin(self, flow_id: UUID) -> None:
        self.insert(flow_id, "one", None, "ann", FlowStatus.CREATED, {}, 0, {}, None)

    @rule(
        flow_id=flow_ids,
        kind=types,
        key=keys,
        owner=owners,
        status=st.sampled_from(FlowStatus),
        state=st.dictionaries(st.text(max_size=3), JSON, max_size=2),
        age=st.sampled_from([0, 0, 1, 3]),
        tags=tags,
        parent=st.none() | flow_ids,
    )
    def insert(
        self,
        flow_id: UUID,
        kind: str,
        key: str | None,
        owner: str,
        status: FlowStatus,
        state: dict[str, Any],
        age: int,
        tags: dict[str, str],
        parent: UUID | None,
    ) -> None:
        at = self.clock.now() - timedelta(days=age)
        flow = make_flow(
            id=flow_id,
            workflow_type=kind,
            key=key,
            owner_session_key=owner,
            status=status,
            state=state,
            created_at=at,
            tags=tags,
            parent=parent,
        )
        self.both(lambda flows: flows.insert(flow))

    @rule(
        flow_id=flow_ids,
        status=st.none() | st.sampled_from(FlowStatus),
        owner=owners,
        state=JSON,
        paused=st.booleans(),
        off=st.sampled_from([0, 0, 0, 0, 1, -1]),
        event=st.none() | JSON,
    )
    def update(
        self, flow_id: UUID, status: FlowStatus | None, owner: str, state: Any, paused: bool, off: int, event: Any
    ) -> None:
        flow = self.both(lambda flows: flows.get(flow_id)) or make_flow(id=flow_id)
        changed = replace(
            flow,
            status=status or flow.status,
            owner_session_key=owner,
            state={"state": state},
            paused=paused,
            revision=flow.revision + off,
            goal=f"{flow.goal}+",
        )
        if event is None:
            self.both(lambda flows: flows.update_with_revision(changed))
        else:
            self.both(lambda flows: flows.update_and_append(changed, "changed", event))

    @rule(flow_id=flow_ids, kind=st.sampled_from(["x", "x", "y"]), payload=JSON)
    def append_event(self, flow_id: UUID, kind: str, payload: Any) -> None:
        self.both(lambda flows: flows.append_event(flow_id, kind, payload))

    @rule(
        flow_id=flow_ids,
        step_id=step_ids,
        run_id=run_ids,
        status=st.sampled_from(StepStatus),
        superseded_by=st.sampled_from([None, None, 2]),
    )
    def insert_step(
        self, flow_id: UUID, step_id: UUID, run_id: str, status: StepStatus, superseded_by: int | None
    ) -> None:
        if self.both(lambda flows: flows.get_step(step_id)) is None:
            step = make_step(flow_id, run_id, id=step_id, status=status, superseded_by=superseded_by)
            self.both(lambda flows: flows.insert_step(step))

    @rule(
        flow_id=flow_ids,
        step_id=step_ids,
        status=st.sampled_from(StepStatus),
        result=st.sampled_from([None, "1", ' {"a" : [] }']),
        error=st.none() | st.just({"kind": "E"}),
    )
    def update_step(
        self, flow_id: UUID, step_id: UUID, status: StepStatus, result: str | None, error: dict[str, Any] | None
    ) -> None:
        step = self.both(lambda flows: flows.get_step(step_id)) or make_step(flow_id, "none", id=step_id)
        moved = replace(step, status=status, result=result, error=error, attempt=step.attempt + 1)
        self.both(lambda flows: flows.update_step(moved))

    @rule(days=st.integers(-1, 5))
    def prune(self, days: int) -> None:
        self.both(lambda flows: flows.prune_terminal_flows(days))

    @rule(seconds=st.sampled_from([0.000001, 1, 86_400, 200_000]))
    def let_time_pass(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(owner=owners, status=st.sampled_from(FlowStatus), flow_id=flow_ids, limit=limits)
    def first_pages(self, owner: str, status: FlowStatus, flow_id: UUID, limit: int | None) -> None:
        self.both(lambda flows: flows.list_by_owner(owner, limit=limit).items)
        self.both(lambda flows: flows.list_by_status(status, limit=limit).items)
        self.both(lambda flows: flows.list_events(flow_id, limit=limit).items)
        self.both(lambda flows: flows.list_steps(flow_id, limit=limit).items)

    @rule(owner=owners, status=st.sampled_from(FlowStatus), flow_id=flow_ids, limit=st.integers(1, 3))
    def all_of_the_pages(self, owner: str, status: FlowStatus, flow_id: UUID, limit: int) -> None:
        def paged(flows: FlowStore) -> list[list[Any]]:
            return [
                all_pages(lambda limit, after: flows.list_by_owner(owner, limit=limit, after=after), limit),
                all_pages(lambda limit, after: flows.list_by_status(status, limit=limit, after=after), limit),
                all_pages(lambda limit, after: flows.list_events(flow_id, limit=limit, after=after), limit),
                all_pages(lambda limit, after: flows.list_steps(flow_id, limit=limit, after=after), limit),
            ]

        self.both(paged)

    @invariant()
    def everything_is_alike(self) -> None:
        def everything(flows: FlowStore) -> list[Any]:
            found: list[Any] = [flows.get(flow_id) for flow_id in FLOW_IDS]
            found += [flows.get_step(step_id) for step_id in STEP_IDS]
            for flow_id in FLOW_IDS:
                found += [flows.list_events(flow_id), flows.list_steps(flow_id)]
                found += [flows.find_step_by_run_id(flow_id, run_id) for run_id in ("a", "b", "A", "c")]
            found += [flows.list_by_owner(owner) for owner in OWNERS]
            found += [flows.list_by_status(status) for status in FlowStatus]
            return found

        self.both(everything)

    def both(self, work: Callable[[FlowStore], Any]) -> Any:
        """Run ``work`` on both; the real store's answer, or ``None`` where both refused alike.

        The unit survives a refusal, so that whatever had been written before it is committed, and found.
        """
        real, answer = self.real.run(lambda flows: _outcome(work, flows))
        modelled, _ = self.model.run(lambda flows: _outcome(work, flows))
        assert real == modelled
        return answer


def _outcome(work: Callable[[FlowStore], Any], flows: FlowStore) -> tuple[Any, Any]:
    """What came of it, in a form that can be compared, and the answer itself."""
    try:
        answer = work(flows)
    except (HoldfastError, ValueError) as error:
        numbers = {name: value for name, value in vars(error).items() if name in ("expected", "actual", "flow_id")}
        return (type(error).__name__, numbers), None
    return _comparable(answer), answer


def _comparable(value: Any) -> Any:
    """Without what each store may choose for itself: ids of events, cursors, what belongs to the engine."""
    if isinstance(value, Flow):
        return replace(value, due_at=None), repr(value.state)
    if isinstance(value, FlowEvent):
        return value.flow_id, value.kind, repr(value.payload), value.at
    if isinstance(value, FlowStep):
        return value
    return [_comparable(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres"])
def test_the_store_answers_like_the_model(kind: str, request: pytest.FixtureRequest) -> None:
    url = "sqlite://" if kind == "memory" else request.getfixturevalue(f"{kind}_url")
    examples, steps = (60, 40) if kind == "memory" else (15, 30)
    clock = VirtualClock()
    with open_store(url, clock=clock) as store:
        run_state_machine_as_test(
            lambda: Comparison(store, clock),
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                derandomize=True,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
            ),
        )
