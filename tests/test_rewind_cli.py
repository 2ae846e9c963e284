"""The commands that go back: ``holdfast flow steps``, ``rewind``, ``fork``, ``retry``, and ``holdfast demo rewind``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from holdfast import Holdfast
from holdfast.cli import demo_rewind
from holdfast.flows.errors import FlowFailed
from tests.cli_kit import Run
from tests.test_rewind_engine import SECONDS, fresh, publishing, waves  # noqa: F401 (a fixture)

EXAMPLE = Path(__file__).parent.parent / "examples" / "site.py"


@pytest.fixture
def flow(sqlite_url: str, tmp_path: Path) -> str:
    """Three waves: world:site, and for each look, write, checkpoint."""
    with Holdfast(sqlite_url, workflows=[waves]) as hf:
        handle = hf.start(waves, str(tmp_path / "site"), 3)
        handle.result(SECONDS)
    return str(handle.id)


def test_steps(run: Run, sqlite_url: str, flow: str) -> None:
    told = run("flow", "steps", flow, "--store", sqlite_url)
    assert told.code == 0
    rows = [line.split() for line in told.out.splitlines()]
    assert rows[1][0] == "0"
    assert rows[5][:2] == ["4", "checkpoint:site#1@1"]
    assert rows[5][-3:] == ["wave", "1", "yes"]
    assert rows[4][-1] == "no"
    listed = run("flow", "steps", flow, "--store", sqlite_url, "--json").json
    assert [item["position"] for item in listed["items"] if item["rewindable"]] == [0, 1, 4, 7, 10]
    assert listed["next"] is None
    page = run("flow", "steps", flow, "--store", sqlite_url, "--limit", "3", "--json").json
    following = run("flow", "steps", flow, "--store", sqlite_url, "--after", page["next"], "--json").json
    assert page["items"] + following["items"] == listed["items"]


@pytest.mark.parametrize(("step", "position"), [("wave 2", 7), ("7", 7), ("checkpoint:site#2", 7), ("0", 0)])
def test_rewind(run: Run, sqlite_url: str, flow: str, step: str, position: int) -> None:
    told = run(
        "flow", "rewind", flow, step, "--patch", '{"tone": "bold"}', "--note", "why", "--store", sqlite_url, "--json"
    )
    assert told.code == 0, told.err
    assert (told.json["status"], told.json["attempt"], told.json["state"]) == ("running", 2, {"tone": "bold"})
    assert len(run("flow", "steps", flow, "--store", sqlite_url, "--json").json["items"]) == position + 2
    rows = run("audit", "ls", "--subject", flow, "--store", sqlite_url, "--json").json["items"]
    assert (rows[0]["act"], rows[0]["detail"]["note"], rows[0]["detail"]["position"]) == (
        "flow.rewound",
        "why",
        position,
    )
    history = run("flow", "history", flow, "--store", sqlite_url)
    assert "rewound" in history.out
    with Holdfast(sqlite_url, workflows=[waves]) as hf:
        hf.handle(flow).result(SECONDS)


def test_fork_and_retry(run: Run, sqlite_url: str, flow: str, tmp_path: Path) -> None:
    made = run("flow", "fork", flow, "wave 1", "--key", "mine", "--store", sqlite_url, "--json").json
    assert (made["key"], made["status"]) == ("mine", "running")
    assert run("flow", "history", made["id"], "--store", sqlite_url).code == 0
    assert run("flow", "retry", made["id"], "--store", sqlite_url, "--json").error["code"] == "nothing_to_retry"
    with Holdfast(sqlite_url, workflows=[publishing]) as hf:
        failed = hf.start(publishing, str(tmp_path / "published"))
        with pytest.raises(FlowFailed):
            failed.result(SECONDS)
    told = run("flow", "retry", str(failed.id), "--store", sqlite_url)
    assert (told.code, "waiting for a worker" in told.out) == (0, True)


@pytest.mark.parametrize(
    ("args", "code", "error"),
    [
        (["rewind", "FLOW", "99"], 2, "rewind_beyond_end"),
        (["rewind", "FLOW", "5"], 4, "not_checkpointed"),
        (["rewind", "FLOW", "wave 9"], 3, "no_such_step"),
        (["rewind", "FLOW", "write#9"], 3, "no_such_step"),
        (["rewind", "FLOW", "0", "--patch", "[1]"], 2, "invalid_patch"),
        (["rewind", "FLOW", "0", "--patch", "{"], 2, "invalid_patch"),
        (["rewind", "FLOW", "0", "--timeout", "-1"], 2, "invalid_timeout"),
        (["rewind", "nonsense", "0"], 2, "invalid_id"),
        (["rewind", "01890000-0000-7000-8000-0000000000aa", "0"], 3, "flow_not_found"),
        (["rewind", "FLOW"], 2, "usage"),
        (["fork", "FLOW", "0", "--id", "FLOW"], 4, "flow_exists"),
        (["fork", "FLOW", "0", "--id", "nonsense"], 2, "invalid_id"),
        (["fork", "FLOW", "0", "--scope", "nonsense"], 2, "invalid_input"),
        (["fork", "FLOW", "5"], 4, "not_checkpointed"),
        (["retry", "FLOW"], 4, "nothing_to_retry"),
        (["steps", "01890000-0000-7000-8000-0000000000aa"], 3, "flow_not_found"),
        (["steps", "FLOW", "--after", "x"], 2, "invalid_cursor"),
    ],
)
def test_bad_input(run: Run, sqlite_url: str, flow: str, args: list[str], code: int, error: str) -> None:
    given = [flow if arg == "FLOW" else arg for arg in args]
    told = run("flow", *given, "--store", sqlite_url, "--json")
    assert (told.code, told.error["code"], told.out) == (code, error, "")
    assert told.error["remedy"]
    assert run("flow", "show", flow, "--store", sqlite_url, "--json").json["attempt"] == 1


# -- the demo ---------------------------------------------------------------------------------------------------------


def test_the_demo(run: Run, tmp_path: Path) -> None:
    """A process that is really killed; every figure is recounted from the files that it leaves."""
    told = run("demo", "rewind", "--keep", str(tmp_path), "--json")
    assert told.code == 0, told.err
    story = told.json
    assert (story["holds"], story["recorded_steps_run_again"], story["pages_kept"]) == (True, 0, 6)
    killed, resumed, rewound, ended = (chapter["files"] for chapter in story["chapters"])
    assert 6 < len(killed) < 9, "it was killed in the midst of wave 3"
    assert sorted(resumed) == sorted(ended) == [f"{wave}-{page}.html" for wave in (1, 2, 3) for page in "abc"]
    assert rewound == {name: text for name, text in resumed.items() if name[0] != "3"}
    assert {name: text for name, text in ended.items() if name[0] != "3"} == rewound
    assert all("bold" in text for name, text in ended.items() if name[0] == "3")
    assert not [text for text in resumed.values() if "bold" in text]
    writers = {text.rpartition(" ")[2] for text in resumed.values()}
    assert len(writers) == 2, "two processes have written it"
    assert {path.name: path.read_text() for path in (tmp_path / "site").glob("*.html")} == ended
    lines = (tmp_path / "effects.ledger").read_text().splitlines()
    assert sum(f"write_page#{number}@" in line for line in lines for number in range(1, 7)) == 6
    assert run("demo", "rewind", "--store", "sqlite://", "--json").error["code"] == "invalid_input"


def test_the_demo_tells_its_story(run: Run) -> None:
    chapters = (
        demo_rewind.Chapter("killed", {"1-a.html": "1-a.html: plain, by process 1\n"}),
        demo_rewind.Chapter("rewound", {}),
    )
    for holds, told in ((True, "✓ The files went back with the run"), (False, "✗ The promise was not kept")):
        story = demo_rewind.Story(
            flow=None,  # type: ignore[arg-type]
            store="",
            directory="",
            chapters=chapters,
            recorded_steps_run_again=0,
            pages_kept=6,
            holds=holds,
        )
        assert told in str(list(demo_rewind._told(story))[-1])


def test_the_first_demo_is_shown_if_none_is_named(run: Run, tmp_path: Path) -> None:
    assert "there is no .py file" in run("demo", str(tmp_path), "--json").error["message"].lower()
    assert "there is no .py file" in run("demo", "kill", str(tmp_path), "--json").error["message"].lower()
    assert {"kill", "rewind"} <= set(run("demo", "--help").out.split())


def test_the_example(tmp_path: Path) -> None:
    command = [sys.executable, EXAMPLE, f"sqlite:///{tmp_path}/site.db", tmp_path / "site"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["plain", "bold"]
    pages = {path.name: path.read_text().split()[-1] for path in (tmp_path / "site").glob("*.html")}
    assert pages == {f"{wave}-{page}.html": "bold" if wave == 3 else "plain" for wave in (1, 2, 3) for page in "ab"}
