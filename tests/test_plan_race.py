"""PL-1, PL-5, PL-7: processes that apply competing plans, answers that are lost, appliers that are killed."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.audit import SqlAuditLog, verify_chain
from holdfast.gateway import SqlRoutingTable
from holdfast.plans import PlanRun, PlanStatus, SqlPlanStore, apply_plan, propose_plan
from holdfast.plans.apply import APPLIED
from holdfast.store import Store, Transaction, open_store
from holdfast.testing.crash.units import Operation, explore_operation
from tests import plan_racer
from tests.cutting_proxy import MANNERS
from tests.plan_racer import Partner, fault_of, labelled
from tests.test_lost_commits import Wire

durable = pytest.mark.parametrize("new_store_url", ["sqlite", "postgres"], indirect=True)
LONG = [pytest.mark.prove, pytest.mark.timeout(1800)]


def propose(store: Store, *labels: str) -> list[PlanRun]:
    """Plans of one base revision."""
    return store.run(lambda tx: [propose_plan(tx, labelled(label)) for label in labels])


def check(store: Store, winners: list[PlanRun]) -> None:
    """One audit row for each winner, in order; a sound chain; as many revisions; the last winner's routes live."""

    def look(tx: Transaction) -> None:
        assert verify_chain(tx).sound
        rows = SqlAuditLog(tx).list().items[::-1]
        assert [(row.act, row.subject) for row in rows] == [(APPLIED, str(plan.id)) for plan in winners]
        assert [row.detail["digest"] for row in rows] == [plan.digest for plan in winners]
        live = SqlRoutingTable(tx).current()
        assert live.revision == len(winners)
        assert fault_of(live) is None
        assert {route.id for route in live.routes} == {route.id for route in winners[-1].result.proposed_routes}
        applied = SqlPlanStore(tx).list(PlanStatus.APPLIED).items
        assert {plan.id for plan in applied} == {plan.id for plan in winners}
        assert all(
            before.detail["routes_after"] == after.detail["routes_before"] for before, after in itertools.pairwise(rows)
        )

    store.read(look)


@durable
@pytest.mark.parametrize("rounds", [15, pytest.param(500, marks=LONG)])
def test_one_of_two_competing_plans_is_applied(rounds: int, store_url: str) -> None:
    with (
        open_store(store_url) as store,
        Partner("racer", store_url) as first,
        Partner("racer", store_url) as second,
        Partner("watcher", store_url) as watcher,
    ):
        racers, winners, upsets = (first, second), [], 0
        for number in range(rounds):
            plans = propose(store, f"{number}a", f"{number}b")
            start = random.randrange(2)
            for place in (start, 1 - start):
                racers[place].tell(str(plans[place].id))
            answers = [racer.hear() for racer in racers]
            assert sorted(answers) == ["applied", "stale_plan"]
            place = answers.index("applied")
            upsets += place != start
            winners.append(plans[place])
        watcher.tell("stop")
        seen = watcher.hear()
        print(json.dumps({"case": "plans raced", "rounds": rounds, "told first and lost": upsets, "watched": seen}))
        assert seen["faults"] == []
        assert seen["looks"] > 0
        check(store, winners)


@durable
@pytest.mark.parametrize("rounds", [5, pytest.param(100, marks=LONG)])
def test_one_plan_applied_by_two_is_applied_once(rounds: int, store_url: str) -> None:
    with (
        open_store(store_url) as store,
        Partner("racer", store_url) as first,
        Partner("racer", store_url) as second,
    ):
        winners: list[PlanRun] = []
        for number in range(rounds):
            winners += propose(store, str(number))
            for racer in (first, second):
                racer.tell(str(winners[-1].id))
            assert sorted(racer.hear() for racer in (first, second)) == ["applied", "repeated"]
        check(store, winners)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """The path of a socket has about 100 characters."""
    folder = Path(tempfile.mkdtemp(prefix="hf-"))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("rounds", [30, pytest.param(500, marks=LONG)])
def test_an_answer_that_was_lost_is_found(rounds: int, postgres_url: str, short_folder: Path) -> None:
    """Connections are cut at the commit. Whether the store resolves that by its key or, where the unit is said to be
    idempotent, runs it again: the plan was applied once, and whoever asks again hears of it."""
    found = Counter[str]()
    with (
        open_store(postgres_url) as store,
        Wire(postgres_url, short_folder) as wire,
        open_store(wire.url) as client,
    ):
        winners: list[PlanRun] = []
        for number in range(rounds):
            winners += propose(store, str(number))
            work = applying(winners[-1])
            idempotent, manner = number % 2 == 1, MANNERS[number // 2 % len(MANNERS)]
            wire.armed = manner
            done = client.run(work, actor="ann", idempotent=idempotent)
            assert wire.armed is None, "the connection was not cut"
            found[f"{manner}: {'repeated' if done.repeated else 'applied'}"] += 1
            if manner != "raced":
                assert done.repeated is (idempotent and manner == "unheard")
            assert client.run(work, actor="bob") == replace(done, repeated=True)
            assert done.actor == "ann"
        print(json.dumps({"case": "commits of an apply cut", "rounds": rounds, "found": found}))
        check(store, winners)


def applying(plan: PlanRun) -> Callable[[Transaction], object]:
    return lambda tx: apply_plan(tx, plan.id)


@durable
@pytest.mark.parametrize("name", ["APPLY", "REVERT"])
def test_killed_at_every_write_point(name: str, new_store_url: Callable[[], str]) -> None:
    """PL-1, PL-5, PL-6, PL-9: all or nothing; asked again, it comes to one application and one audit row."""
    explore(getattr(plan_racer, name), new_store_url)


@durable
@pytest.mark.prove
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["APPLY", "REVERT"])
def test_really_killed_at_every_write_point(name: str, new_store_url: Callable[[], str]) -> None:
    explore(getattr(plan_racer, name), new_store_url, f"tests.plan_racer:{name}")


@pytest.mark.prove
def test_really_killed_on_a_file(tmp_path: Path) -> None:
    numbers = iter(range(1000))
    explore(plan_racer.APPLY, lambda: f"sqlite:///{tmp_path}/{next(numbers)}.db", "tests.plan_racer:APPLY")


def explore(operation: Operation, new_url: Callable[[], str], reference: str = "") -> None:
    visits = list(explore_operation(operation, new_url, reference=reference))
    assert [fault for visit in visits for fault in visit.faults] == []
    where = Counter(visit.where for visit in visits)
    assert where["before commit"] == where["after commit"] == 1
    assert where["statement"] >= 8
