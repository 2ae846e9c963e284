"""What whoever runs a council does: state and event together (CO-3, CO-4), and telling that never hurts."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from holdfast.audit import SqlAuditLog
from holdfast.councils import (
    HitlMode,
    NodeStatus,
    RunStatus,
    SqlCouncilRepository,
    TaskGraph,
    TaskNode,
    manager,
    new_run,
)
from holdfast.councils.errors import (
    CyclicGraph,
    InvalidEvent,
    InvalidWave,
    RunExists,
    RunHeld,
    RunNotFound,
    UnknownNode,
)
from holdfast.errors import IllegalTransition, InvalidId, InvalidInput
from holdfast.ids import new_id
from holdfast.store import Store, Transaction, WrongHandle, open_store
from holdfast.testing import VirtualClock
from holdfast.testing.councils import council_units
from holdfast.testing.councils.samples import add_run, append, diamond, get, live, log, make_run, present, rewind

CYCLE = TaskGraph((TaskNode(id="a", task="", depends_on=("a",)),))


def refused(store: Store, kind: type[Exception], work: object) -> None:
    """``work`` raises within a unit that goes on, so that whatever it had written is committed."""

    def unit(tx: Transaction) -> None:
        with pytest.raises(kind):
            work(tx)  # type: ignore[operator]

    store.run(unit)


def test_a_new_run_says_who_made_it(store_url: str) -> None:
    with open_store(store_url) as store:
        run = make_run(graph=diamond())
        store.run(lambda tx: manager.create(tx, run), actor="ann")
        assert present(council_units(store), run.id) == run
        assert [(event.kind, event.payload) for event in live(council_units(store), run.id)] == [
            ("created", {"by": "ann"})
        ]
        refused(store, RunExists, lambda tx: manager.create(tx, run))
        assert len(live(council_units(store), run.id)) == 1


def test_status_and_event_are_written_together_or_not_at_all(store_url: str) -> None:
    """CO-4: whatever is wrong with either, neither is written, even if the unit goes on."""
    with open_store(store_url) as store:
        units = council_units(store)
        run = add_run(units)
        moved, event = store.run(
            lambda tx: manager.change_status(tx, run.id, RunStatus.COMPLETED, "completed", {"answer": 42}, wave_index=3)
        )
        assert (moved, [event]) == (present(units, run.id), live(units, run.id))
        assert (moved.status, event.seq, event.wave_index) == (RunStatus.COMPLETED, 1, 3)
        refused(
            store,
            IllegalTransition,
            lambda tx: manager.change_status(tx, run.id, RunStatus.FAILED, "failed", {}),
        )
        other = add_run(units)
        for kind, payload, wave in (("k", object(), None), ("a\0b", {}, None), ("k", {}, -1)):
            refused(
                store,
                InvalidWave if wave else InvalidInput,
                lambda tx, kind=kind, payload=payload, wave=wave: manager.change_status(
                    tx, other.id, RunStatus.FAILED, kind, payload, wave_index=wave
                ),
            )
        refused(store, RunHeld, lambda tx: manager.change_status(tx, other.id, RunStatus.RUNNING, "k", {}, epoch=7))
        refused(store, RunNotFound, lambda tx: manager.change_status(tx, new_id(), RunStatus.RUNNING, "k", {}))
        assert (present(units, run.id), live(units, run.id)) == (moved, [event])
        assert (present(units, other.id), live(units, other.id)) == (other, [])


def test_graph_and_event_are_written_together_or_not_at_all(store_url: str) -> None:
    """CO-3, CO-12."""
    with open_store(store_url) as store:
        units = council_units(store)
        run = add_run(units)
        event = store.run(
            lambda tx: manager.change_graph(
                tx, run.id, diamond(output=1), "node_succeeded", {"node": "a"}, wave_index=0
            )
        )
        assert live(units, run.id) == [event]
        for kind, graph, payload in ((CyclicGraph, CYCLE, {}), (InvalidInput, diamond(), object())):
            refused(
                store,
                kind,
                lambda tx, graph=graph, payload=payload: manager.change_graph(tx, run.id, graph, "kind", payload),
            )
        assert present(units, run.id).graph == diamond(output=1)
        assert live(units, run.id) == [event]


def test_nodes_that_end_at_the_same_time_are_all_kept(store_url: str) -> None:
    """CO-3: each change is made to the graph as the one before left it."""
    names = [f"n{number}" for number in range(12)]
    with open_store(store_url) as store:
        units = council_units(store)
        run_id = add_run(units, graph=TaskGraph(tuple(TaskNode(id=name, task="") for name in names))).id

        def end(name: str) -> None:
            node = TaskNode(id=name, task="", status=NodeStatus.SUCCEEDED, output=name)
            store.run(lambda tx: manager.change_node(tx, run_id, node, "node_succeeded", {"node": name}, wave_index=0))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(end, names))
        found = present(units, run_id).graph
        assert found is not None
        assert found.is_done
        assert [node.output for node in found.nodes] == names
        assert sorted(event.payload["node"] for event in live(units, run_id)) == sorted(names)


def test_a_node_that_is_not_there_is_not_changed(store_url: str) -> None:
    with open_store(store_url) as store:
        units = council_units(store)
        planned, unplanned = add_run(units, graph=diamond()), add_run(units)
        stray = TaskNode(id="stray", task="")
        for run in (planned, unplanned):
            refused(store, UnknownNode, lambda tx, run=run: manager.change_node(tx, run.id, stray, "kind", {}))
            assert (present(units, run.id), live(units, run.id)) == (run, [])
        refused(store, RunNotFound, lambda tx: manager.change_node(tx, new_id(), stray, "kind", {}))


def test_a_store_that_fails_to_record_is_logged_and_aborts_nothing(
    store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """CO-4: the run goes on without the event."""
    caplog.set_level(logging.WARNING, "holdfast.councils")
    with open_store(store_url) as store:
        units = council_units(store)
        run_id = add_run(units).id
        first = manager.record(store, run_id, "thought", {"text": "é"}, wave_index=0)
        second = manager.record(store, run_id, "thought", None)
        assert live(units, run_id) == [first, second]
    assert manager.record(store, run_id, "thought", {}) is None
    assert len(caplog.records) == 1
    assert str(run_id) in caplog.text


def test_what_the_caller_got_wrong_is_raised_when_an_event_is_recorded(
    store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "holdfast.councils")
    with open_store(store_url) as store:
        units = council_units(store)
        run_id = add_run(units).id
        calls: list[tuple[type[Exception], tuple[Any, ...], int | None]] = [
            (InvalidInput, (store, run_id, "thought", object()), None),
            (InvalidInput, (store, run_id, "a\0b", {}), None),
            (InvalidEvent, (store, run_id, "", {}), None),
            (InvalidWave, (store, run_id, "thought", {}), -1),
            (InvalidId, (store, "x", "thought", {}), None),
            (RunNotFound, (store, new_id(), "thought", {}), None),
            (WrongHandle, (run_id, run_id, "thought", {}), None),
        ]
        for kind, arguments, wave in calls:
            with pytest.raises(kind):
                manager.record(*arguments, wave_index=wave)
        refused(store, WrongHandle, lambda tx: manager.record(tx, run_id, "thought", {}))
        refused(store, InvalidInput, lambda tx: manager.record(store, run_id, "thought", {}))
        with pytest.raises(WrongHandle):
            store.run(lambda tx: manager.prune(tx, 30))  # type: ignore[arg-type]
        assert live(units, run_id) == []
    assert not caplog.records


def test_a_rewind_is_one_event_and_one_row_of_the_audit_chain(store_url: str) -> None:
    """CO-8: who rewound which run from where to where is proved."""
    with open_store(store_url) as store:
        units = council_units(store)
        run = add_run(units, status=RunStatus.FAILED)
        for wave in (0, 1, 2):
            append(units, run.id, "kind", {}, wave)
        event = store.run(lambda tx: manager.rewind(tx, run.id, 0), actor="ann")
        assert present(units, run.id).status is RunStatus.RUNNING
        assert live(units, run.id)[-1] == event
        assert event.payload == {"from": 2, "to": 0, "superseded": 2}
        (row,) = store.read(lambda tx: SqlAuditLog(tx).list()).items
        assert (row.actor, row.act, row.subject, row.detail) == (
            "ann",
            "council.rewound",
            str(run.id),
            event.payload,
        )
        refused(store, InvalidWave, lambda tx: manager.rewind(tx, run.id, -1))
        refused(store, RunNotFound, lambda tx: manager.rewind(tx, new_id(), 0))
        with pytest.raises(InvalidInput):  # the audit row is refused, and takes the rewind back with it
            store.run(lambda tx: manager.rewind(tx, run.id, None), actor="a\0b")
        assert live(units, run.id)[-1] == event
        assert store.read(lambda tx: SqlAuditLog(tx).head()).seq == 1


def test_a_run_is_made_of_a_goal(store_url: str) -> None:
    clock = VirtualClock()
    with open_store(store_url, clock=clock) as store:
        run = new_run("dig", clock=clock, graph=diamond(), hitl_mode=HitlMode.NODE)
        store.run(lambda tx: manager.create(tx, run))
        assert present(council_units(store), run.id) == run
        assert run.created_at == run.updated_at == clock.now()
        again = new_run("dig", clock=clock, id=run.id)
        refused(store, RunExists, lambda tx: manager.create(tx, again))
        with pytest.raises(InvalidId):
            new_run("dig", clock=clock, id="x")  # type: ignore[arg-type]


def test_the_nodes_of_a_run_that_has_ended_can_be_drained(store_url: str) -> None:
    """CO-3: what they came to is recorded; the run stays ended."""
    with open_store(store_url) as store:
        units = council_units(store)
        run = add_run(units, graph=diamond(), status=RunStatus.CANCELLED)
        node = diamond(status=NodeStatus.CANCELLED).nodes[0]
        store.run(lambda tx: manager.change_node(tx, run.id, node, "node_cancelled", {}))
        found = present(units, run.id)
        assert (found.status, found.graph) == (RunStatus.CANCELLED, diamond(status=NodeStatus.CANCELLED))


def test_a_store_where_a_transaction_is_due_is_told(store_url: str) -> None:
    with open_store(store_url) as store, pytest.raises(WrongHandle, match=r"not Store\. .*store\.run"):
        manager.create(store, make_run())  # type: ignore[arg-type]


def test_the_store_failing_half_way_loses_the_event_and_keeps_the_numbers(store_url: str) -> None:
    """CO-4, CO-6: the number is taken in the transaction of the event: both are written or neither."""
    with open_store(store_url) as store:
        units = council_units(store)
        run_id = add_run(units).id
        append(units, run_id)
        table = "council_events"
        store.run(lambda tx: tx.execute(f"ALTER TABLE {table} RENAME TO away"))
        assert manager.record(store, run_id, "lost", {}) is None
        store.run(lambda tx: tx.execute(f"ALTER TABLE away RENAME TO {table}"))
        assert manager.record(store, run_id, "kept", {}) is not None
        assert [(event.seq, event.kind) for event in live(units, run_id)] == [(1, "kind"), (2, "kept")]


def test_pruning_takes_what_is_over(store_url: str) -> None:
    clock = VirtualClock()
    with open_store(store_url, clock=clock) as store:
        units = council_units(store)
        ended = [add_run(units, status=RunStatus.FAILED, created_at=clock.now()) for _ in range(60)]
        kept = add_run(units)
        events = [append(units, kept.id, "kind", {}, wave) for wave in (0, 1, 2)]
        rewound = rewind(units, kept.id, 0)
        assert manager.prune(store, 30) == 0
        clock.advance(timedelta(days=31))
        told: list[int] = []
        assert manager.prune(store, 30, told.append) == 60
        assert told == [50, 60]
        assert get(units, ended[0].id) is None
        assert log(units, kept.id) == [events[0], rewound]
        with pytest.raises(ValueError, match="negative"):
            manager.prune(store, -1)


def test_superseded_events_are_kept_from_when_they_were_superseded(store_url: str) -> None:
    """CO-8: an old event that was superseded just now is readable for as long as a young one."""
    clock = VirtualClock()
    with open_store(store_url, clock=clock) as store:
        units = council_units(store)
        run_id = add_run(units).id
        append(units, run_id, "kind", {}, 1)
        clock.advance(timedelta(days=31))
        rewound = rewind(units, run_id, 0)
        manager.prune(store, 30)
        assert [event.seq for event in log(units, run_id)] == [1, 2]
        clock.advance(timedelta(days=31))
        manager.prune(store, 30)
        assert log(units, run_id) == [rewound]


def test_a_worker_that_lost_its_run_changes_no_node(store_url: str) -> None:
    """CO-7: through the verbs as through the port; state and event stay as they are."""
    with open_store(store_url) as store:
        units = council_units(store)
        run = add_run(units, graph=diamond(), epoch=2)
        node = diamond(output=1).nodes[0]
        for work in (
            lambda tx: manager.change_node(tx, run.id, node, "kind", {}, epoch=1),
            lambda tx: manager.change_graph(tx, run.id, diamond(output=1), "kind", {}, epoch=1),
            lambda tx: manager.change_status(tx, run.id, RunStatus.COMPLETED, "kind", {}, epoch=1),
        ):
            refused(store, RunHeld, work)
        assert (present(units, run.id), live(units, run.id)) == (run, [])


def test_what_a_resumed_run_needs_is_in_its_record(store_url: str) -> None:
    """CO-3: graph and status alone, without one event."""
    with open_store(store_url) as store:
        units = council_units(store)
        run = add_run(units, graph=diamond())
        done = diamond(output={"found": [1]})
        store.run(lambda tx: SqlCouncilRepository(tx).update_graph(run.id, done))
        found = present(units, run.id)
        assert found.graph == done
        assert found.hitl_mode is run.hitl_mode
