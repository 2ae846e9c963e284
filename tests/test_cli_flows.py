"""``holdfast flow``: finding flows, holding them, following one as it runs; what ``doctor`` says of their keeping."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from holdfast import Holdfast
from holdfast.cli.moments import InvalidMoment, parse_moment
from holdfast.flows import SqlFlowStore, chores, manager, retention
from holdfast.ids import parse_id
from holdfast.store import Transaction, open_store
from holdfast.testing.flows.samples import make_flow
from tests.cli_kit import Run, Samples, until
from tests.cli_workflows import greet, hold

NOBODY = "01a20a1d-0c1f-7744-b76c-c2fb3329d926"


def ids(run: Run, url: str, *options: str) -> list[str]:
    return [flow["id"] for flow in run("flow", "ls", "--store", url, "--json", *options).json["items"]]


def test_ls_finds_flows_by_their_tags(url: str, samples: Samples, run: Run) -> None:
    with Holdfast(url, worker=False) as hf:
        prod = str(hf.start(greet, "a", tags={"env": "prod"}).id)
        team = str(hf.start(greet, "b", tags={"env": "prod", "team": "a b"}).id)
    assert ids(run, url, "--tag", "env=prod") == [team, prod]
    assert ids(run, url, "--tag", "env=prod", "--tag", "team=a b") == [team]
    assert ids(run, url, "--tag", "env=test") == []
    assert ids(run, url, "--tag", "env=prod", "--owner", "ann") == []
    shown = run("flow", "show", team, "--store", url)
    assert "env=prod, team=a b" in shown.out
    assert run("flow", "show", team, "--store", url, "--json").json["tags"] == {"env": "prod", "team": "a b"}


def test_ls_finds_flows_by_type_and_time(url: str, samples: Samples, run: Run) -> None:
    everything = ids(run, url)
    assert ids(run, url, "--type", hold.name) == [samples.waiting]
    assert ids(run, url, "--paused") == [samples.stuck]
    assert ids(run, url, "--since", "1h") == everything
    assert ids(run, url, "--until", "1h") == []
    assert ids(run, url, "--since", (datetime.now(UTC) + timedelta(hours=1)).isoformat()) == []


def test_ls_finds_what_is_halted(url: str, samples: Samples, run: Run) -> None:
    run("flow", "pause", samples.waiting, "--store", url)
    assert ids(run, url, "--status", "halted") == [samples.stuck]
    assert ids(run, url, "--status", "halted", "--type", greet.name) == []
    with Holdfast(url, worker=False) as hf:
        assert [str(flow.id) for flow in hf.search(status="halted").items] == [samples.stuck]


def test_ls_shows_keys_and_tags_where_there_are_any(url: str, samples: Samples, run: Run) -> None:
    heading = run("flow", "ls", "--status", "failed", "--store", url).out.splitlines()[0].split()
    assert heading == ["id", "workflow", "status", "owner", "updated", "goal"]
    with Holdfast(url, worker=False) as hf:
        hf.start(greet, "a", tags={"env": "prod"})
    titles, first, *_, last = run("flow", "ls", "--store", url).out.splitlines()
    assert titles.split() == ["id", "workflow", "status", "key", "owner", "tags", "updated", "goal"]
    assert "env=prod" in first
    assert "k1" in last
    assert run("flow", "ls", "--status", "finished", "--store", url, "--json").json["items"][0]["key"] == "k1"


def test_ls_finds_the_children_of_a_flow(url: str, samples: Samples, run: Run) -> None:
    child = make_flow(parent=UUID(samples.done))
    with open_store(url) as store:
        store.run(lambda tx: SqlFlowStore(tx).insert(child))
    assert ids(run, url, "--parent", samples.done) == [str(child.id)]
    assert ids(run, url, "--parent", str(child.id)) == []
    assert run("flow", "ls", "--parent", NOBODY, "--store", url).code == 3


def test_the_beginning_of_an_id_names_a_flow(url: str, run: Run) -> None:
    first, second, other = (f"{begin}-0000-7000-8000-000000000000" for begin in ("abcdef01", "abcdef01", "abcdef02"))
    second = second[:-1] + "1"
    with Holdfast(url, worker=False) as hf:
        for each in (first, second, other):
            hf.start(greet, each, id=each)
    store = ("--store", url, "--json")
    for text in ("abcdef02", "ABCDEF02-00", other, other.replace("-", "")):
        assert run("flow", "show", text, *store).json["id"] == other
    assert run("flow", "history", "abcdef02", *store).code == 0
    assert run("flow", "steps", "abcdef02", *store).code == 0
    assert run("flow", "ls", "--parent", "abcdef02", *store).json["items"] == []
    assert run("approval", "ls", "--flow", "abcdef02", *store).json["items"] == []
    assert run("signal", "send", "abcdef02", "go", *store).code == 0
    assert len(run("signal", "ls", "abcdef02", *store).json["items"]) == 1
    assert run("flow", "pause", "abcdef02", *store).json["paused"]
    ambiguous = run("flow", "cancel", "abcdef01", *store)
    assert (ambiguous.code, ambiguous.error["code"]) == (2, "ambiguous_id")
    assert first in ambiguous.error["remedy"]
    assert second in ambiguous.error["remedy"]
    for text, code, name in (
        ("abcdef03", 3, "flow_not_found"),
        ("abcdef0", 2, "invalid_id"),
        ("%bcdef02", 2, "invalid_id"),
    ):
        refused = run("flow", "show", text, *store)
        assert (refused.code, refused.error["code"]) == (code, name), text


def test_show_counts_no_record_that_a_rewind_has_undone(url: str, samples: Samples, run: Run) -> None:
    assert run("flow", "rewind", samples.done, "0", "--store", url).code == 0
    shown = run("flow", "show", samples.done, "--store", url, "--json").json
    undone = [step["run_id"] for step in shown["last_steps"] if step["run_id"].startswith("greeting")]
    assert undone == []
    assert shown["steps"]["by_status"].get("succeeded", 0) == len(shown["last_steps"])


NOW = datetime(2030, 1, 10, 12, tzinfo=UTC)


def test_moments() -> None:
    assert parse_moment("90s", NOW) == NOW - timedelta(seconds=90)
    assert parse_moment(" 1.5h ", NOW) == NOW - timedelta(minutes=90)
    assert parse_moment("2030-01-01T00:00:00Z", NOW) == datetime(2030, 1, 1, tzinfo=UTC)
    assert parse_moment("2030-01-01T02:00:00+02:00", NOW) == datetime(2030, 1, 1, tzinfo=UTC)
    for wrong in ("", "h", "-1h", "1y", "1", "2030-01-01", "2030-13-01T00:00:00Z", "٣h", "99999999w"):
        with pytest.raises(InvalidMoment):
            parse_moment(wrong, NOW)


def test_pause_holds_a_flow(url: str, samples: Samples, run: Run) -> None:
    paused = run("flow", "pause", samples.waiting, "--store", url, "--json").json
    assert (paused["paused"], paused["halted"], paused["due_at"]) == (True, False, None)
    assert "is paused" in run("flow", "pause", samples.waiting, "--store", url).out
    assert samples.waiting in ids(run, url, "--paused")
    assert "waiting for a worker" in run("flow", "resume", samples.waiting, "--store", url).out
    history = run("flow", "history", samples.waiting, "--store", url, "--json").json["items"]
    assert [event["kind"] for event in history] == ["created", "paused", "resumed_by_hand"]


def report(done: float, total: float | None = None, note: str | None = None) -> Any:
    def work(tx: Transaction) -> None:
        row = {"done": done, "total": total, "note": note}
        tx.execute("DELETE FROM step_progress")
        tx.execute(
            "INSERT INTO step_progress (flow, run_id, done, total, note, at)"
            " SELECT max(num), 'load#1@1', CAST(:done AS real), CAST(:total AS real), CAST(:note AS text), 1"
            " FROM flows",
            row,
        )

    return work


def test_show_tells_how_far_running_steps_are(url: str, samples: Samples, run: Run) -> None:
    with open_store(url) as store:
        store.run(report(3, 10, "rows [b]"))
        assert [told._asdict() for told in reported(url, samples.waiting)] == [
            {
                "run_id": "load#1@1",
                "done": 3.0,
                "total": 10.0,
                "note": "rows [b]",
                "at": datetime(1970, 1, 1, 0, 0, 0, 1, UTC),
            }
        ]
        human = run("flow", "show", samples.waiting, "--store", url).out
        assert "3/10" in human
        assert "rows [b]" in human
        store.run(report(1.5))
    (told,) = run("flow", "show", samples.waiting, "--store", url, "--json").json["progress"]
    assert (told["run_id"], told["done"], told["total"]) == ("load#1@1", 1.5, None)


def reported(url: str, flow_id: str) -> Any:
    with Holdfast(url, worker=False) as hf:
        return hf.progress(flow_id)


def follow(url: str, flow_id: str, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "holdfast", "flow", "show", flow_id, "--follow", "--store", url, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_heed_sigint)


def _heed_sigint() -> None:
    """Whoever runs this suite in the background may ignore it, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_follow_tells_every_change_up_to_the_end(url: str, samples: Samples) -> None:
    process = follow(url, samples.waiting, "--json")
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert (first["status"], first["progress"]) == ("created", [])
    with open_store(url) as store:
        store.run(report(1, 2))
        second = json.loads(process.stdout.readline())
        assert [told["done"] for told in second["progress"]] == [1.0]
        store.run(lambda tx: manager.cancel(tx, parse_id(samples.waiting)))
    out, err = process.communicate(timeout=60)
    assert json.loads(out.splitlines()[-1])["status"] == "cancelled"
    assert (process.returncode, err) == (0, "")


def test_follow_through_a_pipe_tells_every_change_in_a_line(url: str, samples: Samples) -> None:
    process = follow(url, samples.waiting)
    assert process.stdout is not None
    assert process.stdout.readline() == "created: waiting for a worker; steps: none recorded\n"
    with open_store(url) as store:
        store.run(report(1, 2, "half\n[b]"))
        told = process.stdout.readline()
        assert told == "created: waiting for a worker; steps: none recorded; load#1@1: 1/2 half [b]\n"
        store.run(lambda tx: manager.cancel(tx, parse_id(samples.waiting)))
    assert process.stdout.readline().startswith("cancelled; steps: ")
    assert samples.waiting in process.stdout.read()
    assert process.wait(60) == 0
    process.communicate()


def test_follow_of_what_has_ended_is_one_look(url: str, samples: Samples, run: Run) -> None:
    lines = run("flow", "show", samples.done, "--follow", "--store", url, "--json").out.splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["finished"]
    assert run("flow", "show", samples.done, "--follow", "--store", url).out.count("hello bob") >= 1


def test_follow_on_a_terminal(url: str, samples: Samples) -> None:
    """A bar for each running step that reports; at the end the whole flow."""
    parent, child = os.openpty()
    command = [sys.executable, "-m", "holdfast", "flow", "show", samples.waiting, "--follow", "--store", url]
    process = subprocess.Popen(
        command, stdout=child, stderr=child, env={**os.environ, "TERM": "xterm", "COLUMNS": "200"}
    )
    os.close(child)
    seen: list[bytes] = []

    def read() -> None:
        try:
            while data := os.read(parent, 65536):
                seen.append(data)
        except OSError:  # the other end is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    with open_store(url) as store:
        until(lambda: b"waiting for a worker" in b"".join(seen))
        store.run(report(1, 4, "quarter"))
        until(lambda: b"1/4 quarter" in b"".join(seen))
        store.run(lambda tx: manager.cancel(tx, parse_id(samples.waiting)))
    assert process.wait(60) == 0
    reader.join()
    os.close(parent)
    assert b"cancelled" in b"".join(seen)[-3000:]


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_follow_can_be_interrupted(url: str, samples: Samples, options: tuple[str, ...]) -> None:
    process = follow(url, samples.waiting, "--json")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_prune_goes_by_what_workflows_say(url: str, samples: Samples, run: Run) -> None:
    with open_store(url) as store:
        store.run(lambda tx: retention.declare(tx, {greet.name: 5_000_000_000}))
    assert run("prune", "--days", "0", "--store", url, "--json").json["pruned"] == 1
    assert samples.done in ids(run, url)


def test_doctor_tells_what_is_kept_and_how_the_chores_went(url: str, samples: Samples, run: Run) -> None:
    def fill(tx: Transaction) -> None:
        retention.declare(tx, {greet.name: 86_400_000_000 * 7})
        tx.execute("DELETE FROM chores")
        tx.execute("INSERT INTO chores (name, due_at, epoch) VALUES ('daily', 9, 1)")
        chores.finish(tx, "daily", 1, {"flows": 1234})

    with open_store(url) as store:
        store.run(fill)
    told = run("doctor", "--store", url, "--json").json
    assert told["retention"] == {greet.name: 604_800.0}
    assert (told["chores"][0]["name"], told["chores"][0]["outcome"]) == ("daily", {"flows": 1234})
    assert (told["queues"], told["schedules"]) == (0, 0)
    human = run("doctor", "--store", url).out
    assert "7 days" in human
    assert "1,234 flows" in human
    with open_store(url) as store:
        failed = {"error": {"kind": "E", "detail": "no room"}}
        store.run(lambda tx: tx.execute("UPDATE chores SET epoch = 1"))
        store.run(lambda tx: chores.finish(tx, "daily", 1, failed))
    told = run("doctor", "--store", url, "--json").json
    assert any(problem["code"] == "chore_failed" and "no room" in problem["message"] for problem in told["problems"])
