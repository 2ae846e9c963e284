"""``holdfast worker`` as the real process it is, and what ``holdfast doctor`` says of such processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast import Holdfast
from holdfast.store import open_store
from tests.cli_kit import HERE, Ran, Run, Samples, serving, until
from tests.cli_workflows import fail, greet

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
