"""FL-10: a run killed at any of its write points comes to the same end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.testing.crash import Scenario, explore
from tests import crash_workflows as flows

SCENARIOS = {
    name: Scenario(getattr(flows, name), f"tests.crash_workflows:{name}")
    for name in ("sequential", "concurrent", "failing")
}


def check(scenario: Scenario, new_url: Callable[[], str], folder: Path, *, processes: bool) -> None:
    visits = list(explore(scenario, new_url, folder, processes=processes))
    assert {visit.where for visit in visits} == {"before commit", "after commit"}
    assert any(visit.recorded for visit in visits)
    faults = [(visit.point, visit.where, fault) for visit in visits for fault in visit.faults]
    assert faults == []


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_write_point(name: str, durable_urls: Callable[[], str], tmp_path: Path) -> None:
    check(SCENARIOS[name], durable_urls, tmp_path, processes=False)


def test_every_write_point_with_real_kills(tmp_path: Path) -> None:
    numbers = iter(range(10_000))
    check(SCENARIOS["failing"], lambda: f"sqlite:///{tmp_path}/{next(numbers)}.db", tmp_path, processes=True)


@pytest.mark.prove
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("name", SCENARIOS)
def test_every_write_point_of_all_with_real_kills(name: str, durable_urls: Callable[[], str], tmp_path: Path) -> None:
    check(SCENARIOS[name], durable_urls, tmp_path, processes=True)
