"""``holdfast audit``: what it prints, and what it exits with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast.audit import SqlAuditLog
from holdfast.audit.keys import KEY_VARIABLE, generate_key
from holdfast.store import Transaction, open_store
from tests.cli_kit import Run


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


@pytest.fixture
def acted(url: str) -> str:
    """A store in which five acts were done."""
    for number in range(5):
        act(url, number)
    return url


def act(url: str, number: int) -> None:
    def append(tx: Transaction) -> None:
        SqlAuditLog(tx).append(f"act.{number}", f"subject {number % 2}", {"n": number, "odd": "[bold]\x1b[31m"})

    with open_store(url) as store:
        store.run(append, actor="ann")


def tamper(url: str, statement: str) -> None:
    with open_store(url) as store:
        assert store.run(lambda tx: tx.execute(statement))


def test_ls_lists_newest_first(acted: str, run: Run) -> None:
    listed = run("audit", "ls", "--store", acted, "--json")
    assert listed.code == 0
    assert [row["seq"] for row in listed.json["items"]] == [5, 4, 3, 2, 1]
    assert listed.json["items"][0]["actor"] == "ann"
    assert listed.json["items"][0]["detail"]["n"] == 4
    assert listed.json["items"][0]["at"].endswith("Z")
    first = run("audit", "ls", "--store", acted, "--json", "--limit", "2", "--subject", "subject 0").json
    assert [row["seq"] for row in first["items"]] == [5, 3]
    rest = run("audit", "ls", "--store", acted, "--json", "--subject", "subject 0", "--after", first["next"]).json
    assert ([row["seq"] for row in rest["items"]], rest["next"]) == ([1], None)
    human = run("audit", "ls", "--store", acted, "--limit", "1")
    assert "act.4" in human.out
    assert "\x1b" not in human.out
    assert "There are more" in human.out
    assert "No acts." in run("audit", "ls", "--store", acted, "--subject", "nothing").out


def test_ls_refuses_a_bad_cursor(acted: str, run: Run) -> None:
    refused = run("audit", "ls", "--store", acted, "--json", "--after", "x")
    assert (refused.code, refused.error["code"]) == (2, "invalid_cursor")


def test_a_sound_chain(acted: str, run: Run) -> None:
    told = run("audit", "verify", "--store", acted, "--json")
    assert told.code == 0
    assert (told.json["sound"], told.json["rows"], told.json["findings"]) == (True, 5, [])
    assert "The chain is sound: 5 rows" in run("audit", "verify", "--store", acted).out


def test_a_broken_chain_is_exit_code_1_with_each_finding(acted: str, run: Run) -> None:
    tamper(acted, "UPDATE audit_rows SET actor = 'eve' WHERE seq = 2")
    tamper(acted, "DELETE FROM audit_rows WHERE seq = 4")
    told = run("audit", "verify", "--store", acted, "--json")
    assert told.code == 1
    assert told.json["sound"] is False
    assert [(one["code"], one["seq"]) for one in told.json["findings"]] == [("row_edited", 2), ("rows_missing", 4)]
    assert all(one["message"] and one["remedy"] for one in told.json["findings"])
    human = run("audit", "verify", "--store", acted)
    assert human.code == 1
    for part in ("Row 2 was edited", "Row 4 is missing", "The chain is not sound"):
        assert part in human.out
    exported = run("audit", "export", "--store", acted, "--json")
    assert (exported.code, exported.error["code"]) == (1, "audit_chain_broken")


def test_a_damaged_row_has_an_error_of_its_own(acted: str, run: Run) -> None:
    tamper(acted, "UPDATE audit_rows SET detail = '{' WHERE seq = 2")
    refused = run("audit", "ls", "--store", acted, "--json")
    assert (refused.code, refused.error["code"]) == (1, "audit_row_damaged")
    assert "audit verify" in refused.error["remedy"]


def test_a_checkpoint_kept_elsewhere(acted: str, run: Run, tmp_path: Path) -> None:
    kept = tmp_path / "point"
    made = run("audit", "checkpoint", str(kept), "--store", acted, "--json")
    assert made.code == 0
    assert (made.json["seq"], made.json["file"]) == (5, str(kept))
    act(acted, 5)
    grown = run("audit", "verify", "--store", acted, "--checkpoint", str(kept), "--json")
    assert (grown.code, grown.json["checkpoints"]) == (0, 2)
    for table in ("audit_checkpoints", "audit_rows"):
        tamper(acted, f"DELETE FROM {table} WHERE seq >= 5")
    tamper(acted, "UPDATE audit_head SET seq = 4, hash = (SELECT hash FROM audit_rows WHERE seq = 4)")
    assert run("audit", "verify", "--store", acted).code == 0
    cut = run("audit", "verify", "--store", acted, "--checkpoint", str(kept), "--json")
    assert (cut.code, [one["code"] for one in cut.json["findings"]]) == (1, ["checkpoint_mismatch"])


def test_a_checkpoint_is_not_overwritten(acted: str, run: Run, tmp_path: Path) -> None:
    kept = tmp_path / "point"
    kept.write_text("mine")
    for command in (["checkpoint"], ["export"]):
        refused = run("audit", *command, str(kept), "--store", acted, "--json")
        assert (refused.code, refused.error["code"]) == (4, "file_exists")
    assert kept.read_text() == "mine"
    none = run("audit", "export", "--checkpoint", "--store", acted, "--json")
    assert (none.code, none.error["code"]) == (3, "audit_checkpoint_not_found")


def test_what_checkpoint_prints_can_be_verified_against(acted: str, run: Run, tmp_path: Path) -> None:
    printed = run("audit", "checkpoint", "--store", acted, "--json").out
    (tmp_path / "printed").write_text(printed)
    (tmp_path / "exported").write_text(run("audit", "export", "--checkpoint", "--store", acted).out)
    options = [part for name in ("printed", "exported") for part in ("--checkpoint", str(tmp_path / name))]
    assert run("audit", "verify", "--store", acted, "--json", *options).json["checkpoints"] == 3
    assert "Checkpoint of row 5, unsigned" in run("audit", "checkpoint", "--store", acted).out


def test_an_export_is_verified_without_the_store(acted: str, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "chain.jsonl"
    told = run("audit", "export", str(path), "--store", acted, "--json")
    assert (told.code, told.json["rows"]) == (0, 5)
    assert path.read_text() == run("audit", "export", "--store", acted).out
    assert run("audit", "verify", str(path), "--json").json["rows"] == 5
    lines = path.read_text().splitlines()
    lines[2] = json.dumps(json.loads(lines[2]) | {"actor": "eve"})
    (tmp_path / "forged").write_text("\n".join(lines))
    forged = run("audit", "verify", str(tmp_path / "forged"), "--json")
    assert (forged.code, forged.json["findings"][0]["code"], forged.json["findings"][0]["seq"]) == (1, "row_edited", 3)


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["verify", "{missing}"], 2, "file_unusable"),
        (["verify", "{empty}", "--checkpoint", "{text}"], 2, "audit_checkpoint_invalid"),
        (["verify", "{text}"], 2, "audit_export_invalid"),
        (["verify", "--key", "{text}"], 2, "audit_key_invalid"),
        (["verify", "--key", "{missing}"], 3, "audit_key_not_found"),
        (["verify", "--signed-from", "0"], 2, "usage"),
        (["keygen", "{text}"], 4, "file_exists"),
        (["export", "{missing}/file"], 2, "file_unusable"),
        (["verify", "--store", "sqlite:///{missing}"], 3, "store_not_found"),
    ],
)
def test_bad_input(run: Run, sqlite_url: str, tmp_path: Path, arguments: list[str], code: int, error: str) -> None:
    open_store(sqlite_url).close()
    (tmp_path / "text").write_text("text")
    (tmp_path / "empty").touch()
    places = {name: str(tmp_path / name) for name in ("missing", "text", "empty")}
    given = [argument.format(**places) for argument in arguments]
    if "--store" not in given and given[0] != "keygen":
        given += ["--store", sqlite_url]
    refused = run("audit", *given, "--json")
    assert (refused.code, refused.error["code"]) == (code, error)
    assert refused.error["remedy"]


def test_an_export_without_rows_verifies_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    told = run("audit", "verify", str(tmp_path / "empty"), "--json")
    assert (told.code, told.json["sound"], told.json["rows"]) == (1, False, 0)
    assert told.json["findings"][0]["code"] == "no_rows"
    assert "The file holds no rows." in run("audit", "verify", str(tmp_path / "empty")).out


def test_rows_that_should_be_signed_and_are_not_there(acted: str, run: Run) -> None:
    told = run("audit", "verify", "--store", acted, "--signed-from", "99", "--json")
    assert (told.code, told.json["findings"][0]["code"]) == (1, "signed_rows_missing")
    assert "--signed-from" in told.json["findings"][0]["remedy"]


@pytest.mark.parametrize("command", [("ls",), ("verify",), ("checkpoint",), ("export",)])
def test_a_table_that_is_gone(acted: str, run: Run, command: tuple[str, ...]) -> None:
    with open_store(acted) as store:
        store.run(lambda tx: [tx.execute(f"DROP TABLE audit_{name}") for name in ("rows", "head", "checkpoints")])
    told = run("audit", *command, "--store", acted, "--json")
    assert (told.code, told.error["code"]) == (1, "store_damaged")
    assert "audit_" in told.error["message"]


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("DELETE FROM audit_rows WHERE seq = 5", "audit_chain_broken"),
        ("DELETE FROM audit_rows", "audit_chain_broken"),
        (
            "UPDATE audit_head SET hash = prev FROM (SELECT prev_hash AS prev FROM audit_rows WHERE seq = 5) AS r",
            "audit_chain_broken",
        ),
        ("DELETE FROM audit_head", "audit_chain_broken"),
        ("UPDATE audit_rows SET detail = '{' WHERE seq = 5", "audit_row_damaged"),
    ],
)
def test_doctor_looks_at_the_end_of_the_chain(acted: str, run: Run, statement: str, code: str) -> None:
    assert run("doctor", "--store", acted, "--json").json["problems"] == []
    tamper(acted, statement)
    told = run("doctor", "--store", acted, "--json")
    assert told.code == 1
    (problem,) = told.json["problems"]
    assert problem["code"] == code
    assert "holdfast audit verify" in problem["remedy"]


def test_a_missing_key_is_named_by_where_it_was_named(
    acted: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = str(tmp_path / "none")
    given = run("audit", "verify", "--store", acted, "--key", none, "--json").error
    assert KEY_VARIABLE not in given["message"] + given["remedy"]
    monkeypatch.setenv(KEY_VARIABLE, none)
    found = run("audit", "checkpoint", "--store", acted, "--json").error
    assert found["code"] == given["code"] == "audit_key_not_found"
    assert f"Correct {KEY_VARIABLE}" in found["remedy"]


def test_keys_from_the_command_line(acted: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    made = run("audit", "keygen", str(path), "--json")
    assert made.code == 0
    assert made.json["public"] == f"{path}.pub"
    monkeypatch.setenv(KEY_VARIABLE, str(path))
    point = run("audit", "checkpoint", "--store", acted, "--json").json
    assert point["key_id"] == made.json["key_id"]
    told = run("audit", "verify", "--store", acted, "--key", f"{path}.pub", "--json")
    assert (told.code, told.json["checkpoints"]) == (0, 1)
    generate_key(tmp_path / "other")
    stranger = run("audit", "verify", "--store", acted, "--key", f"{tmp_path}/other.pub", "--json")
    assert (stranger.code, stranger.json["findings"][0]["code"]) == (1, "unknown_key")
    assert run("audit", "verify", "--store", acted, "--signed-from", "3").code == 1
    assert run("audit", "verify", "--store", acted, "--signed-from", "3", "--allow-unsigned").code == 0
    monkeypatch.setenv(KEY_VARIABLE, f"{path}.pub")
    refused = run("audit", "checkpoint", "--store", acted, "--json")
    assert (refused.code, refused.error["code"]) == (2, "audit_key_invalid")
