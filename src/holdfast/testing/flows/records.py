"""Checks of the flow's record: FL-1, FL-2, FL-8, FL-18."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from holdfast.errors import Conflict, IllegalTransition, InvalidInput
from holdfast.flows import Flow, FlowStatus, FlowStore, StepStatus
from holdfast.flows.errors import FlowExists, FlowNotFound, RevisionMismatch
from holdfast.ids import new_id
from holdfast.testing.conformance import expect, expect_equal, expect_json, expect_raises
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
    get,
    get_step,
    insert,
    make_flow,
    make_step,
    plain,
    present,
    steps_of,
    suite,
    update,
)

_THREADS = 4
_INCREMENTS = 5
_TRIES = 10_000
_MOVES = {
    FlowStatus.CREATED: {FlowStatus.RUNNING, FlowStatus.CANCELLED},
    FlowStatus.RUNNING: {FlowStatus.WAITING, FlowStatus.FINISHED, FlowStatus.FAILED, FlowStatus.CANCELLED},
    FlowStatus.WAITING: {FlowStatus.RUNNING, FlowStatus.FAILED, FlowStatus.CANCELLED},
}
"""The contract's table, written down a second time: the suite trusts no code that it tests."""


class _Thrown(Exception):
    """Raised by a unit to make it fail."""


@suite.check
def inserted_flow_reads_back_whole(units: Flows) -> None:
    """FL-1: a flow that was inserted is there, field by field."""
    flow = _full_flow()
    insert(units, flow)
    _expect_flow(present(units, flow.id), flow, "the inserted flow")


@suite.check
def update_counts_the_revision(units: Flows) -> None:
    """FL-1: success returns the flow at revision + 1, with the change written and its update time moved."""
    flow = add_flow(units, revision=6)
    change: dict[str, Any] = {
        "package_hash": "abc",
        "owner_session_key": "other",
        "goal": "gold",
        "current_step": "dig",
        "state": {"depth": 3},
        "status": FlowStatus.RUNNING,
        "paused": True,
        "cancel_requested": True,
        "attempt": 2,
        "result": '{"found": [1, 2]}',
        "error": {"kind": "E", "detail": "d"},
        "started_at": LONG_AGO + timedelta(seconds=1),
        "finished_at": LONG_AGO + timedelta(seconds=2),
    }
    updated = update(units, replace(flow, **change))
    expect(updated.updated_at > flow.updated_at, "an update moves updated_at")
    wanted = replace(flow, **change, revision=7, updated_at=updated.updated_at)
    _expect_flow(updated, wanted, "what the update returns")
    _expect_flow(present(units, flow.id), wanted, "the flow after the update")


@suite.check
def update_leaves_identity_alone(units: Flows) -> None:
    """FL-1: an update changes neither type, key, arguments, creation, tags, place in a queue nor parent."""
    parent = add_flow(units)
    flow = add_flow(
        units, key="k", args='{"a":1}', tags={"t": "1"}, queue="q", queue_key="one", priority=1, parent=parent.id
    )
    forged = replace(
        flow,
        workflow_type="forged",
        key="forged",
        args="{}",
        created_at=LONG_AGO + timedelta(days=1),
        tags={"t": "2", "forged": "1"},
        queue="forged",
        queue_key="forged",
        priority=-1,
        parent=None,
    )
    updated = update(units, forged)
    _expect_flow(updated, replace(flow, revision=1, updated_at=updated.updated_at), "what the update returns")
    _expect_flow(present(units, flow.id), updated, "the flow after the update")


@suite.check
def tags_read_back_or_are_refused(units: Flows) -> None:
    """FL-1: tags read back exactly, whichever flow has them; what cannot be a tag is InvalidInput, nothing written."""
    tagged = [{"env": "prod", "é 😀": "'; --"}, {"env": "prod"}, {"env": "Prod", "ENV": "prod"}, {}]
    flows = [add_flow(units, tags=tags) for tags in tagged]
    expect_equal([present(units, flow.id).tags for flow in flows], tagged, "the tags of four flows")
    for tags in ({"": "x"}, {"x": ""}, {"a\0b": "x"}, {"x": "\ud800"}, {"x" * 1000: "x"}):
        flow = make_flow(tags=tags)
        expect_raises(InvalidInput, f"the tags {tags!r:.40}", partial(insert, units, flow))
        expect_equal(get(units, flow.id), None, "a flow whose tags were refused")


@suite.check
def parent_is_a_flow(units: Flows) -> None:
    """FL-1: a child names its parent; a parent that is not there, or is the child itself, is FlowNotFound, nothing
    written."""
    parent = add_flow(units)
    child = add_flow(units, parent=parent.id)
    expect_equal((parent.parent, child.parent), (None, parent.id), "the parents of parent and child")
    for absent in (uuid4(), None):
        orphan = make_flow()
        orphan = replace(orphan, parent=absent or orphan.id)
        error = units.run(caught(FlowNotFound, "a parent that is not there", partial(_insert, orphan)))
        expect_equal(error.flow_id, orphan.parent, "the id that FlowNotFound names")
        expect_equal(get(units, orphan.id), None, "the flow without its parent")


@suite.check
def stale_caller_gets_true_numbers(units: Flows) -> None:
    """FL-1: a stale caller (or one ahead of the truth) gets RevisionMismatch with both numbers, nothing is written,
    and with a re-fetched flow the same change succeeds."""
    stale = add_flow(units, revision=1)
    for goal in ("first", "second"):
        _update(units, stale.id, goal=goal)
    before = present(units, stale.id)
    for expected in (1, 2, 4, 99):
        late = replace(stale, revision=expected, goal="stale", state={"stale": True})
        for write in _writes(late):
            error = units.run(caught(RevisionMismatch, f"an update at revision {expected} of 3", write))
            expect_equal((error.expected, error.actual), (expected, 3), "(expected, actual) of the mismatch")
    expect_equal(present(units, stale.id), before, "the flow after refused updates")
    expect_equal(events_of(units, stale.id), [], "events after refused updates")
    fresh = replace(present(units, stale.id), goal="fresh")
    expect_equal(update(units, fresh).revision, 4, "the revision after re-fetch")
    expect_equal(present(units, stale.id).goal, "fresh", "the goal after re-fetch")


@suite.check
def one_of_two_updaters_wins(units: Flows) -> None:
    """FL-1: of two callers that read the same revision exactly one writes."""
    flow = add_flow(units)
    left, right = present(units, flow.id), present(units, flow.id)
    update(units, replace(left, goal="left"))
    expect_raises(
        RevisionMismatch,
        "the second of two interleaved updates",
        lambda: update(units, replace(right, goal="right")),
    )
    kept = present(units, flow.id)
    expect_equal((kept.goal, kept.revision), ("left", 1), "goal and revision after the race")


@suite.check
def no_update_is_lost_between_threads(units: Flows) -> None:
    """FL-1: callers that race, fetch and retry lose no update."""
    flow_id = add_flow(units, state={"count": 0}).id

    def increment(_: int) -> None:
        for _ in range(_TRIES):
            read = present(units, flow_id)
            more = replace(read, state={"count": read.state["count"] + 1})
            try:
                update(units, more)
            except RevisionMismatch:
                continue
            return
        raise RevisionMismatch(flow_id, 0, 0)

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(increment, range(_THREADS * _INCREMENTS)))
    after = present(units, flow_id)
    total = _THREADS * _INCREMENTS
    expect_equal((after.state, after.revision), ({"count": total}, total), "state and revision after racing updates")


@suite.check
def unknown_flow_is_not_found(units: Flows) -> None:
    """FL-1: to change or extend a flow that is not there is FlowNotFound."""
    for flow_id in (uuid4(), new_id()):
        absent = make_flow(id=flow_id)
        for call in [*_writes(absent), *_appends(flow_id)]:
            error = units.run(caught(FlowNotFound, "a write to an unknown flow", call))
            expect_equal(error.flow_id, flow_id, "the id that FlowNotFound names")
        expect_equal(get(units, flow_id), None, "the unknown flow")


@suite.check
def steps_and_events_leave_the_revision_alone(units: Flows) -> None:
    """FL-1: steps and events are appended beside the record: they neither check nor bump the revision."""
    flow = add_flow(units, revision=3)
    step = add_step(units, flow.id, "run")
    units.run(lambda store: store.update_step(replace(step, status=StepStatus.SUCCEEDED)))
    append(units, flow.id, "kind")
    expect_equal(plain(present(units, flow.id)), plain(flow), "the flow after steps and events")


@suite.check
def only_legal_moves(units: Flows) -> None:
    """FL-1: a move that the state machine does not have is IllegalTransition and nothing is written; staying put
    and every other move succeed."""
    for origin, targets in _MOVES.items():
        for target in FlowStatus:
            flow = add_flow(units, status=origin)
            moved = replace(flow, status=target, goal="moved")
            if target in targets or target is origin:
                update(units, moved)
                expect_equal(present(units, flow.id).status, target, f"the status after {origin} → {target}")
                continue
            for write in _writes(moved):
                error = units.run(caught(IllegalTransition, f"{origin} → {target}", write))
                expect_equal((error.origin, error.target), (origin, target), "what IllegalTransition names")
            expect_equal(present(units, flow.id), flow, f"the flow after a refused {origin} → {target}")
            expect_equal(events_of(units, flow.id), [], f"events after a refused {origin} → {target}")


@suite.check
def odd_values_read_back_exactly(units: Flows) -> None:
    """FL-1: state, error, arguments and result read back to the byte, however odd."""
    flow = add_flow(units)
    for value in [*ODD_VALUES, deep(100)]:
        text = ' { "spaced" :\t1 } '
        _update(units, flow.id, state={"odd": value, "": value}, error={"odd": value}, result=text)
        read = present(units, flow.id)
        expect_json(read.state, {"odd": value, "": value}, "state")
        expect_json(read.error, {"odd": value}, "error")
        expect_equal(read.result, text, "result")
        given = add_flow(units, args=text, state={"odd": value})
        expect_json(given.state, {"odd": value}, "state")
        expect_equal(given.args, text, "arguments")


@suite.check
def odd_texts_read_back_or_are_refused(units: Flows) -> None:
    """FL-1: texts read back exactly; what a database cannot hold is refused as InvalidInput, nothing written."""
    for text in (
        "",
        " ",
        "é",
        "e\u0301",
        "😀",
        "'; --",
        "%s :a ::b",
        "\\",
        "a\nb\r\n",
        "\0",
        "a\0b",
        "\ud800",
        "x" * 9000,
    ):
        flow = make_flow(owner_session_key=text, goal=text, current_step=text, package_hash=text, workflow_type=text)
        try:
            insert(units, flow)
        except InvalidInput:
            expect("\0" in text or "\ud800" in text, f"{text!r} is refused")
            expect_equal(get(units, flow.id), None, "a flow that was refused")
        else:
            _expect_flow(present(units, flow.id), flow, "the flow of odd texts")


@suite.check
def records_are_the_callers_own(units: Flows) -> None:
    """FL-1: changing a record in memory, before or after, changes nothing that is stored."""
    state = {"list": [1]}
    flow = make_flow(state=state)
    insert(units, flow)
    state["list"].append(2)
    present(units, flow.id).state["list"].append(3)
    expect_equal(present(units, flow.id).state, {"list": [1]}, "the stored state")


@suite.check
def absent_is_none(units: Flows) -> None:
    """FL-2: get, get_step and find_step_by_run_id return None for what is absent."""
    flow = add_flow(units)
    add_step(units, flow.id, "run")
    for absent in (uuid4(), new_id()):
        expect_equal(get(units, absent), None, "get")
        expect_equal(get_step(units, absent), None, "get_step")
        expect_equal(find_step(units, absent, "run"), None, "find_step_by_run_id in an unknown flow")
    for run_id in ("", "RUN", "run ", "ru", "%", "r\0n"):
        expect_equal(find_step(units, flow.id, run_id), None, f"find_step_by_run_id of {run_id!r}")


@suite.check
def update_and_append_does_both(units: Flows) -> None:
    """FL-8: update_and_append returns the updated flow and the event, and both are there."""
    flow = add_flow(units)
    updated, event = units.run(
        lambda store: store.update_and_append(replace(flow, goal="gold"), "changed", {"by": ["me"]})
    )
    expect_equal((updated.revision, updated.goal), (1, "gold"), "the updated flow")
    expect_equal((event.flow_id, event.kind, event.payload), (flow.id, "changed", {"by": ["me"]}), "the event")
    expect_equal(plain(present(units, flow.id)), plain(updated), "the flow afterwards")
    expect_equal(events_of(units, flow.id), [event], "the events afterwards")


@suite.check
def update_and_append_does_neither(units: Flows) -> None:
    """FL-8: when the update is refused, the event is not written; when the event cannot be written, neither is the
    update; even if the unit goes on."""
    flow = add_flow(units, revision=1)
    for refused in (replace(flow, revision=0), replace(flow, status=FlowStatus.FINISHED)):
        units.run(caught(Conflict, "an update that is refused", partial(_update_and_append, refused)))
    units.run(
        caught(
            Exception,
            "an event whose payload is no JSON",
            lambda store: store.update_and_append(replace(flow, goal="half"), "changed", object()),
        )
    )
    expect_equal(present(units, flow.id), flow, "the flow whose event was refused")
    expect_equal(events_of(units, flow.id), [], "its events")


@suite.check
def failed_unit_leaves_nothing(units: Flows) -> None:
    """FL-8: one transaction: what a unit wrote before it failed is gone."""
    flow, other = add_flow(units), make_flow(key="k")

    def work(store: FlowStore) -> None:
        store.update_and_append(replace(flow, goal="half"), "changed", {})
        store.insert(other)
        store.insert_step(make_step(flow.id, "run"))
        raise _Thrown

    expect_raises(_Thrown, "a unit that fails", lambda: units.run(work))
    expect_equal(present(units, flow.id), flow, "the flow after the failed unit")
    expect_equal(events_of(units, flow.id), [], "events after the failed unit")
    expect_equal(get(units, other.id), None, "a flow that the failed unit inserted")
    expect_equal(steps_of(units, flow.id), [], "steps after the failed unit")


@suite.check
def id_is_taken_once(units: Flows) -> None:
    """FL-18: inserting an id that is taken is FlowExists; nothing is written, and the unit can go on."""
    flow = add_flow(units, goal="first", status=FlowStatus.RUNNING)
    bystander = make_flow()

    def work(store: FlowStore) -> None:
        again = make_flow(id=flow.id, goal="second", workflow_type="other", key="k")
        caught(FlowExists, "an id that is taken", lambda store: store.insert(again))(store)
        store.insert(bystander)

    units.run(work)
    expect_equal(present(units, flow.id), flow, "the flow that was there first")
    present(units, bystander.id)


@suite.check
def key_is_taken_once_within_its_type(units: Flows) -> None:
    """FL-18: a key is unique within the workflow type, in whatever status its flow is; no key is no clash."""
    for status in (FlowStatus.CREATED, *TERMINAL):
        flow = add_flow(units, key=f"key {status}", status=status)
        again = make_flow(key=f"key {status}")
        units.run(caught(FlowExists, "a key that is taken", partial(_insert, again)))
        expect_equal(get(units, again.id), None, "the second of that key")
        expect_equal(present(units, flow.id), flow, "the first of that key")
        expect_equal(add_flow(units, key=flow.key, workflow_type="other").key, flow.key, "the key in another type")
        expect_equal(add_flow(units, key=f"KEY {status}").key, f"KEY {status}", "the key in capitals")
    for _ in range(3):
        expect_equal(add_flow(units).key, None, "no key")


def _full_flow() -> Flow:
    return make_flow(
        workflow_type="full",
        package_hash="sha",
        owner_session_key="owner",
        goal="goal",
        current_step="step",
        state={"a": [1, {"b": None}]},
        status=FlowStatus.WAITING,
        paused=True,
        cancel_requested=True,
        attempt=3,
        revision=9,
        created_at=LONG_AGO,
        updated_at=LONG_AGO + timedelta(microseconds=1),
        key="key",
        args='{"x": 1}',
        result="[1]",
        error={"kind": "E"},
        started_at=LONG_AGO + timedelta(microseconds=2),
        finished_at=LONG_AGO + timedelta(microseconds=3),
        tags={"env": "prod", "a": "1"},
        queue="mail",
        queue_key="ann",
        priority=-7,
    )


def _expect_flow(found: Flow, wanted: Flow, what: str) -> None:
    for field in fields(Flow):
        if field.name not in ("due_at", "epoch", "crashes"):
            expect_equal(getattr(found, field.name), getattr(wanted, field.name), f"{field.name} of {what}")


def _update(units: Flows, flow_id: UUID, **change: Any) -> Flow:
    return update(units, replace(present(units, flow_id), **change))


def _update_and_append(flow: Flow, store: FlowStore) -> None:
    store.update_and_append(flow, "changed", {})


def _insert(flow: Flow, store: FlowStore) -> None:
    store.insert(flow)


def _writes(flow: Flow) -> list[Callable[[FlowStore], object]]:
    """The two ways to write a flow's record."""
    return [
        lambda store: store.update_with_revision(flow),
        lambda store: store.update_and_append(flow, "changed", {}),
    ]


def _appends(flow_id: UUID) -> list[Callable[[FlowStore], object]]:
    """The two ways to extend a flow."""
    return [
        lambda store: store.append_event(flow_id, "kind", {}),
        lambda store: store.insert_step(make_step(flow_id, "run")),
    ]
