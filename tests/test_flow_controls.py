"""Pause, resume and cancel: in every status, at any moment, in a queue or not (FL-13, FL-14)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from holdfast.clock import to_micros
from holdfast.errors import Conflict, InvalidId
from holdfast.flows import Flow, FlowStatus, SqlFlowStore, manager
from holdfast.flows.errors import AlreadyTerminal, BeingCancelled, FlowNotFound, RevisionMismatch
from holdfast.ids import new_id
from holdfast.store import Store, Transaction, open_store
from holdfast.testing import VirtualClock
from holdfast.testing.crash import Operation, explore_operation
from holdfast.testing.flows.samples import LONG_AGO, TERMINAL, make_flow
from tests.durable import KILLED_ON

FLOW = UUID(int=1, version=4)
EPOCH = 7


class Row:
    """What the engine goes by."""

    columns = ("status", "paused", "cancel_requested", "due_at", "turn", "touched", "epoch", "error")

    def __init__(self, tx: Transaction, flow_id: UUID = FLOW) -> None:
        row = tx.fetch_one(f"SELECT {', '.join(self.columns)} FROM flows WHERE id = :id", {"id": str(flow_id)})
        assert row is not None
        self.status, paused, cancelling, self.due_at, self.turn, touched, self.epoch, self.error = row
        self.paused, self.cancelling, self.touched = bool(paused), bool(cancelling), bool(touched)


def given(tx: Transaction, status: str, *, queue: str | None = None, leased: bool = False, **more: Any) -> None:
    """A flow of that status, as the engine leaves it."""
    SqlFlowStore(tx).insert(make_flow(id=FLOW, queue=queue, **more))
    due_at = None if leased or status == "waiting" else 5
    row = {"status": status, "due_at": due_at, "turn": due_at if queue else None, "epoch": EPOCH if leased else None}
    sets = ", ".join(f"{name} = :{name}" for name in row)
    tx.execute(f"UPDATE flows SET {sets} WHERE id = :id", row | {"id": str(FLOW)})


def row_of(store: Store) -> Row:
    return store.read(lambda tx: Row(tx))


@pytest.fixture
def store(store_url: str) -> Any:
    with open_store(store_url, clock=VirtualClock()) as opened:
        yield opened


LIVING = ("created", "running", "waiting")


@pytest.mark.parametrize("queue", [None, "mail"])
@pytest.mark.parametrize("status", LIVING)
def test_a_paused_flow_is_nobodys_until_it_is_resumed(store: Store, status: str, queue: str | None) -> None:
    store.run(lambda tx: given(tx, status, queue=queue))
    paused = store.run(lambda tx: manager.pause(tx, FLOW), actor="ann")
    row = row_of(store)
    assert (row.status, row.paused, row.due_at, row.turn) == (status, True, None, None)
    assert store.run(lambda tx: manager.pause(tx, FLOW)) == paused, "asking again changes nothing"
    resumed = store.run(lambda tx: manager.resume(tx, FLOW), actor="bob")
    row = row_of(store)
    assert (row.status, row.paused, row.due_at, row.turn) == (status, False, store.clock.micros(), None)
    assert store.run(lambda tx: manager.resume(tx, FLOW)) == resumed, "asking again changes nothing"
    events = store.read(lambda tx: SqlFlowStore(tx).list_events(FLOW)).items
    assert [(event.kind, event.payload["by"]) for event in events] == [("resumed_by_hand", "bob"), ("paused", "ann")]


@pytest.mark.parametrize("status", ["running"])
def test_the_worker_of_a_leased_flow_hears_of_it(store: Store, status: str) -> None:
    store.run(lambda tx: given(tx, status, leased=True))
    for verb, paused in ((manager.pause, True), (manager.resume, False)):
        store.run(lambda tx: tx.execute("UPDATE flows SET touched = FALSE"))
        store.run(lambda tx, verb=verb: verb(tx, FLOW))
        row = row_of(store)
        assert (row.paused, row.touched, row.epoch, row.due_at) == (paused, True, EPOCH, None)
    store.run(lambda tx: tx.execute("UPDATE flows SET touched = FALSE"))
    store.run(lambda tx: manager.cancel(tx, FLOW))
    row = row_of(store)
    assert (row.cancelling, row.touched, row.epoch, row.due_at) == (True, True, EPOCH, None)


def test_other_changes_wake_nobody(store: Store) -> None:
    store.run(lambda tx: given(tx, "created", queue="mail"))
    flow = store.read(lambda tx: SqlFlowStore(tx).get(FLOW))
    assert flow is not None
    store.run(lambda tx: SqlFlowStore(tx).update_with_revision(replace(flow, goal="new")))
    row = row_of(store)
    assert (row.due_at, row.turn, row.touched) == (5, 5, False)


def test_a_pause_keeps_the_moment_that_a_flow_was_started_for(store: Store) -> None:
    later = to_micros(LONG_AGO + timedelta(days=36_500))
    store.run(lambda tx: given(tx, "created"))
    store.run(lambda tx: tx.execute("UPDATE flows SET due_at = :later", {"later": later}))
    for _ in range(2):
        store.run(lambda tx: manager.pause(tx, FLOW))
        assert row_of(store).due_at is None
        store.run(lambda tx: manager.resume(tx, FLOW))
        assert row_of(store).due_at == later


@pytest.mark.parametrize("queue", [None, "mail"])
@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("status", LIVING)
def test_cancelling_completes_from_every_status(store: Store, status: str, paused: bool, queue: str | None) -> None:
    store.run(lambda tx: given(tx, status, queue=queue))
    if paused:
        store.run(lambda tx: manager.pause(tx, FLOW))
    store.run(lambda tx: manager.cancel(tx, FLOW))
    row = row_of(store)
    if status == "created":
        assert (row.status, row.due_at, row.turn, row.paused) == ("cancelled", None, None, False)
    else:
        assert (row.status, row.paused, row.cancelling) == ("running", False, True)
        assert row.due_at is not None, "it is to be claimed, so that its cleanup runs"
        assert store.run(lambda tx: manager.cancel(tx, FLOW)).cancel_requested
        with pytest.raises(BeingCancelled):
            store.run(lambda tx: manager.pause(tx, FLOW))


def test_what_has_ended_is_neither_paused_nor_resumed(store: Store) -> None:
    for status in TERMINAL:
        flow = make_flow(status=status)
        store.run(lambda tx, flow=flow: SqlFlowStore(tx).insert(flow))
        for verb in (manager.pause, manager.resume):
            with pytest.raises(AlreadyTerminal):
                store.run(lambda tx, verb=verb, flow=flow: verb(tx, flow.id))
    for verb in (manager.pause, manager.resume, manager.cancel):
        with pytest.raises(FlowNotFound):
            store.run(lambda tx, verb=verb: verb(tx, new_id()))
        with pytest.raises(InvalidId):
            store.run(lambda tx, verb=verb: verb(tx, "nonsense"))


def test_a_verb_that_loses_a_race_is_run_again(new_store_url: Callable[[], str]) -> None:
    with open_store(new_store_url()) as store:
        store.run(lambda tx: given(tx, "waiting"))
        lost = [RevisionMismatch(FLOW, 0, 1)] * 3

        def verb(tx: Transaction, flow_id: UUID) -> Flow:
            if lost:
                raise lost.pop()
            return manager.pause(tx, flow_id)

        assert manager.change(store, verb, FLOW, actor="ann").paused
        lost += [RevisionMismatch(FLOW, 0, 1)] * 1000
        with pytest.raises(Conflict):
            manager.change(store, verb, FLOW, actor="ann")


# -- killed anywhere ------------------------------------------------------------------------------------------


def observe(tx: Transaction) -> Any:
    rows = tx.fetch("SELECT status, paused, cancel_requested, due_at, turn, touched, revision FROM flows ORDER BY num")
    return rows, [event.kind for event in SqlFlowStore(tx).list_events(FLOW).items]


def pause(tx: Transaction) -> object:
    return manager.pause(tx, FLOW)


def paused(tx: Transaction) -> None:
    given(tx, "created", queue="mail")
    pause(tx)


OPERATIONS = {
    "pause": Operation(lambda tx: given(tx, "waiting"), pause, observe),
    "pause leased": Operation(lambda tx: given(tx, "running", leased=True), pause, observe),
    "resume": Operation(paused, lambda tx: manager.resume(tx, FLOW), observe),
    "cancel": Operation(paused, lambda tx: manager.cancel(tx, FLOW), observe),
}


@pytest.mark.parametrize("new_store_url", KILLED_ON, indirect=True)
@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_anywhere(name: str, new_store_url: Callable[[], str]) -> None:
    visits = list(explore_operation(OPERATIONS[name], new_store_url))
    assert {visit.where for visit in visits} == {"statement", "before commit", "after commit"}
    assert not [visit for visit in visits if visit.faults]


def test_statuses_are_all_there() -> None:
    assert {*LIVING, *TERMINAL} == set(FlowStatus)
