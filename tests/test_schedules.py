"""Schedules at the level of transactions: policies, verbs, and ticks of several workers."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest

from holdfast.audit import SqlAuditLog
from holdfast.errors import HoldfastError, InvalidInput
from holdfast.flows import FlowStatus, SqlFlowStore
from holdfast.flows.queues import manager as queues
from holdfast.flows.queues.errors import QueueNotFound
from holdfast.flows.queues.model import Queue
from holdfast.flows.schedules import CatchUp, Overlap, manager, tick
from holdfast.flows.schedules.errors import (
    InvalidInterval,
    InvalidSchedule,
    MalformedCron,
    PreviousRunning,
    ScheduleNotFound,
    UnknownZone,
)
from holdfast.flows.schedules.ticking import MAX_STARTS
from holdfast.store import Store, Transaction, load_queries, open_store
from tests.schedule_kit import HOURLY, START, Desk, flows

HOUR = timedelta(hours=1)


@pytest.fixture
def desk(store_url: str) -> Iterator[Desk]:
    made = Desk(store_url)
    yield made
    made.store.close()


@pytest.fixture
def sqlite_desk(sqlite_url: str) -> Iterator[Desk]:
    made = Desk(sqlite_url)
    yield made
    made.store.close()


def test_an_occurrence_starts_a_flow_once(desk: Desk) -> None:
    desk.create(args='{"b": 1, "a": [2]}', tags={"team": "ops"})
    assert desk.next_due() == desk.clock.micros() + HOUR // timedelta(microseconds=1)
    assert desk.tick() == 0
    desk.at("01:00")
    assert desk.tick() == 1
    assert desk.store.run(lambda tx: tick(tx, ["report"])) == 0
    assert desk.occurrences() == ["schedule:hourly:2030-01-01T01:00:00Z"]
    schedule = desk.get()
    assert (schedule.last_at, schedule.next_at) == (START + HOUR, START + 2 * HOUR)
    flow = desk.store.read(lambda tx: SqlFlowStore(tx).get(schedule.last_flow))
    assert flow is not None
    assert (flow.workflow_type, flow.args, flow.status) == ("report", '{"a":[2],"b":1}', FlowStatus.CREATED)
    tags = desk.store.read(lambda tx: tx.fetch("SELECT name, value FROM flow_tags ORDER BY name"))
    assert [tuple(row) for row in tags] == [("schedule", "hourly"), ("team", "ops")]


def test_only_served_workflows_are_started(desk: Desk) -> None:
    desk.create()
    desk.at("01:00")
    assert desk.next_due(["other"]) is None
    assert desk.next_due([]) is None
    assert desk.tick(["other"]) == desk.tick([]) == 0
    assert desk.store.run(lambda tx: tick(tx, ["other"])) == 0
    assert desk.tick(["other", "report"]) == 1


def test_an_interval_does_not_drift(desk: Desk) -> None:
    desk.create(cron=None, every=timedelta(minutes=7), overlap=Overlap.ALLOW)
    for moment in ("00:07:03", "00:14:50", "00:21:00"):
        desk.at(moment)
        desk.tick()
    assert desk.started() == ["00:07:00", "00:14:00", "00:21:00"]


DUE = {"all": ["02", "03", "04", "05", "06"], "one": ["05", "06"], "none": ["06"]}
"""After the run of 01:00 nobody was there until 06:00:30; 06:00 itself is on time."""


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("catch_up", CatchUp)
@pytest.mark.parametrize("overlap", Overlap)
def test_every_policy(desk: Desk, overlap: Overlap, catch_up: CatchUp, live: bool) -> None:
    desk.create(overlap=overlap, catch_up=catch_up)
    desk.at("01:00")
    desk.tick()
    if not live:
        desk.end_all()
    desk.at("06:00:30")
    due = [f"{hour}:00:00" for hour in DUE[catch_up]]
    run = {
        Overlap.ALLOW: due,
        Overlap.SKIP: [] if live else due[:1],
        Overlap.BUFFER_ONE: [] if live else due[:1],
        Overlap.CANCEL_PREVIOUS: due[-1:],
    }[overlap]
    assert desk.tick() == len(run)
    assert desk.started() == ["01:00:00", *run]
    assert desk.get().next_at == START + 7 * HOUR
    previous = "cancelled" if live and overlap is Overlap.CANCEL_PREVIOUS else "created" if live else "finished"
    assert desk.status()["01:00:00"] == previous
    buffered = due[:1] if live else due[1:2]
    if overlap is Overlap.BUFFER_ONE:
        assert desk.get().buffered_at == (START.replace(hour=int(buffered[0][:2])) if buffered else None)
        assert desk.tick() == 0
        desk.end_all()
        assert desk.next_due() == (desk.clock.micros() if buffered else START.timestamp() * 1e6 + 7 * 3.6e9)
        assert desk.tick() == len(buffered)
        assert desk.started() == ["01:00:00", *run, *buffered]
    assert desk.get().buffered_at is None
    desk.end_all()
    assert desk.tick() == 0


def test_at_most_one_is_buffered(desk: Desk) -> None:
    desk.create(overlap=Overlap.BUFFER_ONE)
    for hour in range(1, 5):
        desk.at(f"0{hour}:00")
        desk.tick()
    assert desk.started() == ["01:00:00"]
    assert desk.get().buffered_at == START + 2 * HOUR
    desk.end_all()
    desk.at("05:00")
    assert desk.tick() == 1
    assert desk.started() == ["01:00:00", "02:00:00"]
    assert desk.get().buffered_at == START + 5 * HOUR


def test_a_running_previous_is_asked_to_end(desk: Desk) -> None:
    desk.create(overlap=Overlap.CANCEL_PREVIOUS)
    desk.at("01:00")
    desk.tick()
    desk.store.run(lambda tx: tx.execute("UPDATE flows SET status = 'running', due_at = NULL, epoch = 7"))
    desk.at("02:00")
    assert desk.tick() == 1
    assert desk.status() == {"01:00:00": "cancelling", "02:00:00": "created"}


def test_a_pruned_previous_has_ended(desk: Desk) -> None:
    desk.create()
    desk.at("01:00")
    desk.tick()
    desk.store.run(lambda tx: tx.execute("DELETE FROM flows"))
    desk.at("02:00")
    assert desk.tick() == 1


def test_catching_up_goes_on_in_the_next_tick(sqlite_desk: Desk) -> None:
    desk = sqlite_desk
    desk.create(cron="* * * * *", overlap=Overlap.ALLOW, catch_up=CatchUp.ALL)
    desk.create(name="other", overlap=Overlap.ALLOW, catch_up=CatchUp.ALL)
    desk.clock.advance(timedelta(minutes=MAX_STARTS + 100))
    assert desk.store.run(lambda tx: tick(tx, ["report"])) <= MAX_STARTS + 10
    assert desk.next_due() < desk.clock.micros()  # type: ignore[operator]
    desk.tick()
    minutely = [key for key in desk.occurrences() if "hourly" in key]
    assert minutely == sorted(minutely)
    assert len(minutely) == MAX_STARTS + 100
    assert len(desk.occurrences()) - len(minutely) == (MAX_STARTS + 100) // 60


@pytest.mark.parametrize("catch_up", [CatchUp.ONE, CatchUp.NONE])
def test_a_year_of_missed_seconds_costs_nothing(sqlite_desk: Desk, catch_up: CatchUp) -> None:
    desk = sqlite_desk
    desk.create(cron=None, every=timedelta(seconds=1), overlap=Overlap.ALLOW, catch_up=catch_up)
    desk.clock.advance(timedelta(days=365))
    assert desk.tick() == 61 + (catch_up is CatchUp.ONE)


@pytest.mark.parametrize(
    ("overlap", "started"),
    [(Overlap.SKIP, [1]), (Overlap.BUFFER_ONE, [1, 2]), (Overlap.CANCEL_PREVIOUS, [5000])],
)
def test_of_thousands_that_overlap_one_tick_disposes(sqlite_desk: Desk, overlap: Overlap, started: list[int]) -> None:
    desk = sqlite_desk
    desk.create(cron=None, every=timedelta(seconds=1), overlap=overlap, catch_up=CatchUp.ALL)
    desk.clock.advance(timedelta(seconds=5000))
    assert desk.store.run(lambda tx: tick(tx, ["report"])) == 1
    assert desk.get().next_at == START + timedelta(seconds=5001)
    desk.end_all()
    desk.tick()
    wanted = [f"schedule:hourly:{START + timedelta(seconds=number):%Y-%m-%dT%H:%M:%SZ}" for number in started]
    assert desk.occurrences() == wanted


def test_ticks_by_two_workers_start_each_occurrence_once(postgres_url: str) -> None:
    desk = Desk(postgres_url)
    other = open_store(postgres_url, clock=desk.clock)
    for number in range(30):
        desk.create(name=f"s{number:02}", cron="* * * * *", overlap=Overlap.ALLOW, catch_up=CatchUp.ALL)
    counts: Counter[int] = Counter()
    stop = threading.Event()

    def work(place: int) -> None:
        store = (desk.store, other)[place]
        while not stop.is_set():
            counts[place] += store.run(lambda tx: tick(tx, ["report"]))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(40):
        desk.clock.advance(60)
        threading.Event().wait(0.01)
    while (due := desk.next_due()) is not None and due <= desk.clock.micros():
        threading.Event().wait(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    keys = desk.occurrences()
    assert len(keys) == len(set(keys)) == 30 * 40 == sum(counts.values())
    assert {desk.get(f"s{number:02}").last_at for number in range(30)} == {START + timedelta(minutes=40)}
    other.close()
    desk.store.close()


def test_the_same_definition_again_changes_nothing(desk: Desk) -> None:
    desk.create(args='{"a":1,"b":2}', cron="0  *  * * *")
    before = desk.get()
    desk.at("00:30")
    desk.create(args='{"b": 2, "a": 1}')
    assert desk.get() == before
    assert acts(desk) == ["schedule.created"]


def test_other_arguments_leave_the_time_alone(desk: Desk) -> None:
    """Edited while an occurrence is due: it starts, as it is now."""
    desk.create()
    desk.at("01:00:10")
    desk.create(args='{"new":true}', overlap=Overlap.ALLOW)
    assert desk.tick() == 1
    assert desk.started() == ["01:00:00"]
    flow = desk.store.read(lambda tx: SqlFlowStore(tx).list_all().items[0])
    assert flow.args == '{"new":true}'
    assert desk.get().revision == 1
    assert acts(desk) == ["schedule.created", "schedule.updated"]


def test_another_time_counts_from_now(desk: Desk) -> None:
    desk.create()
    desk.at("01:00:10")
    desk.create(cron="30 * * * *")
    assert desk.tick() == 0
    assert desk.get().next_at == START + 1.5 * HOUR
    desk.at("01:30")
    assert desk.tick() == 1
    desk.create(cron=None, every=HOUR)
    assert (desk.get().next_at, desk.get().last_at) == (START + 2.5 * HOUR, START + 1.5 * HOUR)


def test_another_overlap_policy_forgets_what_was_buffered(desk: Desk) -> None:
    desk.create(overlap=Overlap.BUFFER_ONE)
    for moment in ("01:00", "02:00"):
        desk.at(moment)
        desk.tick()
    assert desk.get().buffered_at
    desk.create(overlap=Overlap.SKIP)
    assert desk.get().buffered_at is None


@pytest.mark.parametrize(("catch_up", "due"), [("all", ["02", "03"]), ("one", ["03"]), ("none", [])])
def test_what_came_during_a_pause_was_missed(desk: Desk, catch_up: str, due: list[str]) -> None:
    desk.create(overlap=Overlap.ALLOW, catch_up=CatchUp(catch_up))
    desk.at("01:00")
    desk.tick()
    desk.store.run(lambda tx: manager.pause(tx, "hourly"))
    desk.store.run(lambda tx: manager.pause(tx, "hourly"))
    desk.at("03:30")
    assert desk.next_due() is None
    assert desk.tick() == 0
    assert desk.get().paused
    desk.create(overlap=Overlap.ALLOW, catch_up=CatchUp(catch_up))
    assert desk.get().paused, "made again by a program that starts, it stays paused"
    desk.store.run(lambda tx: manager.resume(tx, "hourly"))
    desk.store.run(lambda tx: manager.resume(tx, "hourly"))
    desk.tick()
    assert desk.started() == ["01:00:00", *(f"{hour}:00:00" for hour in due)]
    assert desk.get().next_at == START + 4 * HOUR
    assert acts(desk) == ["schedule.created", "schedule.paused", "schedule.resumed"]


def test_what_is_buffered_waits_for_the_resume(desk: Desk) -> None:
    desk.create(overlap=Overlap.BUFFER_ONE)
    for moment in ("01:00", "02:00"):
        desk.at(moment)
        desk.tick()
    desk.store.run(lambda tx: manager.pause(tx, "hourly"))
    desk.end_all()
    assert desk.next_due() is None
    assert desk.store.run(lambda tx: tick(tx, ["report"])) == 0
    desk.store.run(lambda tx: manager.resume(tx, "hourly"))
    assert desk.tick() == 1


def test_removing(desk: Desk) -> None:
    desk.create()
    desk.at("01:00")
    desk.tick()
    desk.at("02:00")
    desk.store.run(lambda tx: manager.remove(tx, "hourly"), actor="ann")
    assert desk.next_due() is None
    assert desk.tick() == 0
    assert desk.status() == {"01:00:00": "created"}
    assert acts(desk) == ["schedule.created", "schedule.removed"]
    desk.create()
    assert desk.get().last_flow is None


@pytest.mark.parametrize("verb", [manager.remove, manager.pause, manager.resume, manager.trigger, manager.get])
@pytest.mark.parametrize("name", ["nobody", "", "a\0b", "\ud800", "x" * 1000])
def test_what_is_not_there(sqlite_desk: Desk, verb: Any, name: str) -> None:
    with pytest.raises(ScheduleNotFound):
        sqlite_desk.store.run(lambda tx: verb(tx, name))


def test_by_hand(desk: Desk) -> None:
    desk.create(overlap=Overlap.ALLOW)
    desk.at("00:10:05")
    first = desk.store.run(lambda tx: manager.trigger(tx, "hourly"))
    again = desk.store.run(lambda tx: manager.trigger(tx, "hourly"))
    assert first == again
    assert isinstance(first, UUID)
    assert desk.occurrences() == ["schedule:hourly:by-hand:2030-01-01T00:10:05Z"]
    assert desk.get().next_at == START + HOUR
    desk.at("00:11")
    assert desk.store.run(lambda tx: manager.trigger(tx, "hourly")) != first
    assert acts(desk) == ["schedule.created", "schedule.triggered", "schedule.triggered"]


def test_by_hand_the_overlap_policy_holds(desk: Desk) -> None:
    desk.create()
    first = desk.store.run(lambda tx: manager.trigger(tx, "hourly"))
    with pytest.raises(PreviousRunning, match=str(first)):
        desk.store.run(lambda tx: manager.trigger(tx, "hourly"))
    desk.at("01:00")
    assert desk.tick() == 0
    desk.create(overlap=Overlap.BUFFER_ONE)
    assert desk.store.run(lambda tx: manager.trigger(tx, "hourly")) is None
    assert desk.store.run(lambda tx: manager.trigger(tx, "hourly")) is None
    assert acts(desk)[-2:] == ["schedule.updated", "schedule.triggered"]
    desk.end_all()
    assert desk.tick() == 1
    desk.create(overlap=Overlap.CANCEL_PREVIOUS)
    assert desk.store.run(lambda tx: manager.trigger(tx, "hourly"))
    assert [status for _, status in desk.store.read(flows)] == ["finished", "cancelled", "created"]


def test_lists_and_what_comes_next(desk: Desk) -> None:
    for name in ("b", "a", "ä", "c"):
        desk.create(name=name)
    page = desk.store.read(lambda tx: manager.list_schedules(tx, limit=3))
    assert [made.name for made in page.items] == ["a", "b", "c"]
    rest = desk.store.read(lambda tx: manager.list_schedules(tx, limit=3, after=page.next))
    assert ([made.name for made in rest.items], rest.next) == (["ä"], None)
    assert desk.store.read(lambda tx: manager.upcoming(tx, "a", 3)) == [START + n * HOUR for n in (1, 2, 3)]
    assert desk.store.read(lambda tx: manager.upcoming(tx, "a", 0)) == []
    for bad in (lambda tx: manager.upcoming(tx, "a", -1), lambda tx: manager.list_schedules(tx, after="")):
        with pytest.raises(ValueError):
            desk.store.read(bad)


def test_a_zone_that_this_machine_lacks_holds_up_no_other(sqlite_desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk = sqlite_desk
    desk.create()
    desk.create(name="lost")
    desk.store.run(lambda tx: tx.execute("UPDATE schedules SET zone = 'Mars/Olympus' WHERE name = 'lost'"))
    desk.at("01:00")
    assert desk.tick() == 1
    assert "Mars/Olympus" in caplog.text
    assert desk.next_due() == desk.clock.micros() + 60_000_000


def test_a_queue_that_is_gone_holds_up_no_other(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.store.run(lambda tx: queues.declare(tx, [Queue("bulk")]))
    desk.create(queue="bulk", overlap=Overlap.CANCEL_PREVIOUS)
    desk.create(name="other")
    desk.at("01:00")
    assert desk.tick() == 2
    desk.end_all()
    desk.store.run(lambda tx: tx.execute("DELETE FROM queues"))
    desk.at("02:00")
    assert desk.tick() == 1
    assert "bulk" in caplog.text
    with pytest.raises(QueueNotFound):
        desk.store.run(lambda tx: manager.trigger(tx, "hourly"))


BAD: list[tuple[dict[str, Any], type[HoldfastError]]] = [
    ({"name": ""}, InvalidSchedule),
    ({"name": "x" * 201}, InvalidSchedule),
    ({"name": "a\nb"}, InvalidSchedule),
    ({"name": "\ud800"}, InvalidSchedule),
    ({"name": None}, InvalidSchedule),
    ({"workflow_type": ""}, InvalidSchedule),
    ({"cron": None}, InvalidSchedule),
    ({"every": timedelta(hours=1)}, InvalidSchedule),
    ({"cron": "0 * * *"}, MalformedCron),
    ({"cron": "0 0 30 2 *"}, MalformedCron),
    ({"zone": "Europe/Berln"}, UnknownZone),
    ({"cron": None, "every": timedelta(0)}, InvalidInterval),
    ({"cron": None, "every": timedelta(days=-1)}, InvalidInterval),
    ({"cron": None, "every": timedelta.max}, InvalidInterval),
    ({"args": "[1]"}, InvalidSchedule),
    ({"args": "nonsense"}, InvalidSchedule),
    ({"overlap": "skp"}, InvalidSchedule),
    ({"catch_up": "some"}, InvalidSchedule),
    ({"queue": ""}, InvalidInput),
    ({"queue": "nowhere"}, QueueNotFound),
    ({"tags": {"": "x"}}, InvalidInput),
    ({"tags": {"schedule": "mine"}}, InvalidSchedule),
]


@pytest.mark.parametrize(("changes", "error"), BAD)
def test_bad_definitions(sqlite_desk: Desk, changes: dict[str, Any], error: type[HoldfastError]) -> None:
    sqlite_desk.create()
    with pytest.raises(error) as caught:
        sqlite_desk.store.run(lambda tx: manager.create(tx, replace(HOURLY, **changes)))
    assert caught.value.remedy
    assert len(sqlite_desk.store.read(manager.list_schedules).items) == 1
    assert acts(sqlite_desk) == ["schedule.created"]


PLANNED: dict[str, tuple[dict[str, Any], list[tuple[Any, ...]] | None]] = {
    "take_due": ({"now": 0, "limit": 10}, [("a",), ("b",)]),
    "take_ready": ({"limit": 10}, [("a",), ("b",)]),
    "next_due": ({}, [("a",), ("b",)]),
    "live": ({}, [("00000000-0000-0000-0000-000000000000",)]),
    "move": ({}, [("a", 1, 1, None, None)]),
    "get": ({"name": "a"}, None),
    "list": ({"name": "a", "limit": 10}, None),
}


@pytest.mark.parametrize("query", PLANNED)
def test_everything_is_found_by_an_index(sqlite_desk: Desk, query: str) -> None:
    params, rows = PLANNED[query]
    text = "EXPLAIN QUERY PLAN " + load_queries("holdfast.flows.schedules")[query].sqlite
    plan = [row[3] for row in sqlite_desk.store.read(lambda tx: tx.fetch(text, params, rows=rows))]
    assert [line for line in plan if "INDEX" in line or "PRIMARY KEY" in line], plan
    assert not [line for line in plan if line.startswith(("SCAN s ", "SCAN f", "SCAN schedules"))], plan
    assert "SCAN s" not in plan


@pytest.mark.parametrize("query", ["take_due", "take_ready", "next_due", "live", "get", "list"])
def test_everything_is_found_by_an_index_of_postgres(postgres_url: str, query: str) -> None:
    desk = Desk(postgres_url)
    many(desk)
    desk.store.run(lambda tx: tx.execute("ANALYZE schedules"))
    params, rows = PLANNED[query]
    text = "EXPLAIN " + load_queries("holdfast.flows.schedules")[query].postgres
    plan = [row[0] for row in desk.store.run(lambda tx: tx.fetch(text, params, rows=rows))]
    assert not [line for line in plan if "Seq Scan on schedules" in line], plan
    desk.store.close()


def many(desk: Desk) -> None:
    """10,000 schedules, of which one comes soon."""
    desk.create(cron="0 0 1 6 *")
    columns = (
        "workflow_type, args, args_digest, cron, zone, overlap, catch_up, paused, anchor_at, next_at, revision, "
        "created_at, updated_at"
    )
    desk.store.run(
        lambda tx: tx.execute(
            f"WITH r AS (@rows(name text)) INSERT INTO schedules (name, {columns}) "
            f"SELECT r.name, {columns} FROM r, (SELECT {columns} FROM schedules WHERE schedules.name = 'hourly') AS s",
            rows=[(f"s{number}",) for number in range(10_000)],
        )
    )
    desk.create(name="soon")


def test_one_due_of_ten_thousand(desk: Desk) -> None:
    many(desk)
    desk.at("01:00")
    assert desk.tick() == 1
    assert desk.get("soon").last_at == START + HOUR


def test_two_make_one_schedule(postgres_url: str) -> None:
    """Whoever comes second sees the first; nobody gets a driver's error."""
    desk = Desk(postgres_url)
    other = open_store(postgres_url, clock=desk.clock)

    def make(store: Store, minute: int) -> None:
        for number in range(20):
            definition = replace(HOURLY, name=f"s{number}", cron=f"{minute} * * * *")
            store.run(lambda tx: manager.create(tx, definition))  # noqa: B023

    threads = [threading.Thread(target=make, args=(store, n)) for n, store in enumerate((desk.store, other))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(acts(desk)) == {"schedule.created": 20, "schedule.updated": 20}
    other.close()
    desk.store.close()


def test_a_previous_that_changes_meanwhile_is_cancelled_all_the_same(postgres_url: str) -> None:
    desk = Desk(postgres_url)
    other = open_store(postgres_url, clock=desk.clock)
    desk.create(overlap=Overlap.CANCEL_PREVIOUS)
    desk.at("01:00")
    desk.tick()
    desk.at("02:00")

    class Meddler:
        """Somebody else parks the flow between our reading and our writing."""

        def __init__(self, tx: Transaction) -> None:
            self.tx, self.met = tx, False

        def __getattr__(self, name: str) -> Any:
            return getattr(self.tx, name)

        def execute(self, query: Any, params: Any = MappingProxyType({}), *, rows: Any = None) -> int:
            if getattr(query, "name", "") == "update_flow" and not self.met:
                self.met = True
                other.run(lambda tx: tx.execute("UPDATE flows SET revision = revision + 1, status = 'waiting'"))
            return self.tx.execute(query, params, rows=rows)

    assert desk.store.run(lambda tx: tick(Meddler(tx), ["report"])) == 1
    assert desk.status() == {"01:00:00": "cancelling", "02:00:00": "created"}
    other.close()
    desk.store.close()


def acts(desk: Desk) -> list[str]:
    return [row.act for row in reversed(desk.store.read(lambda tx: SqlAuditLog(tx).list().items))]
