"""FL-10: a run killed at any of its write points comes to the same end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.flows.engine import claims
from holdfast.flows.engine.port import Claimed
from holdfast.flows.errors import DuplicateStep
from holdfast.store import Transaction
from holdfast.testing.crash.flows import Scenario, explore
from tests import crash_workflows as flows

SCENARIOS = {
    name: Scenario(getattr(flows, name), f"tests.crash_workflows:{name}")
    for name in ("sequential", "concurrent", "failing")
}
WAITING = {
    "waiting": Scenario(flows.waiting, "tests.crash_workflows:waiting", park_after=0),
    "parenting": Scenario(
        flows.parenting, "tests.crash_workflows:parenting", children=(flows.offspring, flows.stray), park_after=0
    ),
    "renewing": Scenario(flows.renewing, "tests.crash_workflows:renewing", park_after=0),
}
ALL = SCENARIOS | WAITING

durable = pytest.mark.parametrize("new_store_url", ["sqlite", "postgres"], indirect=True)


def check(scenario: Scenario, new_url: Callable[[], str], folder: Path, *, processes: bool) -> None:
    visits = list(explore(scenario, new_url, folder, processes=processes))
    assert {visit.where for visit in visits} == {"before commit", "after commit"}
    assert any(visit.recorded for visit in visits)
    faults = [(visit.point, visit.where, fault) for visit in visits for fault in visit.faults]
    assert faults == []


@durable
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_write_point(name: str, new_store_url: Callable[[], str], tmp_path: Path) -> None:
    check(SCENARIOS[name], new_store_url, tmp_path, processes=False)


@pytest.mark.parametrize("new_store_url", ["sqlite"], indirect=True)  # on PostgreSQL with real kills, by `make prove`
@pytest.mark.parametrize("name", WAITING)
def test_every_write_point_of_flows_that_wait(name: str, new_store_url: Callable[[], str], tmp_path: Path) -> None:
    check(WAITING[name], new_store_url, tmp_path, processes=False)


def test_every_write_point_with_real_kills(tmp_path: Path) -> None:
    numbers = iter(range(10_000))
    check(SCENARIOS["failing"], lambda: f"sqlite:///{tmp_path}/{next(numbers)}.db", tmp_path, processes=True)


@pytest.mark.prove
@pytest.mark.timeout(3000)
@durable
@pytest.mark.parametrize("name", ALL)
def test_every_write_point_of_all_with_real_kills(name: str, new_store_url: Callable[[], str], tmp_path: Path) -> None:
    check(ALL[name], new_store_url, tmp_path, processes=True)


def test_a_rehearsed_kill_makes_no_noise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """The dying and their heirs complain of nothing; afterwards the log is as loud as it was."""
    log, numbers = logging.getLogger("holdfast"), iter(range(10_000))
    caplog.set_level(logging.INFO, "holdfast")
    for _ in explore(SCENARIOS["sequential"], lambda: f"sqlite:///{tmp_path}/{next(numbers)}.db", tmp_path):
        assert log.level == logging.INFO
    assert log.level == logging.INFO
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert capfd.readouterr().err == ""


def test_the_explorer_finds_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that forgets the last record of a history is caught."""
    remembered = claims._with_past

    def forgetful(tx: Transaction, claimed: list[Claimed]) -> list[Claimed]:
        return [flow._replace(history=list(flow.history)[:-1]) for flow in remembered(tx, claimed)]

    numbers = iter(range(10_000))
    monkeypatch.setattr(claims, "_with_past", forgetful)
    with pytest.raises((AssertionError, DuplicateStep)):
        check(SCENARIOS["sequential"], lambda: f"sqlite:///{tmp_path}/{next(numbers)}.db", tmp_path, processes=False)
