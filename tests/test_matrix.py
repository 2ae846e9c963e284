"""Every port holds its contract on every database, and every suite notices every wrong backend."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from holdfast.testing import matrix
from holdfast.testing.contracts import CONTRACTS, Contract
from tests.conftest import KINDS

NAMES = dict(zip(KINDS, matrix.BACKENDS, strict=True))
MUTANTS = [
    pytest.param(contract, mutant, id=f"{contract.port}-{mutant.__name__}")
    for contract in CONTRACTS
    for mutant in contract.mutants
]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.port)
def test_contract(
    contract: Contract[Any],
    new_store_url: Callable[[], str],
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    backend = NAMES[request.node.callspec.params["new_store_url"]]
    row = matrix.examine(contract, backend, new_store_url, mutants=backend == "sqlite-memory")
    record_property("matrix", asdict(row))
    assert row.holds, row
    assert list(row.clauses) == contract.suite.clauses
    assert row.mutants == row.caught


@pytest.mark.parametrize(("contract", "mutant"), MUTANTS)
def test_a_mutant_is_not_wrong_in_everything(contract: Contract[Any], mutant: type[Any]) -> None:
    """One that is would be caught by a suite that checks next to nothing."""
    assert any(contract.passes(check, mutant, lambda: "sqlite://") for check in contract.suite.checks)


@pytest.mark.prove
@pytest.mark.timeout(1800)
def test_the_whole_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    """Every wrong backend on every database."""
    code = matrix.main([])
    told = capsys.readouterr().out
    with capsys.disabled():
        print(told)
    assert code == 0


def test_every_suite_is_given_wrong_backends_and_every_check_is_named_once() -> None:
    for contract in CONTRACTS:
        same_suite = [other for other in CONTRACTS if other.suite is contract.suite]
        mutants = [mutant for other in same_suite for mutant in other.mutants]
        assert len(mutants) >= 8
        assert {mutant.breaks for mutant in mutants} == set(contract.suite.clauses)
        names = [check.__name__ for check in contract.suite.checks]
        assert len(set(names)) == len(names)


def test_the_table_of_users(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--backend", "sqlite-memory", "--port", "FlowStore"]
    assert matrix.main([*asked, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["items"]
    assert (row["port"], row["backend"], row["missed"]) == ("FlowStore", "sqlite-memory", [])
    assert row["mutants"] == row["caught"] > 0
    assert matrix.main(asked) == 0
    assert "FL-1 … 9, 14, 18" in capsys.readouterr().out


def test_what_is_missed_is_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = CONTRACTS[0]
    wrong, right = whole.mutants[0], whole.adapter
    broken = Contract(whole.port, whole.suite, wrong, [type("Right", (right,), {"breaks": "FL-1"})], whole.open)
    monkeypatch.setattr(matrix, "CONTRACTS", (broken,))
    assert matrix.main(["--backend", "sqlite-memory"]) == 1
    told = capsys.readouterr().out
    assert wrong.breaks in told
    assert "Right" in told
    assert matrix.main(["--backend", "sqlite-memory", "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)["items"]
    assert wrong.breaks in row["missed"]
    assert set(row["missed"]) == {failure["clause"] for failure in row["failures"]}
    checks = {check.__name__: check for check in whole.suite.checks}
    for failure in row["failures"]:
        assert f"{failure['clause']}, {failure['check']}\n  wanted: {failure['says']}" in told
        assert (checks[failure["check"]].__doc__ or "").startswith(failure["clause"])
        assert failure["error"] in told


def test_ports_are_named_in_one_word_and_in_any_case(capsys: pytest.CaptureFixture[str]) -> None:
    names = [contract.port for contract in CONTRACTS]
    assert len({name.casefold() for name in names if " " not in name}) == len(names)
    assert matrix.main(["--backend", "sqlite-memory", "--port", "world", "--json"]) == 0
    assert [row["port"] for row in json.loads(capsys.readouterr().out)["items"]] == ["World"]
    with pytest.raises(SystemExit):
        matrix.main(["--port", "Worlds"])
    assert "StatefulService-files" in capsys.readouterr().err


def test_the_page_on_testing_names_every_port() -> None:
    page = (Path(__file__).parent.parent / "docs" / "testing.md").read_text()
    assert not [contract.port for contract in CONTRACTS if f"`{contract.port}`" not in page]
