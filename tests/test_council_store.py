"""The councils' repository beyond its contract: who waits for whom, and what damaged rows say."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest

from holdfast.councils import RunStatus, SqlCouncilRepository, TaskGraph, TaskNode
from holdfast.councils.errors import RunDamaged, UnknownTool
from holdfast.errors import InvalidId
from holdfast.store import Store, Transaction, load_queries, open_store
from holdfast.testing import UnitRunner
from holdfast.testing.councils import (
    CouncilPorts,
    SqlLeases,
    council_units,
)
from holdfast.testing.councils.samples import (
    add_run,
    append,
    begin_lease,
    create,
    diamond,
    end_lease,
    live,
    make_run,
    mark,
    move,
    present,
    rewind,
)
from tests.threads import aside

Units = UnitRunner[CouncilPorts]


def test_live_events_are_found_past_superseded_ones(sqlite_url: str) -> None:
    """CO-15: whoever reads the live log does not pay for what was rewound."""
    with open_store(sqlite_url) as store:
        text = "EXPLAIN QUERY PLAN " + load_queries("holdfast.councils")["list_live"].sqlite
        plan = str(store.read(lambda tx: tx.fetch(text, {"id": "x", "seq": 0, "limit": 1})))
    assert "council_events_live" in plan


def test_tools_that_exist_are_known_by_the_caller(store_url: str) -> None:
    """CO-12: where the tools are known, a graph that names another is not stored."""
    graph = TaskGraph((TaskNode(id="a", task="look", tools=("search", "shell")),))
    with open_store(store_url) as store:
        run = make_run(graph=graph)
        with pytest.raises(UnknownTool) as caught:
            store.run(lambda tx: SqlCouncilRepository(tx, tools=["search"]).create_run(run))
        assert (caught.value.node_id, caught.value.tool) == ("a", "shell")
        store.run(lambda tx: SqlCouncilRepository(tx, tools=["search", "shell"]).create_run(run))
        assert store.read(lambda tx: SqlCouncilRepository(tx).get_run(run.id)) == run
        with pytest.raises(UnknownTool):
            store.run(lambda tx: SqlCouncilRepository(tx, tools=()).update_graph(run.id, graph))


@pytest.mark.parametrize("end", ["fenced_at = 1", "fenced_at = 1, released_at = 1", "released_at = 1", None])
def test_every_end_of_a_worker_ends_its_leases(store_url: str, end: str | None) -> None:
    """CO-7: fenced, released, or gone from the table altogether."""
    with open_store(store_url) as store:
        units = council_units(store)
        epoch = begin_lease(units)
        run = add_run(units, epoch=epoch)
        assert mark(units) == 0
        change = f"UPDATE workers SET {end} WHERE epoch = :epoch" if end else "DELETE FROM workers WHERE epoch = :epoch"
        store.run(lambda tx: tx.execute(change, {"epoch": epoch}))
        assert mark(units) == 1
        assert present(units, run.id).status is RunStatus.INTERRUPTED


@pytest.mark.parametrize(
    "edit", ["graph = '{'", "status = 'done'", "hitl_mode = 'all'", "created_at = 999999999999999999"]
)
def test_a_run_that_does_not_read_back_says_so(store_url: str, edit: str) -> None:
    with open_store(store_url) as store:
        run = add_run(council_units(store), graph=diamond())
        store.run(lambda tx: tx.execute(f"UPDATE council_runs SET {edit}"))
        for act in (lambda councils: councils.get_run(run.id), lambda councils: councils.list_runs()):
            with pytest.raises(RunDamaged, match=str(run.id)):
                store.run(lambda tx, act=act: act(SqlCouncilRepository(tx)))


def test_an_event_that_does_not_read_back_says_so(store_url: str) -> None:
    with open_store(store_url) as store:
        run = add_run(council_units(store))
        append(council_units(store), run.id)
        store.run(lambda tx: tx.execute("UPDATE council_events SET payload = '{'"))
        with pytest.raises(RunDamaged, match="event 1"):
            live(council_units(store), run.id)


@pytest.mark.parametrize("wrong", ["", "x", None, 7])
def test_what_is_no_id_is_refused_alike_on_every_database(store_url: str, wrong: Any) -> None:
    with open_store(store_url) as store:
        for act in (
            lambda councils: councils.get_run(wrong),
            lambda councils: councils.list_events(wrong),
            lambda councils: councils.append_event(wrong, "kind", {}),
            lambda councils: councils.update_graph(wrong, diamond()),
            lambda councils: councils.update_run_status(wrong, RunStatus.FAILED),
        ):
            with pytest.raises(InvalidId):
                store.run(lambda tx, act=act: act(SqlCouncilRepository(tx)))


def test_pruning_keeps_to_its_limit_whatever_the_plan(postgres_url: str) -> None:
    """CO-8: a nested loop asks its inner side again for every row, and each time finds others that are not yet gone."""
    with open_store(postgres_url) as store:
        units = council_units(store)
        run_id = add_run(units).id
        for _ in range(20):
            append(units, run_id, "kind", {}, 1)
        rewind(units, run_id, 0)

        def prune(tx: Transaction) -> int:
            for way in ("hashjoin", "mergejoin", "hashagg", "sort", "material", "memoize"):
                tx.execute(f"SET LOCAL enable_{way} = off")
            return SqlCouncilRepository(tx).prune_superseded_events(0, limit=3)

        assert store.run(prune) == 3


def test_a_second_process_sees_what_the_first_left(tmp_path: Any) -> None:
    """CO-7: another process that opens the same file finds the run, and its numbers go on (CO-6)."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with open_store(url) as first, open_store(url) as second:
        mine, theirs = council_units(first), council_units(second)
        epoch = begin_lease(mine)
        run = add_run(mine, epoch=epoch)
        assert [append(units, run.id).seq for units in (mine, theirs, mine)] == [1, 2, 3]
        assert mark(theirs) == 0
        end_lease(theirs, epoch)
        assert (mark(theirs), mark(mine)) == (1, 0)
        assert live(mine, run.id)[-1].seq == 4


def waiting_for_a_lock(store: Store) -> bool:
    query = (
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'council_runs|workers' "
        "AND query NOT LIKE '%pg_stat_activity%'"
    )
    return bool(aside(lambda: store.read(lambda tx: tx.fetch(query))))


def beside(
    store: Store,
    outer: Callable[[Transaction], object],
    late: Callable[[], object],
    then: Callable[[Transaction], object] = lambda tx: None,
) -> list[object]:
    """What ``late`` returns that is called after ``outer`` and has to wait; ``then`` ends the unit it waits for."""
    answers: list[object] = []
    thread = Thread(target=lambda: answers.append(late()))

    def work(tx: Transaction) -> None:
        outer(tx)
        thread.start()
        while not waiting_for_a_lock(store):
            assert thread.is_alive(), "it did not wait"
        then(tx)

    store.run(work)
    thread.join()
    return answers


def test_appenders_of_one_run_wait_for_each_other(postgres_url: str) -> None:
    """CO-6: numbers become visible in their order, so that no reader goes past one that is still to come."""
    with open_store(postgres_url) as store:
        units = council_units(store)
        run_id = add_run(units).id

        def first(tx: Transaction) -> None:
            assert SqlCouncilRepository(tx).append_event(run_id, "first", {}).seq == 1

        (second,) = beside(store, first, lambda: append(units, run_id, "second"))
        assert second == live(units, run_id)[1]
        assert [(event.seq, event.kind) for event in live(units, run_id)] == [(1, "first"), (2, "second")]


def test_runs_do_not_wait_for_each_other(postgres_url: str) -> None:
    """Two units that append to different runs run side by side: the inner one ends while the outer one is open."""
    with open_store(postgres_url) as store:
        units = council_units(store)
        left, right = add_run(units).id, add_run(units).id

        def outer(tx: Transaction) -> int:
            SqlCouncilRepository(tx).append_event(left, "outer", {})
            return aside(lambda: append(units, right)).seq

        assert store.run(outer) == 1


def test_a_run_that_is_just_being_taken_up_is_not_interrupted(postgres_url: str) -> None:
    """CO-7: a marker that waits for a run's row looks again: its new holder may have registered since."""
    with open_store(postgres_url) as store:
        units = council_units(store)
        dead = begin_lease(units)
        run = add_run(units, epoch=dead)
        end_lease(units, dead)

        def hold(tx: Transaction) -> None:
            SqlCouncilRepository(tx).append_event(run.id, "held", {})

        def take_up(tx: Transaction) -> None:
            councils = SqlCouncilRepository(tx)
            assert councils.mark_interrupted_runs() == 1
            councils.update_run_status(run.id, RunStatus.RUNNING, epoch=aside(lambda: begin_lease(units)))

        assert beside(store, hold, lambda: mark(units), then=take_up) == [0]
        assert present(units, run.id).status is RunStatus.RUNNING
        assert [event.kind for event in live(units, run.id)] == ["held", "interrupted"]


def test_a_lease_that_is_just_ending_takes_nothing_up(postgres_url: str) -> None:
    """CO-7: whoever waits for the worker that is being fenced looks again, and finds it dead."""
    with open_store(postgres_url) as store:
        units = council_units(store)
        epoch = begin_lease(units)
        run = add_run(units, status=RunStatus.INTERRUPTED)

        def take_up() -> str:
            try:
                return move(units, run.id, RunStatus.RUNNING, epoch).status
            except Exception as error:
                return type(error).__name__

        assert beside(store, lambda tx: SqlLeases(tx).end(epoch), take_up) == ["LeaseLost"]
        assert present(units, run.id) == run


def test_a_move_is_judged_by_what_the_run_has_become(postgres_url: str) -> None:
    """CO-2: a move that waited for another one is checked against the status after it."""
    with open_store(postgres_url) as store:
        units = council_units(store)
        run = add_run(units)

        def cancel(tx: Transaction) -> None:
            SqlCouncilRepository(tx).update_run_status(run.id, RunStatus.CANCELLED)

        def complete() -> str:
            try:
                return move(units, run.id, RunStatus.COMPLETED).status
            except Exception as error:
                return type(error).__name__

        assert beside(store, cancel, complete) == ["IllegalTransition"]


def test_a_rewind_takes_what_was_appended_while_it_waited(postgres_url: str) -> None:
    """CO-8: an event that was being appended when the rewind came is superseded like the others."""
    with open_store(postgres_url) as store:
        units = council_units(store)
        run_id = add_run(units).id

        def late_event(tx: Transaction) -> None:
            SqlCouncilRepository(tx).append_event(run_id, "late", {}, wave_index=3)

        (rewound,) = beside(store, late_event, lambda: rewind(units, run_id, 1))
        assert live(units, run_id) == [rewound]
        assert rewound.payload == {"from": 3, "to": 1, "superseded": 1}  # type: ignore[attr-defined]


def test_creating_twice_at_once_creates_once(postgres_url: str) -> None:
    """CO-1: the second of two concurrent creators hears of the first."""
    with open_store(postgres_url) as store:
        units = council_units(store)
        run = make_run(goal="first")

        def second() -> str:
            try:
                create(units, make_run(id=run.id, goal="second"))
            except Exception as error:
                return type(error).__name__
            return "created"

        assert beside(store, lambda tx: SqlCouncilRepository(tx).create_run(run), second) == ["RunExists"]
        assert present(units, run.id) == run
