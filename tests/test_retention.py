"""Retention and the prune (FL-9): what goes, what stays, in slices that anything may interrupt."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from holdfast.flows import Flow, FlowStatus, SqlFlowStore, retention
from holdfast.flows.remains import drop_superseded, holder
from holdfast.flows.retention import DAY_SECONDS, InvalidRetention, declare, prune
from holdfast.store import Store, Transaction, load_queries, open_store
from holdfast.store.blobs import BlobNotFound, get_blob, put_blob
from holdfast.testing import VirtualClock
from holdfast.testing.flows.samples import TERMINAL, make_flow, make_step

DAY = 86_400_000_000
BELONGINGS = ("flow_tags", "steps", "flow_events", "waits", "inbox", "step_progress")
CLOCK = VirtualClock()


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    with open_store(store_url, clock=VirtualClock()) as opened:
        yield opened


def aged(days: float, status: FlowStatus = FlowStatus.FINISHED, **more: Any) -> Flow:
    at = CLOCK.now() - timedelta(days=days)
    return make_flow(status=status, created_at=at, updated_at=at, **more)


def insert(store: Store, *flows: Flow) -> None:
    store.run(lambda tx: [SqlFlowStore(tx).insert(flow) for flow in flows])


def number(store: Store, flow: Flow) -> int:
    return store.run(lambda tx: SqlFlowStore(tx).number(flow.id))


def count(tx: Transaction, table: str, flow: int) -> int:
    return int(tx.fetch(f"SELECT count(*) FROM {table} WHERE flow = :flow", {"flow": flow})[0][0])


def add_steps(tx: Transaction, flow: int, names: list[str], blob: str | None = None, superseded: bool = False) -> None:
    at = CLOCK.micros() - 100 * DAY
    tx.execute(
        "WITH r AS (@rows(run_id text)) INSERT INTO steps (flow, run_id, runtime, task, status, attempt, result, blob,"
        " superseded_by, created_at, updated_at) SELECT :flow, run_id, 'managed', 't', 'succeeded', 1, NULL,"
        " CAST(:blob AS text), CAST(:superseded AS int), :at, :at FROM r",
        {"flow": flow, "blob": blob, "superseded": 2 if superseded else None, "at": at},
        rows=[(name,) for name in names],
    )


def burden(tx: Transaction, flow: int, steps: int = 3) -> str:
    """Give a flow some of everything; returns the digest of a large result."""
    blob = put_blob(tx, b'"large"', holder=holder(flow))
    add_steps(tx, flow, [f"s{n}" for n in range(steps)])
    add_steps(tx, flow, ["large 1", "large 2"], blob)
    add_steps(tx, flow, ["old"], superseded=True)
    (flow_id,) = tx.fetch("SELECT id FROM flows WHERE num = :flow", {"flow": flow})[0]
    values = {"flow": flow, "id": str(flow_id), "text": f"{flow}"}
    for statement in (
        "INSERT INTO flow_events (flow, id, kind, payload, at) VALUES (:flow, :id, 'k', '{}', 1)",
        "INSERT INTO waits (flow, run_id, kind, topic, correlation, created_at)"
        " VALUES (:flow, 'w', 'event', 't', 'c', 1)",
        "INSERT INTO step_progress (flow, run_id, done, at) VALUES (:flow, 's', 1, 1)",
        "INSERT INTO inbox (kind, topic, correlation, key, payload, sent_at, expires_at, flow, run_id)"
        " VALUES ('event', 't', 'c', :text, '1', 1, 1, :flow, 'w')",
        "INSERT INTO inbox (kind, topic, correlation, key, payload, sent_at, expires_at)"
        " VALUES ('signal', 't', :id, :text, '1', 1, 1)",
    ):
        tx.execute(statement, values)
    return blob


def stands(tx: Transaction, digest: str) -> bool:
    try:
        return bool(get_blob(tx, digest))
    except BlobNotFound:
        return False


def test_all_that_belongs_to_a_flow_goes_with_it(store: Store) -> None:
    doomed, kept = aged(40, tags={"a": "1"}), aged(20, tags={"a": "1"})
    insert(store, doomed, kept)
    gone, stays = number(store, doomed), number(store, kept)
    blob = store.run(lambda tx: burden(tx, gone))
    assert store.run(lambda tx: burden(tx, stays)) == blob
    told: list[int] = []
    assert prune(store, 30 * DAY_SECONDS, told.append) == (1, 1), "a flow, and a superseded step of the other"
    assert told[-1] == 1

    def look(tx: Transaction) -> None:
        for table in BELONGINGS:
            assert count(tx, table, gone) == 0, table
            assert count(tx, table, stays) > 0, table
        assert stands(tx, blob), "the other flow has the same large result"
        assert tx.fetch("SELECT correlation FROM inbox WHERE kind = 'signal'") == [(str(kept.id),)]
        assert tx.fetch("SELECT * FROM flow_remains") == []

    store.read(look)
    assert prune(store, 10 * DAY_SECONDS) == (1, 0)
    assert not store.read(lambda tx: stands(tx, blob))
    assert store.read(lambda tx: tx.fetch("SELECT * FROM blob_holders")) == []


def test_each_workflow_is_kept_as_long_as_it_says(store: Store) -> None:
    insert(store, *(aged(days, kind, workflow_type=name) for name in "abc" for days in (2, 50) for kind in TERMINAL))
    insert(store, aged(50, FlowStatus.WAITING, workflow_type="a"))
    store.run(lambda tx: declare(tx, {"a": DAY, "b": 100 * DAY, "c": None}))

    def left() -> list[tuple[str, int]]:
        query = "SELECT workflow_type, count(*) FROM flows GROUP BY workflow_type ORDER BY workflow_type"
        return store.read(lambda tx: tx.fetch(query))

    assert store.read(lambda tx: retention.count(tx, None)) == 6
    assert prune(store, None).flows == 6
    assert left() == [("a", 1), ("b", 6), ("c", 6)]
    assert store.read(lambda tx: retention.count(tx, 30 * DAY_SECONDS)) == 3
    assert prune(store, 30 * DAY_SECONDS).flows == 3
    assert left() == [("a", 1), ("b", 6), ("c", 3)]
    assert prune(store, 0).flows == 3


def test_a_declaration_is_the_latest(store: Store) -> None:
    def declared() -> list[Any]:
        return store.read(lambda tx: tx.fetch("SELECT * FROM retention ORDER BY workflow_type"))

    store.run(lambda tx: declare(tx, {"b": DAY, "a": 2 * DAY, "c": DAY}))
    first = declared()
    store.clock.advance(5)  # type: ignore[attr-defined]
    store.run(lambda tx: declare(tx, {"a": 2 * DAY, "b": None, "c": 3 * DAY}))
    assert declared()[0] == first[0], "what is as it was is not written"
    assert store.read(retention.declared) == {"a": 2 * DAY_SECONDS, "c": 3 * DAY_SECONDS}


@pytest.mark.parametrize("wrong", [-1, -0.001, float("nan")])
def test_no_negative_span(store: Store, wrong: float) -> None:
    insert(store, aged(50))
    for ask in (lambda: prune(store, wrong), lambda: store.read(lambda tx: retention.count(tx, wrong))):
        with pytest.raises(InvalidRetention):
            ask()
    assert store.read(lambda tx: retention.count(tx, 0)) == 1


def test_a_flow_that_was_taken_up_again_is_kept(store: Store) -> None:
    """What was found is looked at again when it is to go."""
    ended, again = aged(50), aged(50)
    insert(store, ended, again)
    revive = {"now": CLOCK.micros(), "id": str(again.id)}
    store.run(lambda tx: burden(tx, number_in(tx, again)))
    seen: list[int] = []

    def check(tx: Transaction) -> None:
        if not seen:
            tx.execute("UPDATE flows SET status = 'running', updated_at = :now WHERE id = :id", revive)
        seen.append(1)

    assert prune(store, DAY_SECONDS, check=check).flows == 1
    assert len(store.read(lambda tx: SqlFlowStore(tx).list_steps(again.id)).items) == 5


def number_in(tx: Transaction, flow: Flow) -> int:
    return SqlFlowStore(tx).number(flow.id)


class Stopped(Exception):
    pass


def test_a_long_flow_goes_in_slices_and_nobody_sees_half_of_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """FL-14: a prune that is killed midway leaves no flow with half a history; the next one goes on."""
    monkeypatch.setattr(retention, "SLICE_SECONDS", 0.0)
    flow = aged(50, key="k")
    insert(store, flow, aged(49))
    num = number(store, flow)
    store.run(lambda tx: burden(tx, num, 2000))
    left: list[int] = []

    def check(tx: Transaction) -> None:
        left.append(count(tx, "steps", num))
        assert (SqlFlowStore(tx).get(flow.id) is None) == (len(left) > 1)
        if len(left) == 4:
            raise Stopped

    with pytest.raises(Stopped):
        prune(store, DAY_SECONDS, check=check)
    assert left[0] > left[2] > left[3] > 0
    assert max(before - after for before, after in pairwise(left)) < 600, "a slice is short"
    find = lambda tx: SqlFlowStore(tx).find_step_by_run_id(flow.id, "s1999")  # noqa: E731
    assert store.read(find) is None
    insert(store, replace(flow, status=FlowStatus.RUNNING))
    store.run(lambda tx: SqlFlowStore(tx).insert_step(make_step(flow.id, "s1999")))
    prune(store, DAY_SECONDS)
    assert store.read(lambda tx: count(tx, "steps", num)) == 0
    assert store.read(find) is not None, "the flow that took the id over has its own"
    assert store.read(lambda tx: tx.fetch("SELECT * FROM flow_remains")) == []


def test_superseded_records_go_when_they_are_old(store: Store) -> None:
    """FL-16: of a living flow as well; a large result stays while a record that counts names it."""
    flow = aged(200, FlowStatus.WAITING)
    insert(store, flow)
    num = number(store, flow)

    def fill(tx: Transaction) -> tuple[str, str]:
        both, undone = (put_blob(tx, body, holder=holder(num)) for body in (b'"both"', b'"undone"'))
        add_steps(tx, num, ["a#1@1"], both, superseded=True)
        add_steps(tx, num, ["b#1@1", "b#2@1"], undone, superseded=True)
        add_steps(tx, num, ["a#1@2"], both)
        return both, undone

    both, undone = store.run(fill)
    listed = store.read(lambda tx: SqlFlowStore(tx).list_steps(flow.id)).items
    assert [(step.run_id, step.superseded_by) for step in listed] == [
        ("a#1@1", 2), ("b#1@1", 2), ("b#2@1", 2), ("a#1@2", None),
    ]  # fmt: skip
    assert [step.result for step in listed] == ['"both"', '"undone"', '"undone"', '"both"']
    assert prune(store, None) == (0, 0)
    assert prune(store, 101 * DAY_SECONDS) == (0, 0)
    assert prune(store, 99 * DAY_SECONDS) == (0, 3)
    (kept,) = store.read(lambda tx: SqlFlowStore(tx).list_steps(flow.id)).items
    assert (kept.run_id, kept.result) == ("a#1@2", '"both"')
    assert store.read(lambda tx: (stands(tx, both), stands(tx, undone))) == (True, False)


def test_a_large_result_that_is_written_meanwhile_is_kept(postgres_url: str) -> None:
    """While superseded records are dropped, the flow records the very same large result anew."""
    with open_store(postgres_url, clock=VirtualClock()) as store:
        flow = aged(200, FlowStatus.WAITING)
        insert(store, flow)
        num = number(store, flow)
        blob = store.run(lambda tx: put_blob(tx, b'"same"', holder=holder(num)))
        store.run(lambda tx: add_steps(tx, num, ["a#1@1"], blob, superseded=True))
        nums = store.read(lambda tx: tx.fetch("SELECT num FROM steps"))
        thread = threading.Thread(target=lambda: store.run(lambda tx: drop_superseded(tx, nums)))

        def append(tx: Transaction) -> None:
            put_blob(tx, b'"same"', holder=holder(num))
            add_steps(tx, num, ["a#1@2"], blob)
            thread.start()
            thread.join(0.5)
            assert thread.is_alive(), "who drops the record waits for who writes one"

        store.run(append)
        thread.join()
        (kept,) = store.read(lambda tx: SqlFlowStore(tx).list_steps(flow.id)).items
        assert (kept.run_id, kept.result) == ("a#1@2", '"same"')


def test_a_lost_body_is_told(store: Store) -> None:
    flow = aged(1, FlowStatus.WAITING)
    insert(store, flow)
    store.run(lambda tx: add_steps(tx, number_in(tx, flow), ["a#1@1"], "0" * 64))
    with pytest.raises(BlobNotFound, match="000"):
        store.read(lambda tx: SqlFlowStore(tx).list_steps(flow.id))


def test_two_prunes_at_once_share_the_work(store: Store) -> None:
    insert(store, *(aged(50, tags={"a": "1"}) for _ in range(300)))
    store.run(lambda tx: [burden(tx, num) for (num,) in tx.fetch("SELECT num FROM flows WHERE num <= 50")])
    totals: list[int] = []
    threads = [threading.Thread(target=lambda: totals.append(prune(store, DAY_SECONDS).flows)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(totals) == 300
    for table in (*BELONGINGS, "flow_remains", "flows", "blobs", "blob_holders"):
        assert store.read(lambda tx, table=table: tx.fetch(f"SELECT * FROM {table}")) == [], table


PLACE = {"at": 0, "num": 0, "limit": 10, "before": 9, "workflow_type": "a", "status": "failed"}
QUERIES: dict[str, tuple[dict[str, Any], list[Any] | None]] = {
    "expired": (PLACE, None),
    "count_expired": (PLACE, None),
    "superseded": (PLACE, None),
    "remains": (PLACE, None),
    "names_blob": ({"flow": 1, "blob": "x"}, None),
    "lock_expired": (PLACE, [(1,)]),
    "lock_superseded": ({}, [(1,)]),
    "drop_flows": ({}, [(1,)]),
    "drop_steps": ({}, [(1,)]),
    "drop_signals": ({}, [(1,)]),
    "cleared": ({}, [(1,)]),
    **{f"clear_{what}": (PLACE, [(1,)]) for what in ("steps", "events", "inbox", "tags", "waits", "progress")},
    "large_steps": (PLACE, [(1,)]),
}


@pytest.mark.parametrize("name", QUERIES)
def test_the_prune_goes_by_indexes(sqlite_url: str, name: str) -> None:
    params, rows = QUERIES[name]
    text = "EXPLAIN QUERY PLAN " + load_queries("holdfast.flows")[name].sqlite
    with open_store(sqlite_url) as store:
        plan = [row[3] for row in store.run(lambda tx: tx.fetch(text, params, rows=rows))]
    tables = ("flows", "steps", "inbox", "waits", "step_progress", *"fseit")
    walked = [line for line in plan if line.startswith("SCAN") and line.split()[1] in tables]
    assert not walked, plan
    assert not [line for line in plan if "TEMP B-TREE" in line], plan
