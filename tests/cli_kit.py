"""Fixtures and helpers of the tests of the command line; ``conftest.py`` imports the fixtures."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast import Holdfast
from holdfast.cli.main import main
from holdfast.flows.errors import FlowFailed, FlowHalted
from tests.cli_workflows import WORKFLOWS, fail, greet, halt, hold

Run = Callable[..., "Ran"]
HERE = Path(__file__).parent
"""Where ``holdfast worker`` finds the module ``cli_workflows``."""


class Ran:
    """How one command ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, str]:
        return json.loads(self.err)["error"]  # type: ignore[no-any-return]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """A store that other processes can open, not made yet."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in this process, on no store but the one it names."""
    monkeypatch.delenv("HOLDFAST_URL", raising=False)

    def execute(*args: str) -> Ran:
        capsys.readouterr()
        code = main(args)
        told = capsys.readouterr()
        return Ran(code, told.out, told.err)

    return execute


class Samples:
    """One flow of each kind: finished, failed, halted, and one that nobody ever claimed."""

    def __init__(self, url: str, folder: Path) -> None:
        self.broken = folder / "broken"
        self.broken.touch()
        with Holdfast(url, workflows=WORKFLOWS) as hf:
            done = hf.start(greet, "bob", owner="ann", goal="say it", key="k1")
            bad = hf.start(fail, "[bold]no\x1b[31m", owner="ann")
            stuck = hf.start(halt, str(self.broken), owner="eve")
            done.result(timeout=30)
            with pytest.raises(FlowFailed):
                bad.result(timeout=30)
            with pytest.raises(FlowHalted):
                stuck.result(timeout=30)
        with Holdfast(url, worker=False) as hf:
            waiting = hf.start(hold, str(folder / "gate"), owner="ann")
        self.done, self.bad, self.stuck, self.waiting = (str(h.id) for h in (done, bad, stuck, waiting))


@pytest.fixture
def samples(url: str, tmp_path: Path) -> Samples:
    return Samples(url, tmp_path)


@pytest.fixture
def samples_on_sqlite(sqlite_url: str, tmp_path: Path) -> Samples:
    return Samples(sqlite_url, tmp_path)


@contextmanager
def serving(url: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A real ``holdfast worker`` that has said that it serves."""
    command = [sys.executable, "-m", "holdfast", "worker", "cli_workflows:hf", "--store", url, *options]
    process = subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        process.first_line = process.stdout.readline()  # type: ignore[attr-defined]
        yield process
    finally:
        process.kill()
        process.communicate()


def until(true: Callable[[], Any]) -> None:
    """Wait for something that another process does; the test's own time-out is the limit."""
    while not true():
        time.sleep(0.02)
