"""Checks of events and steps: FL-4, FL-6, FL-14."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

from holdfast.flows import Flow, FlowStatus, FlowStore, Runtime, StepStatus
from holdfast.flows.errors import AlreadyTerminal, DuplicateStep, StepNotFound
from holdfast.ids import new_id
from holdfast.testing.conformance import expect, expect_equal, expect_json
from holdfast.testing.flows.samples import (
    LONG_AGO,
    ODD_VALUES,
    TERMINAL,
    Flows,
    add_flow,
    add_step,
    append,
    caught,
    deep,
    events_of,
    find_step,
    get_step,
    inserting,
    make_step,
    present,
    present_step,
    steps_of,
    suite,
    update,
    updating,
)

_RANK = {"pending": 0, "running": 1, "succeeded": 2, "failed": 2, "cancelled": 2}


@suite.check
def event_gets_id_and_time(units: Flows) -> None:
    """FL-4: append_event assigns an id of its own and a UTC time that does not go back, and returns what it
    recorded."""
    flow = add_flow(units)
    events = [append(units, flow.id, "same", {"same": True}) for _ in range(5)]
    expect_equal(len({event.id for event in events}), 5, "the number of ids of five events")
    for event, following in pairwise(events):
        expect(event.at <= following.at, f"time goes back from {event.at} to {following.at}")
    for event in events:
        expect_equal(event.at.utcoffset(), timedelta(0), "the UTC offset of an event's time")
        expect_equal((event.flow_id, event.kind, event.payload), (flow.id, "same", {"same": True}), "the event")
    expect_equal(events_of(units, flow.id), events[::-1], "what is listed, against what was returned")


@suite.check
def events_never_change(units: Flows) -> None:
    """FL-4: an event stays what it was, whatever happens to its flow or to the caller's copy of the payload."""
    flow = add_flow(units, status=FlowStatus.RUNNING)
    payload = {"list": [1]}
    event = units.run(lambda store: store.append_event(flow.id, "kind", payload))
    recorded = events_of(units, flow.id)
    payload["list"].append(2)
    event.payload["list"].append(3)
    recorded[0].payload["list"].append(4)
    append(units, flow.id, "kind", {"list": []})
    update(units, replace(flow, status=FlowStatus.FAILED))
    first = events_of(units, flow.id)[-1]
    expect_equal(
        (first.id, first.kind, first.payload, first.at), (event.id, "kind", {"list": [1]}, event.at), "the event"
    )


@suite.check
def odd_payloads_read_back_exactly(units: Flows) -> None:
    """FL-4: payloads of events read back to the byte, however odd."""
    flow = add_flow(units)
    for value in [*ODD_VALUES, deep(100)]:
        append(units, flow.id, "odd", value)
        expect_json(events_of(units, flow.id)[0].payload, value, "the payload")


@suite.check
def inserted_step_reads_back_whole(units: Flows) -> None:
    """FL-7: a step that was inserted is there, field by field, by id, by run id and in the list."""
    flow = add_flow(units)
    for number, status in enumerate(StepStatus):
        step = make_step(
            flow.id,
            f"charge é#{number}@1",
            runtime=Runtime.MIRRORED if number % 2 else Runtime.MANAGED,
            task="charge 'é'",
            status=status,
            attempt=number + 1,
            result=' {"a": [1, "\\u0000"]} ',
            error={"kind": "E", "detail": ODD_VALUES},
            created_at=LONG_AGO + timedelta(microseconds=number),
            updated_at=LONG_AGO + timedelta(microseconds=number + 1),
            superseded_by=number or None,
        )
        units.run(inserting(step))
        expect_equal(get_step(units, step.id), step, "get_step")
        expect_equal(find_step(units, flow.id, step.run_id), step, "find_step_by_run_id")
        expect_equal(steps_of(units, flow.id)[-1], step, "the last of list_steps")


@suite.check
def run_id_is_taken_once_within_its_flow(units: Flows) -> None:
    """FL-6: a second step of a run id is DuplicateStep, nothing is written and the unit can go on; another flow may
    have a step of that run id."""
    flow, other = add_flow(units), add_flow(units)
    first = add_step(units, flow.id, "run#1@1", result="1", status=StepStatus.SUCCEEDED)
    for status in StepStatus:
        second = make_step(flow.id, "run#1@1", task="second", status=status, result="2")
        error = units.run(caught(DuplicateStep, "a run id that is taken", inserting(second)))
        expect_equal((error.flow_id, error.run_id), (flow.id, "run#1@1"), "what DuplicateStep names")
        expect_equal(get_step(units, second.id), None, "the second step of a run id")
    expect_equal(steps_of(units, flow.id), [first], "the steps of the flow")
    elsewhere = add_step(units, other.id, "run#1@1", result="3")
    expect_equal(find_step(units, flow.id, "run#1@1"), first, "the step of the one flow")
    expect_equal(find_step(units, other.id, "run#1@1"), elsewhere, "the step of the other flow")
    for close in ("RUN#1@1", "run#1@1 ", "run#1@2", ""):
        expect_equal(add_step(units, flow.id, close).run_id, close, "a run id that is only similar")


@suite.check
def steps_move_forward_only(units: Flows) -> None:
    """FL-14: pending, running, then one of the ends: a step moves forward, and a late observation changes nothing and
    returns what is recorded."""
    flow = add_flow(units)
    for origin in StepStatus:
        for target in StepStatus:
            step = add_step(units, flow.id, f"{origin} {target}", status=origin, result='"old"', error={"old": True})
            seen = replace(step, status=target, result='"new"', error={"new": True}, attempt=2)
            answer = units.run(updating(seen))
            recorded = present_step(units, step.id)
            if _RANK[target] > _RANK[origin]:
                expect(answer.updated_at > step.updated_at, "moving forward moves updated_at")
                step = replace(seen, updated_at=answer.updated_at)
            expect_equal(answer, step, f"what {origin} → {target} returns")
            expect_equal(recorded, step, f"the step after {origin} → {target}")


@suite.check
def step_keeps_its_identity(units: Flows) -> None:
    """FL-14: an update moves a step forward and changes neither flow, run id, task, runtime, creation nor whether a
    rewind undid it."""
    flow, other = add_flow(units), add_flow(units)
    step = add_step(units, flow.id, "run")
    forged = replace(
        step,
        run_id="forged",
        task="forged",
        runtime=Runtime.MIRRORED,
        created_at=LONG_AGO + timedelta(days=1),
        superseded_by=3,
        status=StepStatus.RUNNING,
    )
    answer = units.run(updating(forged))
    expect_equal(answer, replace(step, status=StepStatus.RUNNING, updated_at=answer.updated_at), "the updated step")
    expect_equal(steps_of(units, flow.id), [answer], "the steps of its flow")
    expect_equal(steps_of(units, other.id), [], "the steps of another flow")


@suite.check
def unknown_step_is_not_found(units: Flows) -> None:
    """FL-14: to update a step that is not there is StepNotFound, and creates none."""
    flow = add_flow(units)
    for step_id in (uuid4(), new_id()):
        absent = make_step(flow.id, "run", id=step_id, status=StepStatus.RUNNING)
        error = units.run(caught(StepNotFound, "an update of an unknown step", updating(absent)))
        expect_equal(error.step_id, step_id, "the id that StepNotFound names")
    expect_equal(steps_of(units, flow.id), [], "the steps of the flow")


@suite.check
def terminal_flow_accepts_nothing(units: Flows) -> None:
    """FL-14: a finished, failed or cancelled flow refuses every change of its record and steps with AlreadyTerminal,
    and nothing is written."""
    for status in TERMINAL:
        flow = add_flow(units, status=FlowStatus.RUNNING)
        step = add_step(units, flow.id, "run", status=StepStatus.RUNNING)
        ended = update(units, replace(flow, status=status))
        writes: list[Callable[[FlowStore], object]] = [
            inserting(make_step(flow.id, "late")),
            updating(replace(step, status=StepStatus.SUCCEEDED, result="1")),
            updating(replace(step, status=StepStatus.PENDING)),
        ]
        for target in FlowStatus:
            writes += _record_writes(ended, target)
        for write in writes:
            error = units.run(caught(AlreadyTerminal, f"a write to a {status} flow", write))
            expect_equal((error.flow_id, error.status), (flow.id, status), "what AlreadyTerminal names")
        expect_equal(present(units, flow.id), ended, f"the {status} flow after late writes")
        expect_equal(steps_of(units, flow.id), [step], f"the steps of the {status} flow after late writes")
        expect_equal(events_of(units, flow.id), [], f"the events of the {status} flow after late writes")


def _record_writes(flow: Flow, target: FlowStatus) -> list[Callable[[FlowStore], object]]:
    changed = replace(flow, status=target, goal="late")
    return [
        lambda store: store.update_with_revision(changed),
        lambda store: store.update_and_append(changed, "late", {}),
    ]
