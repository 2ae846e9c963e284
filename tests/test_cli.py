"""The command line: what it prints, what it exits with, and the processes it starts."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from holdfast import Holdfast
from holdfast.cli.main import main
from holdfast.flows import FlowStatus, SqlFlowStore
from holdfast.flows.errors import FlowCancelled, FlowFailed, FlowHalted
from holdfast.ids import new_id
from holdfast.store import open_store
from tests.cli_workflows import WORKFLOWS, fail, greet, halt, hold

Run = Callable[..., "Ran"]
HERE = Path(__file__).parent


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
    assert run("prune", "--days", "1", "--store", url, "--json").json == {"pruned": 0, "days": 1}
    assert "Pruned 2 flows" in run("prune", "--days", "0", "--store", url).out
    left = run("flow", "ls", "--store", url, "--json").json["items"]
    assert [flow["id"] for flow in left] == [samples.waiting, samples.stuck]


# -- errors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ("flow", "ls"),
        ("flow", "show", str(new_id())),
        ("flow", "history", str(new_id())),
        ("flow", "cancel", str(new_id())),
        ("flow", "resume", str(new_id())),
        ("prune", "--days", "1"),
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
        (("flow", "ls", "--after", "nonsense"), 2, "invalid_input"),
        (("flow", "ls", "--limit", "0"), 2, "usage"),
        (("flow", "ls", "--status", "nonsense"), 2, "usage"),
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


def test_help_and_version(run: Run) -> None:
    assert run("--version").out.startswith("holdfast ")
    assert "Usage" in run("flow", "--help").out
    bare = run()
    assert bare.code == 2
    assert "Usage" in bare.out + bare.err
    module = subprocess.run([sys.executable, "-m", "holdfast", "--version"], capture_output=True, text=True, check=True)
    assert module.stdout == run("--version").out


# -- the worker -----------------------------------------------------------------------------------------------


def test_worker_serves_a_module_until_sigterm(url: str, samples: Samples, tmp_path: Path, run: Run) -> None:
    with serving(url) as worker:
        line: str = worker.first_line  # type: ignore[attr-defined]
        assert line.startswith("Serving cli.fail, cli.greet, cli.halt, cli.hold on ")
        assert str(worker.pid) in line
        until((tmp_path / "gate.reached").exists)
        worker.send_signal(signal.SIGTERM)
        (tmp_path / "gate").touch()
        out, err = worker.communicate()
        assert worker.returncode == 0, err
        assert out.endswith("Drained.\n")
    steps = run("flow", "show", samples.waiting, "--store", url, "--json").json["steps"]
    assert steps["total"] == 1, "the step that ran when the worker was told to stop is recorded"
    assert run("doctor", "--store", url, "--json").json["workers"] == []


def test_worker_uses_the_module_s_own_store_unless_told_otherwise(tmp_path: Path, run: Run) -> None:
    command = [sys.executable, "-m", "holdfast", "worker", "cli_workflows:hf", "--json"]
    own, other = (f"sqlite:///{tmp_path}/{name}.db" for name in ("own", "other"))
    for options, expected in (([], own), (["--store", other], other)):
        with subprocess.Popen(
            [*command, *options], cwd=HERE, stdout=subprocess.PIPE, env=os.environ | {"CLI_WORKFLOWS_URL": own}
        ) as worker:
            assert worker.stdout is not None
            told = json.loads(worker.stdout.readline())
            worker.send_signal(signal.SIGINT)
            assert worker.stdout.read() == b""
            assert worker.wait() == 0
        assert told["store"] == expected
        assert told["serving"] == ["cli.fail", "cli.greet", "cli.halt", "cli.hold"]


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("nothing", "names no object"),
        ("no_such_module_here:hf", "There is no module no_such_module_here"),
        ("tests.cli_workflows:nothing", "has no nothing"),
        ("tests.cli_workflows:not_one", "is a int"),
        ("breaks_on_import:hf", "ZeroDivisionError"),
        ("needs_what_is_missing:hf", "No module named 'missing_dependency'"),
    ],
)
def test_worker_targets_that_cannot_be_served(
    target: str, told: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "breaks_on_import.py").write_text("1 / 0\n")
    (tmp_path / "needs_what_is_missing.py").write_text("import missing_dependency\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    failed = run("worker", target, "--store", f"sqlite:///{tmp_path}/x.db", "--json")
    assert (failed.code, failed.error["code"]) == (2, "worker_target_invalid")
    assert told in failed.error["message"]


def test_a_second_signal_ends_the_worker_at_once(sqlite_url: str, samples_on_sqlite: Samples, tmp_path: Path) -> None:
    with serving(sqlite_url) as worker:
        until((tmp_path / "gate.reached").exists)
        worker.send_signal(signal.SIGTERM)
        assert worker.stdout is not None
        assert worker.stdout.readline().startswith("Draining")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait() == -signal.SIGTERM


def test_worker_that_dies_is_not_taken_for_serving(tmp_path: Path) -> None:
    (tmp_path / "dying.py").write_text(
        "from holdfast import Holdfast\n"
        "class Dying(Holdfast):\n"
        "    served = ['x']\n"
        "    @property\n"
        "    def serving(self):\n"
        "        return [self.served.pop()] if self.served else []\n"
        f"hf = Dying('sqlite:///{tmp_path}/x.db', worker=False)\n"
    )
    command = [sys.executable, "-m", "holdfast", "worker", "dying:hf", "--json"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert json.loads(ended.stderr)["error"]["code"] == "worker_died"


def test_serving_tells_what_a_holdfast_serves(sqlite_url: str) -> None:
    hf = Holdfast(sqlite_url, workflows=[greet, fail])
    assert hf.serving == []
    with hf:
        assert hf.serving == ["cli.fail", "cli.greet"]
    assert hf.serving == []
    with Holdfast(sqlite_url, workflows=[greet], worker=False) as watcher:
        assert watcher.serving == []


def test_worker_that_has_nothing_to_serve(sqlite_url: str) -> None:
    command = [sys.executable, "-m", "holdfast", "worker", "cli_workflows:idle", "--store", sqlite_url]
    ended = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "serves nothing" in ended.stderr


# -- the doctor -----------------------------------------------------------------------------------------------


def codes(examined: Ran) -> list[str]:
    return [problem["code"] for problem in examined.json["problems"]]


def test_doctor_finds_a_served_store_healthy(url: str, run: Run) -> None:
    with serving(url) as worker:
        examined = run("doctor", "--store", url, "--json")
        assert (examined.code, codes(examined)) == (0, [])
        found = examined.json
        assert (found["reachable"], found["writable"], found["healthy"]) == (True, True, True)
        assert found["schema"]["found"] == found["schema"]["known"]
        assert found["durability"] in ("full", "on")
        assert (found["disk_free_bytes"] is not None) == url.startswith("sqlite")
        (seen,) = found["workers"]
        assert (seen["pid"], seen["state"], seen["epoch"]) == (worker.pid, "living", 1)
        assert "cli.hold" in seen["workflow_types"]
        human = run("doctor", "--store", url)
        assert human.code == 0
        assert "All is well" in human.out
        assert str(worker.pid) in human.out


def test_doctor_names_halted_and_unserved_flows(url: str, samples: Samples, run: Run) -> None:
    examined = run("doctor", "--store", url, "--json")
    assert examined.code == 1
    assert codes(examined) == ["flows_halted", "flows_unserved"]
    assert examined.json["flows"] == {"created": 1, "failed": 1, "finished": 1, "running": 1}
    (halted,) = examined.json["halted"]["first"]
    assert halted["id"] == samples.stuck
    assert "not durable" in halted["error"]["detail"]
    assert examined.json["unserved"] == {"cli.hold": 1}
    human = run("doctor", "--store", url)
    assert human.code == 1
    assert samples.stuck in human.out
    assert "cli.hold" in human.out


def test_doctor_names_a_worker_that_is_gone(url: str, samples: Samples, tmp_path: Path, run: Run) -> None:
    with serving(url) as worker:
        until((tmp_path / "gate.reached").exists)
        worker.kill()
        worker.wait()
    examined = run("doctor", "--store", url, "--json")
    assert examined.code == 1
    assert "worker_gone" in codes(examined)
    (seen,) = examined.json["workers"]
    assert (seen["pid"], seen["state"], seen["flows"]) == (worker.pid, "gone", 1)
    assert examined.json["unserved"] == {"cli.hold": 1}


def test_doctor_names_a_frozen_worker(sqlite_url: str, run: Run) -> None:
    with serving(sqlite_url) as worker:
        worker.send_signal(signal.SIGSTOP)
        os.waitpid(worker.pid, os.WUNTRACED)
        examined = run("doctor", "--store", sqlite_url, "--json")
        assert "worker_frozen" in codes(examined)
        assert examined.json["workers"][0]["state"] == "frozen"


WRITES_FOR_EVER = """
import sys, time
from holdfast.store import open_store

def work(tx):
    tx.execute("DELETE FROM unit_keys")
    print("writing", flush=True)
    time.sleep(3600)

with open_store(sys.argv[1]) as store:
    store.run(work)
"""


def test_doctor_answers_while_a_frozen_process_holds_the_turn(
    sqlite_url: str, samples_on_sqlite: Samples, run: Run
) -> None:
    command = [sys.executable, "-c", WRITES_FOR_EVER, sqlite_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout is not None
            writer.stdout.readline()
            busy = run("doctor", "--store", sqlite_url, "--json")
            assert busy.json["turn"] == {"pid": writer.pid, "frozen": False}
            assert "turn_frozen" not in codes(busy)
            writer.send_signal(signal.SIGSTOP)
            os.waitpid(writer.pid, os.WUNTRACED)
            frozen = run("doctor", "--store", sqlite_url, "--json")
            assert frozen.json["turn"] == {"pid": writer.pid, "frozen": True}
            assert "turn_frozen" in codes(frozen)
            assert frozen.json["flows"]["finished"] == 1
            assert f"kill -CONT {writer.pid}" in run("doctor", "--store", sqlite_url).out
            assert run("flow", "ls", "--store", sqlite_url).code == 0
        finally:
            writer.kill()


def test_doctor_tells_when_there_is_no_store(tmp_path: Path, run: Run) -> None:
    examined = run("doctor", "--store", f"sqlite:///{tmp_path}/missing.db", "--json")
    assert (examined.code, codes(examined)) == (1, ["store_not_found"])
    assert list(tmp_path.iterdir()) == []


def test_doctor_warns_of_a_full_disk(sqlite_url: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(sqlite_url).close()
    assert "disk_low" not in codes(run("doctor", "--store", sqlite_url, "--json"))
    monkeypatch.setattr("holdfast.cli.checkup.LOW_DISK_BYTES", 1 << 60)
    assert "disk_low" in codes(run("doctor", "--store", sqlite_url, "--json"))


def test_samples_are_what_the_tests_say(url: str, samples: Samples) -> None:
    with open_store(url) as store:
        flow = store.read(lambda tx: SqlFlowStore(tx).get(UUID(samples.stuck)))
    assert flow is not None
    assert (flow.status, flow.paused) == (FlowStatus.RUNNING, True)
