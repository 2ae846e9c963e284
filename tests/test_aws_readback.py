"""After snapshot, reset and restore in another process, and after opening it there, every read of a world gives the
same answer as before, ids, timestamps, versions and in-flight state included (WO-1, WO-2, WO-12)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.aws_readback_kit import SERVICES


def run(what: str, url: str, path: Path, clients: str) -> dict[str, Any]:
    """What another process writes to ``path``."""
    command = [sys.executable, "-m", "tests.aws_readback_kit", what, url, str(path)]
    environment = os.environ | ({"READ_BY_CLI": "1"} if clients == "cli" else {})
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads(path.read_text())
    return told


CLI = pytest.param("cli", marks=[pytest.mark.prove, pytest.mark.timeout(300)])


@pytest.mark.parametrize("clients", ["boto3", CLI])
@pytest.mark.parametrize("new_store_url", ["sqlite", pytest.param("postgres", marks=pytest.mark.prove)], indirect=True)
def test_every_read_answers_as_before_in_another_process(
    new_store_url: Callable[[], str], tmp_path: Path, clients: str
) -> None:
    url, path = new_store_url(), tmp_path / "answers.json"
    before = run("fill", url, path, clients)["made"]
    assert before.keys() >= SERVICES.keys()
    found = run("read", url, path, clients)
    for when in ("opened", "restored", "opened again"):
        for name, answers in before.items():
            assert found[when][name] == answers, f"{when}: {name}"
    assert found["proofs"] == {
        "left": ["waiting"],
        "dead": ["returned"],
        "line": ["taken", "returned", "waiting"],
        "in flight": "1",
    }
