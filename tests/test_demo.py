"""``holdfast demo``: a real worker, really killed; its report is recounted here from the store and the ledger."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from holdfast import Holdfast
from holdfast.cli import demo
from holdfast.cli.demo_report import AtKill, at_kill, make_report
from holdfast.cli.demo_workflows import Module, examine, read
from holdfast.cli.main import main
from holdfast.flows.step_context import StepContext, step_context
from holdfast.ids import new_id
from holdfast.store import Transaction
from holdfast.testing.ledger import EffectLedger

FILES = 60
FUNCTIONS = 400


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that take a while each, one in a subdirectory, two that cannot be parsed, one that is not its own."""
    root = tmp_path_factory.mktemp("sources")
    (root / "inner").mkdir()
    (root / "site-packages").mkdir()
    for number in range(FILES):
        body = "".join(
            f"def function_{n}(a, b):\n    if a:\n        return [x for x in b if x]\n    return {{'a': (a, b, {n})}}\n"
            for n in range(FUNCTIONS + number)
        )
        (root / f"module_{number:02}.py").write_text(body)
    (root / "inner" / "small.py").write_text("class Small:\n    pass\n")
    (root / "bad_syntax.py").write_text("def broken(:\n")
    (root / "bad_coding.py").write_bytes(b"# -*- coding: nonsense -*-\n")
    (root / "site-packages" / "foreign.py").write_text("x = 1\n")
    (root / "not_python.txt").write_text("x")
    return root


@pytest.fixture(scope="module")
def kept(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def report(sources: Path, kept: Path) -> dict[str, Any]:
    """One run of the demo on SQLite, its directory kept."""
    with pytest.MonkeyPatch.context() as patch:
        written: list[str] = []
        patch.setattr("sys.stdout.write", written.append, raising=True)
        assert main(["demo", str(sources), "--keep", str(kept), "--json"]) == 0
    return json.loads("".join(written))  # type: ignore[no-any-return]


@pytest.fixture
def database(report: dict[str, Any], kept: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(kept / "demo.db")
    yield connection
    connection.close()


def test_every_file_became_one_finished_flow(
    report: dict[str, Any], database: sqlite3.Connection, sources: Path
) -> None:
    statuses = database.execute("SELECT status, count(*) FROM flows GROUP BY status").fetchall()
    assert statuses == [("finished", FILES + 3)]
    assert report["files"] == FILES + 3
    assert report["unparsable"] == 2
    assert report["unfinished"] == 0
    whole = [path for path in sources.rglob("*.py") if path.name not in ("foreign.py", "bad_coding.py")]
    assert report["lines"] == sum(len(path.read_text().splitlines()) for path in whole)
    assert report["functions"] == sum(FUNCTIONS + number for number in range(FILES))


def test_the_report_ranks_modules(report: dict[str, Any]) -> None:
    largest = [(each["module"], each["figure"]) for each in report["largest"]]
    assert largest == [(f"module_{n:02}.py", 4 * (FUNCTIONS + n)) for n in (59, 58, 57, 56, 55)]
    seconds = [each["figure"] for each in report["slowest"]]
    assert len(seconds) == 5
    assert seconds == sorted(seconds, reverse=True)
    assert seconds[0] > 0


def test_the_worker_was_killed_midway_and_what_it_held_was_resumed(
    report: dict[str, Any], database: sqlite3.Connection
) -> None:
    assert (FILES + 3) // 2 <= report["finished_at_kill"] < FILES + 3
    assert report["running_at_kill"] == report["flows_resumed"] > 0
    events = "SELECT count(DISTINCT flow) FROM flow_events WHERE kind = 'resumed'"
    assert database.execute(events).fetchone() == (report["flows_resumed"],)
    ((workers,),) = database.execute("SELECT count(*) FROM workers").fetchall()
    assert workers == 2


def test_repeats_are_counted_from_the_ledger(report: dict[str, Any], database: sqlite3.Connection, kept: Path) -> None:
    effects = Counter((kept / "effects.ledger").read_text().splitlines())
    records = database.execute("SELECT f.id || '/' || s.run_id FROM steps s JOIN flows f ON f.num = s.flow").fetchall()
    assert set(effects) == {key for (key,) in records}
    assert len(records) == report["steps"] == 4 * FILES + 4 + 3 + 2
    assert report["effects_repeated"] == effects.total() - len(effects)
    assert report["effects_repeated"] <= report["steps_in_flight"]
    assert report["recorded_steps_run_again"] == 0


def test_a_second_run_in_the_same_place_counts_itself_alone(
    report: dict[str, Any], kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.py").write_text("x = 1\n")
    assert main(["demo", str(tmp_path), "--keep", str(kept), "--json"]) == 0
    second = json.loads(capsys.readouterr().out)
    assert (second["files"], second["lines"], second["steps"]) == (1, 1, 4)


def test_on_postgres_for_people(sources: Path, postgres_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", str(sources / "inner"), "--store", postgres_url]) == 0
    told = capsys.readouterr()
    assert "small.py" in told.out
    assert "no recorded step ran again" in told.out
    assert "Traceback" not in told.err


@pytest.fixture
def half_done(tmp_path: Path) -> Iterator[tuple[Holdfast, EffectLedger, str]]:
    """A flow of the demo with one recorded step and two effects."""
    with (
        Holdfast(f"sqlite:///{tmp_path}/x.db", worker=False) as hf,
        EffectLedger(tmp_path / "effects", sync=False) as ledger,
    ):
        flow = hf.start(examine, "/", "x.py", owner="me").id

        def record(tx: Transaction) -> None:
            tx.execute(
                "INSERT INTO steps (flow, run_id, runtime, task, status, attempt, created_at, updated_at) "
                "SELECT num, 'read#1@1', 'managed', 'read', 'succeeded', 1, 0, 0 FROM flows"
            )

        hf.store.run(record)
        ledger.append(f"{flow}/read#1@1")
        ledger.append(f"{flow}/parse#1@1")
        ledger.append(f"{new_id()}/somebody#1@1")
        yield hf, ledger, str(flow)


def test_taking_stock_at_the_kill(half_done: tuple[Holdfast, EffectLedger, str]) -> None:
    hf, ledger, flow = half_done
    assert at_kill(hf.store, "me", ledger) == AtKill(frozenset({f"{flow}/read#1@1"}), 3, 1, {"created": 1})


def test_a_broken_promise_is_reported(half_done: tuple[Holdfast, EffectLedger, str]) -> None:
    hf, ledger, flow = half_done
    killed = at_kill(hf.store, "me", ledger)
    ledger.append(f"{flow}/parse#1@1")
    repeated = make_report(hf.store, "me", ledger, killed, "/")
    assert (repeated.effects_repeated, repeated.recorded_steps_run_again, repeated.unfinished) == (1, 0, 1)
    ledger.append(f"{flow}/read#1@1")
    broken = make_report(hf.store, "me", ledger, killed, "/")
    assert (broken.effects_repeated, broken.recorded_steps_run_again, broken.holds) == (2, 1, False)


@pytest.mark.parametrize("name", ["missing", "empty", "file.py"])
def test_there_must_be_sources(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.py").touch()
    assert main(["demo", str(tmp_path / name), "--json"]) == 2
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "invalid_input"


def test_a_store_in_memory_is_refused(sources: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", str(sources), "--store", "sqlite://", "--json"]) == 2
    assert "in memory" in json.loads(capsys.readouterr().err)["error"]["message"]


def test_a_worker_that_does_not_start_is_told_with_its_log(
    sources: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "WORKER_TARGET", "no_such_module_here:hf")
    assert main(["demo", str(sources), "--json"]) == 1
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["code"] == "demo_worker_died"
    assert "no_such_module_here" in error["message"]


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.cli.demo_workflows._ledger", lambda: EffectLedger(tmp_path / "effects", sync=False))
    monkeypatch.setattr("holdfast.cli.demo_workflows.MAX_FILE_BYTES", 3)
    (tmp_path / "large.py").write_text("x = 1\n")
    token = step_context.set(StepContext(str(new_id()), "read#1@1", 1, Mock()))
    try:
        with pytest.raises(ValueError, match="more than the demo reads"):
            read.fn(str(tmp_path / "large.py"))
    finally:
        step_context.reset(token)


def test_the_default_is_the_whole_standard_library() -> None:
    import sysconfig

    names = demo.python_files(Path(sysconfig.get_path("stdlib")))
    assert {"json/decoder.py", "asyncio/events.py", "ast.py"} <= set(names)
    assert not [name for name in names if "site-packages" in name]
    assert Module(names[0]).problem is None
