"""The command line: what it prints, and what it exits with."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from holdfast import Holdfast
from holdfast.flows import FlowStatus, SqlFlowStore
from holdfast.flows.errors import FlowCancelled
from holdfast.ids import new_id
from holdfast.store import open_store
from tests.cli_kit import Run, Samples, serving, until
from tests.cli_workflows import greet, halt

NOBODY = "01a20a1d-0c1f-7744-b76c-c2fb3329d926"

# -- looking at flows -----------------------------------------------------------------------------------------


def test_ls_lists_newest_first(url: str, samples: Samples, run: Run) -> None:
    listed = run("flow", "ls", "--store", url, "--json")
    assert listed.code == 0
    assert [flow["id"] for flow in listed.json["items"]] == [samples.waiting, samples.stuck, samples.bad, samples.done]
    assert listed.json["next"] is None
    newest, halted, _, finished = listed.json["items"]
    assert (newest["status"], newest["halted"]) == ("created", False)
    assert halted["halted"]
    assert (finished["status"], finished["result"], finished["args"]) == ("finished", "hello bob", {"name": "bob"})
    assert finished["created_at"].endswith("Z")
    human = run("flow", "ls", "--store", url)
    assert human.code == 0
    lines = human.out.splitlines()
    assert samples.waiting in lines[1]
    assert "cli.halt" in lines[2]
    assert "halted" in lines[2]
    assert "say it" in lines[4]


def test_ls_filters_and_pages(url: str, samples: Samples, run: Run) -> None:
    def ids(*options: str) -> tuple[list[str], str | None]:
        page = run("flow", "ls", "--store", url, "--json", *options).json
        return [flow["id"] for flow in page["items"]], page["next"]

    assert ids("--status", "failed") == ([samples.bad], None)
    assert ids("--owner", "ann") == ([samples.waiting, samples.bad, samples.done], None)
    assert ids("--owner", "ann", "--status", "finished") == ([samples.done], None)
    found, cursor = ids("--owner", "ann", "--status", "finished", "--limit", "1")
    assert found == [samples.done]
    first, cursor = ids("--limit", "3")
    assert first == [samples.waiting, samples.stuck, samples.bad]
    assert cursor is not None
    assert ids("--limit", "3", "--after", cursor) == ([samples.done], None)
    assert "No flows." in run("flow", "ls", "--store", url, "--owner", "nobody").out
    assert "There are more" in run("flow", "ls", "--store", url, "--limit", "1").out


def test_show_tells_where_a_flow_is(url: str, samples: Samples, run: Run) -> None:
    done = run("flow", "show", samples.done, "--store", url, "--json").json
    assert (done["situation"], done["steps"]) == ("finished", {"total": 1, "by_status": {"succeeded": 1}})
    assert done["last_steps"][0]["run_id"] == "greeting#1@1"
    human = run("flow", "show", samples.done, "--store", url).out
    assert "greeting#1@1" in human
    assert "hello bob" in human
    assert "No living worker" not in human


def test_show_tells_what_went_wrong_and_what_to_do(url: str, samples: Samples, run: Run) -> None:
    bad = run("flow", "show", samples.bad, "--store", url).out
    assert "ValueError: [bold]no\\x1b[31m" in bad
    assert "Traceback" in bad
    assert "Remedy: " in bad
    assert "\x1b" not in bad
    stuck = run("flow", "show", samples.stuck, "--store", url).out
    assert "ForeignAwait" in stuck
    assert "holdfast flow resume" in stuck
    waiting = run("flow", "show", samples.waiting, "--store", url)
    assert "No living worker serves cli.hold" in waiting.out
    assert run("flow", "show", samples.waiting, "--store", url, "--json").json["served"] is False


def test_show_counts_a_living_worker(url: str, samples: Samples, tmp_path: Path, run: Run) -> None:
    with serving(url):
        until((tmp_path / "gate.reached").exists)
        shown = run("flow", "show", samples.waiting, "--store", url, "--json").json
        assert shown["served"]
        assert shown["situation"] == f"running on the worker epoch {shown['epoch']}"
        assert "No living worker" not in run("flow", "show", samples.waiting, "--store", url).out


def test_history_is_in_order(url: str, samples: Samples, run: Run) -> None:
    told = run("flow", "history", samples.done, "--store", url, "--json").json
    assert [event["kind"] for event in told["items"]] == ["created", "started", "step_succeeded", "finished"]
    assert told["items"][2]["payload"]["result"] == "hello bob"
    assert told["next"] is None
    assert "halted" in run("flow", "history", samples.stuck, "--store", url).out
    assert "ValueError" in run("flow", "history", samples.bad, "--store", url).out


# -- changing flows -------------------------------------------------------------------------------------------


def test_cancel_ends_a_flow_that_never_ran(url: str, samples: Samples, run: Run) -> None:
    assert run("flow", "cancel", samples.waiting, "--store", url, "--json").json["status"] == "cancelled"
    history = run("flow", "history", samples.waiting, "--store", url, "--json").json["items"]
    assert any(event["kind"] == "cancel_requested" for event in history)
    assert run("flow", "cancel", samples.waiting, "--store", url).code == 0


def test_cancel_reaches_the_worker_that_runs_the_flow(url: str, samples: Samples, tmp_path: Path, run: Run) -> None:
    with serving(url):
        until((tmp_path / "gate.reached").exists)
        asked = run("flow", "cancel", samples.waiting, "--store", url)
        assert "asked to cancel" in asked.out
        with Holdfast(url, worker=False) as hf, pytest.raises(FlowCancelled):
            hf.handle(samples.waiting).result(timeout=60)


def test_resume_lets_a_mended_flow_go_on(url: str, samples: Samples, run: Run) -> None:
    samples.broken.unlink()
    assert not run("flow", "resume", samples.stuck, "--store", url, "--json").json["halted"]
    with Holdfast(url, workflows=[halt]) as hf:
        assert hf.handle(samples.stuck).result(timeout=30) == "hello mended"


def test_prune_deletes_what_ended_long_ago(url: str, samples: Samples, run: Run) -> None:
    nothing = {"pruned": 0, "superseded_steps": 0, "runs": 0, "days": 1}
    assert run("prune", "--days", "1", "--store", url, "--json").json == nothing
    counted = {"would_prune": 2, "days": 0}
    assert run("prune", "--days", "0", "--dry-run", "--store", url, "--json").json == counted
    assert "2 flows would be pruned" in run("prune", "--days", "0", "--dry-run", "--store", url).out
    assert "Pruned 2 flows" in run("prune", "--days", "0", "--store", url).out
    left = run("flow", "ls", "--store", url, "--json").json["items"]
    assert [flow["id"] for flow in left] == [samples.waiting, samples.stuck]


# -- errors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ("flow", "ls"),
        ("flow", "show", NOBODY),
        ("flow", "history", NOBODY),
        ("flow", "cancel", NOBODY),
        ("flow", "resume", NOBODY),
        ("flow", "pause", NOBODY),
        ("flow", "show", NOBODY, "--follow"),
        ("prune", "--days", "1"),
        ("prune", "--days", "1", "--dry-run"),
    ],
    ids=" ".join,
)
def test_no_command_makes_a_store_by_accident(command: tuple[str, ...], tmp_path: Path, run: Run) -> None:
    failed = run(*command, "--store", f"sqlite:///{tmp_path}/missing.db", "--json")
    assert failed.code == 3
    assert failed.error["code"] == "store_not_found"
    assert "--store" in failed.error["remedy"]
    assert list(tmp_path.iterdir()) == []


def test_no_command_makes_a_schema_by_accident(postgres_server: str, postgres_url: str, run: Run) -> None:
    assert run("flow", "ls", "--store", postgres_url, "--json").error["code"] == "store_not_found"
    with psycopg.connect(postgres_server) as connection:
        schema = postgres_url.rpartition("schema=")[2]
        assert not connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema]).fetchone()


def test_the_database_of_another_program_is_left_as_it_is(tmp_path: Path, run: Run) -> None:
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = other.read_bytes()
    assert run("flow", "ls", "--store", f"sqlite:///{other}").code == 3
    assert run("doctor", "--store", f"sqlite:///{other}", "--json").json["problems"][0]["code"] == "store_not_found"
    assert other.read_bytes() == before
    assert list(tmp_path.iterdir()) == [other]


def test_a_file_that_is_no_database(tmp_path: Path, run: Run) -> None:
    (tmp_path / "text.db").write_text("no database at all " * 100)
    failed = run("flow", "ls", "--store", f"sqlite:///{tmp_path}/text.db", "--json")
    assert (failed.code, failed.error["code"]) == (1, "store_path_unusable")


@pytest.mark.parametrize(("shift", "code"), [(1, "store_too_new"), (-1, "store_outdated")])
def test_a_schema_of_another_version(url: str, shift: int, code: str, run: Run) -> None:
    def move(tx: Any) -> None:
        if shift > 0:
            tx.execute("INSERT INTO holdfast_migrations SELECT max(version) + 1, 'x', 0 FROM holdfast_migrations")
        else:
            tx.execute("DELETE FROM holdfast_migrations WHERE version = (SELECT max(version) FROM holdfast_migrations)")

    with open_store(url) as store:
        store.run(move)
    failed = run("flow", "ls", "--store", url, "--json")
    assert (failed.code, failed.error["code"]) == (1, code)
    examined = run("doctor", "--store", url, "--json")
    assert examined.code == 1
    assert examined.json["problems"][0]["code"] == code
    assert examined.json["schema"]["found"] == examined.json["schema"]["known"] + shift


def test_exit_codes_of_errors(url: str, samples: Samples, run: Run) -> None:
    unknown = str(new_id())
    for command, code, name in (
        (("flow", "show", "nonsense"), 2, "invalid_id"),
        (("flow", "show", unknown), 3, "flow_not_found"),
        (("flow", "history", unknown), 3, "flow_not_found"),
        (("flow", "cancel", unknown), 3, "flow_not_found"),
        (("flow", "cancel", samples.done), 4, "already_terminal"),
        (("flow", "resume", samples.done), 4, "already_terminal"),
        (("flow", "pause", unknown), 3, "flow_not_found"),
        (("flow", "pause", samples.done), 4, "already_terminal"),
        (("flow", "show", unknown, "--follow"), 3, "flow_not_found"),
        (("flow", "ls", "--tag", "nonsense"), 2, "invalid_input"),
        (("flow", "ls", "--tag", "a=1", "--tag", "a=2"), 2, "invalid_input"),
        (("flow", "ls", "--tag", "=1"), 2, "invalid_input"),
        (("flow", "ls", "--since", "nonsense"), 2, "invalid_moment"),
        (("flow", "ls", "--since", "2030-01-01T00:00:00"), 2, "invalid_moment"),
        (("flow", "ls", "--until", "999999999w"), 2, "invalid_moment"),
        (("flow", "ls", "--since", "1h", "--until", "2h"), 2, "invalid_search"),
        (("flow", "ls", "--after", "nonsense"), 2, "invalid_cursor"),
        (("flow", "ls", "--limit", "0"), 2, "usage"),
        (("flow", "ls", "--status", "nonsense"), 2, "invalid_search"),
        (("flow", "ls", "--nonsense"), 2, "usage"),
        (("prune",), 2, "usage"),
        (("nonsense",), 2, "usage"),
    ):
        failed = run("--store", url, "--json", *command)
        assert (failed.code, failed.error["code"]) == (code, name), command
        assert failed.error["remedy"]
        assert failed.out == ""
        human = run("--store", url, *command)
        assert (human.code, human.out) == (code, "")
        assert human.err.startswith("error: ")
        assert "Traceback" not in human.err


def test_urls_that_lead_nowhere(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("flow", "ls", "--store", "mysql://x", "--json").error["code"] == "store_url_invalid"
    monkeypatch.setattr("holdfast.cli.session.PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr("holdfast.cli.doctor.PATIENCE_SECONDS", 0.0)
    nowhere = "postgresql://ann:secret@127.0.0.1:1/x"
    failed = run("flow", "ls", "--store", nowhere, "--json")
    assert (failed.code, failed.error["code"]) == (1, "store_unreachable")
    examined = run("doctor", "--store", nowhere, "--json")
    assert (examined.code, examined.json["reachable"]) == (1, False)
    assert "secret" not in failed.err + examined.out


def test_the_store_is_found_by_option_then_environment_then_default(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    urls = {name: f"sqlite:///{tmp_path}/{name}.db" for name in ("option", "environment", "holdfast")}
    for name, each in urls.items():
        with Holdfast(each, worker=False) as hf:
            hf.start(greet, "x", goal=name)

    def goal(*args: str) -> str:
        (flow,) = run(*args, "flow", "ls", "--json").json["items"]
        return str(flow["goal"])

    assert goal() == "holdfast"
    monkeypatch.setenv("HOLDFAST_URL", urls["environment"])
    assert goal() == "environment"
    assert goal("--store", urls["option"]) == "option"


@pytest.mark.parametrize("command", [("flow", "ls"), ("prune", "--days", "0"), ("doctor",)])
def test_a_table_that_is_gone(url: str, run: Run, command: tuple[str, ...]) -> None:
    with open_store(url) as store:
        cascade = "" if url.startswith("sqlite") else " CASCADE"
        store.run(lambda tx: tx.execute(f"DROP TABLE flows{cascade}"))
    told = run(*command, "--store", url, "--json")
    assert told.code == 1
    problem = told.json["problems"][0] if command == ("doctor",) else told.error
    assert problem["code"] == "store_damaged"
    assert "flows" in problem["message"]
    assert "backup" in problem["remedy"]


def test_an_interrupt_is_told(url: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("holdfast.cli.doctor.check_up", interrupted)
    human = run("doctor", "--store", url)
    assert (human.code, human.out, human.err) == (130, "", "Interrupted.\n")
    told = run("doctor", "--store", url, "--json")
    assert (told.code, told.error["code"]) == (130, "interrupted")


@pytest.mark.parametrize("arguments", [("--help",), ("flow", "ls", "--json"), ("flow", "ls")])
def test_nobody_reads_on(url: str, samples: Samples, arguments: tuple[str, ...]) -> None:
    """The reader is gone before the first line, as ``| head -0`` is."""
    read, write = os.pipe()
    os.close(read)
    store = ["--store", url] if "flow" in arguments else []
    command = [sys.executable, "-m", "holdfast", *arguments, *store]
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_help_and_version(run: Run) -> None:
    assert run("--version").out.startswith("holdfast ")
    assert "Usage" in run("flow", "--help").out
    bare = run()
    assert bare.code == 2
    assert "Usage" in bare.out + bare.err
    module = subprocess.run([sys.executable, "-m", "holdfast", "--version"], capture_output=True, text=True, check=True)
    assert module.stdout == run("--version").out


def test_samples_are_what_the_tests_say(url: str, samples: Samples) -> None:
    with open_store(url) as store:
        flow = store.read(lambda tx: SqlFlowStore(tx).get(UUID(samples.stuck)))
    assert flow is not None
    assert (flow.status, flow.paused) == (FlowStatus.RUNNING, True)
