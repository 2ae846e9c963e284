"""``holdfast schedule``: what it prints, and what it exits with."""

from __future__ import annotations

from datetime import timedelta

import pytest

from holdfast.audit import SqlAuditLog
from holdfast.audit.keys import KEY_VARIABLE
from holdfast.cli.schedule import parse_span
from holdfast.flows import SqlFlowStore
from holdfast.flows.retention import declare
from holdfast.flows.schedules.errors import InvalidInterval
from holdfast.store import open_store
from tests.cli_kit import Ran, Run


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


@pytest.fixture
def made(url: str, run: Run) -> str:
    """A store with a nightly and a frequent schedule."""
    open_store(url).close()
    assert (
        add(run, url, "nightly", "--cron", "30 2 * * *", "--zone", "Europe/Berlin", "--args", '{"b":1, "a":[]}').code
        == 0
    )
    assert add(run, url, "often", "--every", "15m", "--overlap", "allow", "--catch-up", "none").code == 0
    return url


def add(run: Run, url: str, name: str, *options: str) -> Ran:
    return run("schedule", "add", name, "report", "--store", url, *options)


def test_ls(made: str, run: Run) -> None:
    listed = run("schedule", "ls", "--store", made, "--json").json
    assert listed["next"] is None
    nightly, often = listed["items"]
    assert (nightly["name"], nightly["cron"], nightly["zone"], nightly["every"]) == (
        "nightly", "30 2 * * *", "Europe/Berlin", None,
    )  # fmt: skip
    assert nightly["args"] == {"a": [], "b": 1}
    assert (nightly["overlap"], nightly["catch_up"], nightly["paused"]) == ("skip", "one", False)
    assert nightly["next_at"].endswith("Z")
    assert (often["every"], often["cron"], often["overlap"], often["catch_up"]) == (900, None, "allow", "none")
    page = run("schedule", "ls", "--store", made, "--json", "--limit", "1").json
    assert [row["name"] for row in page["items"]] == ["nightly"]
    rest = run("schedule", "ls", "--store", made, "--json", "--after", page["next"]).json
    assert [row["name"] for row in rest["items"]] == ["often"]
    human = run("schedule", "ls", "--store", made, "--limit", "1").out
    assert "30 2 * * * Europe/Berlin" in human
    assert "There are more: --after nightly" in human


def test_next_and_show_in_both_zones(made: str, run: Run) -> None:
    found = run("schedule", "next", "nightly", "--count", "400", "--store", made, "--json").json
    assert len(found["items"]) == 400
    for item in found["items"]:
        assert item["at"].endswith("Z")
        assert item["local"][11:19] in ("02:30:00", "03:00:00")
    assert {item["local"][19:] for item in found["items"]} == {"+01:00", "+02:00"}
    human = run("schedule", "next", "nightly", "--store", made).out
    assert "Europe/Berlin" in human
    shown = run("schedule", "show", "nightly", "--store", made, "--json").json
    assert shown["upcoming"] == found["items"][:5]
    assert shown["served"] is False
    human = run("schedule", "show", "nightly", "--store", made).out
    assert "No living worker serves report" in human
    assert '{"a":[],"b":1}' in human


def test_hold_trigger_and_remove(made: str, run: Run) -> None:
    assert run("schedule", "pause", "often", "--store", made, "--json").json["paused"] is True
    assert "is paused" in run("schedule", "pause", "often", "--store", made).out
    assert "paused" in run("schedule", "ls", "--store", made).out
    assert "runs next at" in run("schedule", "resume", "often", "--store", made).out
    triggered = run("schedule", "trigger", "nightly", "--store", made, "--json").json
    again = run("schedule", "trigger", "nightly", "--store", made, "--json")
    assert (again.code, again.error["code"]) == (4, "previous_running")
    assert run("schedule", "rm", "nightly", "--store", made, "--json").json["name"] == "nightly"
    gone = run("schedule", "rm", "nightly", "--store", made, "--json")
    assert (gone.code, gone.error["code"]) == (3, "schedule_not_found")
    assert run("schedule", "next", "nightly", "--store", made).code == 3
    with open_store(made) as store:
        flows = store.read(lambda tx: SqlFlowStore(tx).list_all().items)
        acts = store.read(lambda tx: SqlAuditLog(tx).list().items)
    assert [str(flow.id) for flow in flows] == [triggered["flow"]]
    assert [row.act.removeprefix("schedule.") for row in reversed(acts)] == [
        "created", "created", "paused", "resumed", "triggered", "removed",
    ]  # fmt: skip


def test_added_again(made: str, run: Run) -> None:
    again = add(run, made, "often", "--every", "900s", "--overlap", "allow", "--catch-up", "none", "--json").json
    assert again["revision"] == 0
    changed = add(run, made, "often", "--cron", "0 * * * *", "--json").json
    assert (changed["revision"], changed["every"], changed["overlap"]) == (1, None, "skip")


def test_a_workflow_that_nobody_has_served_is_hinted_at(made: str, run: Run) -> None:
    """It is taken all the same: another process may come to serve it."""
    with open_store(made) as store:
        store.run(lambda tx: declare(tx, {"reports": None, "other": None}))
    told = add(run, made, "new", "--every", "1h")
    assert (told.code, told.err.strip()) == (0, "hint: no worker has served report yet. Did you mean reports?")
    assert "runs next at" in told.out
    as_json = add(run, made, "new", "--every", "2h", "--json")
    assert (as_json.json["known"], as_json.err) == (False, "")
    with open_store(made) as store:
        store.run(lambda tx: declare(tx, {"report": None}))
    assert add(run, made, "new", "--every", "3h").err == ""
    assert add(run, made, "new", "--every", "4h", "--json").json["known"] is True
    run("schedule", "trigger", "new", "--store", made)
    with open_store(made) as store:
        store.run(lambda tx: tx.execute("DELETE FROM retention"))
    assert add(run, made, "new", "--every", "5h").err == "", "a flow of it is there"


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--cron", "61 * * * *"], "malformed_cron", "'61' is no minute"),
        (["--cron", "0 0 30 2 *"], "malformed_cron", "never comes true"),
        (["--cron", "0 * * * *", "--zone", "Europe/Berln"], "unknown_zone", "Did you mean Europe/Berlin"),
        (["--every", "soon"], "invalid_interval", "'soon'"),
        (["--every", "0"], "invalid_interval", "every"),
        (["--every", "0.5s"], "invalid_interval", "every"),
        (["--every", "999999999d"], "invalid_interval", "every"),
        ([], "invalid_schedule", "either"),
        (["--every", "1h", "--cron", "0 * * * *"], "invalid_schedule", "either"),
        (["--every", "1h", "--args", "[1]"], "invalid_schedule", "no JSON object"),
        (["--every", "1h", "--overlap", "maybe"], "usage", "maybe"),
    ],
)
def test_bad_input(sqlite_url: str, run: Run, options: list[str], code: str, said: str) -> None:
    open_store(sqlite_url).close()
    refused = add(run, sqlite_url, "bad", *options, "--json")
    assert refused.code == 2
    assert refused.error["code"] == code
    assert said in refused.error["message"] + refused.error["remedy"]
    assert run("schedule", "ls", "--store", sqlite_url).out.strip() == "No schedules."


def test_names_are_no_markup(sqlite_url: str, run: Run) -> None:
    open_store(sqlite_url).close()
    assert "[bold]x" in add(run, sqlite_url, "[bold]x", "--every", "1d").out
    for command in ("ls", "show", "rm"):
        name = [] if command == "ls" else ["[bold]x"]
        assert "[bold]x" in run("schedule", command, *name, "--store", sqlite_url).out


@pytest.mark.parametrize(
    ("text", "span"),
    [("90", 90), ("90s", 90), ("1.5m", 90), ("6h", 21_600), (" 1d ", 86_400), ("2w", 1_209_600)],
)
def test_spans(text: str, span: int) -> None:
    assert parse_span(text) == timedelta(seconds=span)


@pytest.mark.parametrize("text", ["", "h", "1y", "-5m", "1h30m", "\u0661h", "9" * 15 + "w"])
def test_what_no_span_is(text: str) -> None:
    with pytest.raises(InvalidInterval):
        parse_span(text)
