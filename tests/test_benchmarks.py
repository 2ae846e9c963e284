"""The benchmarks' lines: their shape and their arithmetic, not their speed."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.command import Bench, Case
from benchmarks.engine import CASES as ENGINE_CASES
from benchmarks.environments import Workspace
from benchmarks.packages import CASES as PACKAGE_CASES
from benchmarks.report import Figures

ROOT = Path(__file__).resolve().parents[1]
CASES = ["sqlite-1", "bare-vs-executemany"]
KEYS = {"case", "unit", "ours", "bare", "peers", "lower_is_better", "target", "durability", "ratios", "met", "notes"}


@pytest.fixture(scope="module")
def quick_run(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """Two cases of a machine on which no peer has an environment."""
    command = [sys.executable, "-m", "benchmarks.flows", "--json", "--quick"]
    for case in CASES:
        command += ["--case", case]
    environment = os.environ | {"HOLDFAST_BENCH_ENVS": str(tmp_path_factory.mktemp("no-environments"))}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)


@pytest.fixture(scope="module")
def lines(quick_run: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in quick_run.stdout.splitlines()]


def test_a_line_for_each_case_in_one_shape(lines: list[dict[str, Any]]) -> None:
    assert [line["case"] for line in lines] == CASES
    for line in lines:
        assert set(line) == KEYS
        assert line["ours"] > 0
        assert line["bare"] > 0
        assert line["lower_is_better"] is False
        assert "synchronous=FULL" in line["durability"]
        assert math.isclose(line["ratios"]["bare"], line["ours"] / line["bare"], rel_tol=0.01)
        assert set(line["ratios"]) == {"bare", *line["peers"]}
        assert set(line["target"]) <= set(line["ratios"])


def test_a_missing_peer_is_null_with_a_note(
    lines: list[dict[str, Any]], quick_run: subprocess.CompletedProcess[str]
) -> None:
    by_case = {line["case"]: line for line in lines}
    assert by_case["sqlite-1"]["peers"] == {"dbos": None, "langgraph": None}
    assert by_case["sqlite-1"]["target"] == {"bare": 0.6, "dbos": 10}
    assert by_case["sqlite-1"]["ratios"]["dbos"] is None
    assert by_case["sqlite-1"]["met"] is not True
    assert by_case["bare-vs-executemany"]["peers"] == {}
    for peer in ("dbos", "langgraph"):
        assert f"{peer} is left out" in quick_run.stderr


def test_progress_on_stderr(quick_run: subprocess.CompletedProcess[str]) -> None:
    for case in CASES:
        assert f"{case}:" in quick_run.stderr


@pytest.mark.parametrize(
    ("ours", "bare", "peer", "lower_is_better", "limit", "met"),
    [
        (60, 100, 5, False, None, True),
        (40, 100, 5, False, None, False),
        (60, 100, 7, False, None, False),
        (60, 100, None, False, None, None),
        (40, 100, None, False, None, False),
        (5, 10, 0.5, True, None, True),
        (6, 10, 5, True, None, False),
        (5, 10, 0.5, True, 5, True),
        (5, 10, 0.5, True, 4, False),
    ],
)
def test_targets_are_judged_by_ratio(
    ours: float, bare: float, peer: float | None, lower_is_better: bool, limit: float | None, met: bool | None
) -> None:
    target = {"bare": 0.5, "peer": 10.0}
    figures = Figures("case", "unit", ours, bare, {"peer": peer}, lower_is_better, target, "none", limit)
    assert figures.met is met
    assert json.loads(figures.line())["met"] is met


def test_without_a_target_nothing_is_judged() -> None:
    figures = Figures("case", "unit", 3.0, None, {"peer": 0.0}, True, {}, "none")
    assert figures.met is None
    assert figures.ratios == {"bare": None, "peer": None}


class Tiny(Bench):
    """A run of the smallest size."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace, quick=True)

    def size(self, full: int) -> int:
        return 20


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Tiny]:
    monkeypatch.setenv("HOLDFAST_BENCH_ENVS", str(tmp_path / "no environments"))
    with Workspace() as workspace:
        yield Tiny(workspace)


ON_SQLITE = [*ENGINE_CASES, *(case for case in PACKAGE_CASES if case.name.endswith("sqlite"))]


@pytest.mark.parametrize("case", ON_SQLITE, ids=lambda case: case.name)
def test_the_engines_cases_check_what_they_measure(case: Case, tiny: Tiny) -> None:
    line = json.loads(case.run(tiny).line())
    assert set(line) > KEYS
    assert line["case"] == case.name
    assert line["ours"] > 0
    assert "synchronous=FULL" in line["durability"]
    assert all(figure is None for figure in line["peers"].values())
    assert set(line["target"]) <= set(line["ratios"])
    assert line["target"] or "limit" in line or case.name == "events"


def test_the_engines_cases_have_names_of_their_own() -> None:
    names = [case.name for case in ENGINE_CASES]
    assert len(set(names)) == len(names)
