"""The emulator's own published tests pass through a world's gate as they do without it, and a world sees all that they
do: what it knows of the emulator is what is there, and comes back when it is opened again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulator_suite import SERVICES, differing, prepared, run

pytestmark = [pytest.mark.prove, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return prepared(tmp_path_factory.mktemp("emulator"))


@pytest.mark.parametrize("service", SERVICES)
def test_the_emulators_own_tests_pass_alike_with_the_gate_and_without(suite: Path, service: str) -> None:
    plain, gated = run(suite, service, gate=False), run(suite, service, gate=True)
    print(f"\n{service}: {plain.rate()} without the gate, {gated.rate()} with it")
    assert plain.passed > 100
    assert differing(plain, gated) == []


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_that_the_emulators_own_tests_do_is_missed(suite: Path, service: str) -> None:
    found = suite / f"{service}.jsonl"
    run(suite, service, gate=True, checks="tracking", faults=found)
    assert _told(found) == []


@pytest.mark.parametrize("service", SERVICES)
def test_whatever_the_emulators_own_tests_do_comes_back(suite: Path, service: str) -> None:
    """After each request the services are made anew from their records, and the tests go on with those."""
    found = suite / f"{service}-reopened.jsonl"
    plain = run(suite, service, gate=False)
    reopened = run(suite, service, gate=True, checks="reopening", faults=found)
    assert _told(found) == []
    assert differing(plain, reopened) == []


def _told(path: Path) -> list[str]:
    faults = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [f"{one['service']}: {one['kind']}: {one['what']} ({one['action']}, {one['test']})" for one in faults]
