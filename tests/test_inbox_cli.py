"""``holdfast event``, ``signal`` and ``approval``."""

from __future__ import annotations

import io
from uuid import UUID

import pytest

from holdfast.cli.showing import WAITS_SHOWN
from holdfast.flows.inbox import manager, sql
from holdfast.ids import row_id
from holdfast.store import Transaction, open_store
from tests.cli_kit import Run
from tests.inbox_kit import HOUR, add_flows, answers, approval, ask, child, event, flow_id, set_flow, signal


@pytest.fixture
def asked(url: str) -> UUID:
    """A store with three flows: the first waits for approval, the second for an event, the third for a signal."""
    with open_store(url) as store:
        store.run(lambda tx: add_flows(tx, 3))
        store.run(lambda tx: sql.register(tx, [event(2), signal(3)]))
        return store.run(lambda tx: ask(tx, 1, what={"amount": 10}))


def told(url: str, flow: int) -> list[str | None]:
    with open_store(url) as store:
        return store.read(lambda tx: answers(tx, flow))


def test_events(run: Run, url: str, asked: UUID, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ("--store", url)
    sent = run("event", "emit", "shipped", "A-17", '{"by": "sea"}', *store, "--json")
    assert sent.code == 0
    assert sent.json == {"id": str(row_id(1)), "delivered": True, "duplicate": False}
    assert told(url, 2) == ['{"by":"sea"}']
    monkeypatch.setattr("sys.stdin", io.StringIO("[1, 2]"))
    kept = run("event", "emit", "shipped", "B-1", "-", "--key", "k", "--ttl", "3600", *store)
    assert "is kept until a flow waits for it" in kept.out
    assert "dropped" in run("event", "emit", "shipped", "B-1", "--key", "k", *store).out
    listed = run("event", "ls", "--topic", "shipped", *store, "--json").json
    assert listed["next"] is None
    (item,) = listed["items"]
    assert (item["topic"], item["correlation_id"], item["key"], item["payload"]) == ("shipped", "B-1", "k", [1, 2])
    shown = run("event", "ls", *store).out
    assert "B-1" in shown
    assert "[1,2]" in shown
    assert "No events." in run("event", "ls", "--topic", "other", *store).out
    run("event", "emit", "shipped", "B-2", *store)
    assert "--after" in run("event", "ls", "--limit", "1", *store).out


def test_signals(run: Run, url: str, asked: UUID) -> None:
    sent = run("signal", "send", str(flow_id(3)), "stop", '"now"', "--store", url)
    assert "was delivered" in sent.out
    assert told(url, 3) == ['"now"']
    assert not run("signal", "send", str(flow_id(3)), "other", "--store", url, "--json").json["delivered"]
    assert run("signal", "send", str(flow_id(9)), "stop", "--store", url).code == 3


def test_an_event_is_removed(run: Run, url: str, asked: UUID) -> None:
    store = ("--store", url)
    kept = run("event", "emit", "shipped", "B-1", '"secret"', "--key", "k", *store, "--json").json["id"]
    taken = run("event", "emit", "shipped", "A-17", *store, "--json").json["id"]
    removed = run("event", "rm", kept, *store, "--json")
    assert (removed.code, removed.json["id"], removed.json["correlation_id"]) == (0, kept, "B-1")
    assert run("event", "ls", *store, "--json").json["items"] == []
    (act,) = run("audit", "ls", *store, "--json").json["items"]
    assert (act["act"], act["subject"], act["detail"]["key"]) == ("event.discarded", kept, "k")
    assert "secret" not in str(act)
    for wrong, code, name in ((kept, 3, "message_not_found"), (taken, 4, "message_taken"), ("x", 2, "invalid_id")):
        refused = run("event", "rm", wrong, *store, "--json")
        assert (refused.code, refused.error["code"]) == (code, name)
    assert run("event", "emit", "shipped", "B-1", "--key", "k", *store, "--json").json["duplicate"] is False


def test_a_signal_is_removed(run: Run, url: str, asked: UUID) -> None:
    store = ("--store", url)
    sent = [run("signal", "send", str(flow_id(1)), name, *store, "--json").json["id"] for name in ("go", "stop")]
    page = run("signal", "ls", str(flow_id(1)), "--limit", "1", *store, "--json").json
    assert [item["name"] for item in page["items"]] == ["go"]
    page = run("signal", "ls", str(flow_id(1)), "--after", page["next"], *store, "--json").json
    assert [(item["id"], item["name"], item["flow_id"]) for item in page["items"]] == [
        (sent[1], "stop", str(flow_id(1)))
    ]
    assert run("event", "rm", sent[0], *store).code == 3
    assert "is removed" in run("signal", "rm", sent[0], *store).out
    human = run("signal", "ls", str(flow_id(1)), *store).out
    assert sent[1] in human
    assert sent[0] not in human
    (act,) = run("audit", "ls", "--subject", str(flow_id(1)), *store, "--json").json["items"]
    assert act["act"] == "signal.discarded"
    assert "No signals." in run("signal", "ls", str(flow_id(2)), *store).out
    assert run("signal", "ls", str(flow_id(9)), *store).code == 3


def test_show_says_what_a_flow_waits_for(run: Run, url: str, asked: UUID) -> None:
    store = ("--store", url)

    def more(tx: Transaction) -> None:
        sql.register(tx, [event(1), signal(1), child(1, 4), event(1, 2, "answered")])
        sql.register(tx, [approval(3, approvers=("ann", "bob"), expires_at=HOUR)])
        manager.emit(tx, "answered", "A-17")
        set_flow(tx, 2, due_at=4_000_000_000_000_000)

    with open_store(url) as opened:
        opened.run(lambda tx: add_flows(tx, 1))
        opened.run(more)
    told = run("flow", "show", str(flow_id(1)), *store, "--json").json["waits"]
    assert [(wait["kind"], wait["name"], wait["correlation_id"], wait["child"]) for wait in told["items"]] == [
        ("approval", "pay", None, None),
        ("child", None, None, str(flow_id(4))),
        ("event", "shipped", "A-17", None),
        ("signal", "stop", None, None),
    ]
    assert (told["items"][0]["approvers"], told["items"][0]["id"]) == ([], str(asked))
    human = run("flow", "show", str(flow_id(1)), *store).out
    assert "shipped" in human
    assert "A-17" in human
    assert "anybody" in human
    listed = run("flow", "waits", str(flow_id(1)), "--limit", "3", *store, "--json").json
    rest = run("flow", "waits", str(flow_id(1)), "--after", listed["next"], *store, "--json").json
    assert listed["items"] + rest["items"] == told["items"]
    timed = run("flow", "show", str(flow_id(2)), *store, "--json").json["waits"]
    assert timed["timer"] == "2096-10-02T07:06:40Z"
    assert "timer" in run("flow", "show", str(flow_id(2)), *store).out
    (may,) = [
        wait for wait in run("flow", "waits", str(flow_id(3)), *store, "--json").json["items"] if wait["approvers"]
    ]
    assert (may["approvers"], may["expires_at"]) == (["ann", "bob"], "1970-01-01T01:00:00Z")
    assert "It waits for nothing." in run("flow", "waits", str(flow_id(4)), *store).out


def test_many_waits_are_shown_by_the_page(run: Run, url: str, asked: UUID) -> None:
    with open_store(url) as opened:
        opened.run(lambda tx: sql.register(tx, [event(2, call) for call in range(2, 40)]))
    told = run("flow", "show", str(flow_id(2)), "--store", url, "--json").json["waits"]
    assert len(told["items"]) == WAITS_SHOWN
    assert told["next"]
    assert f"holdfast flow waits {flow_id(2)}" in run("flow", "show", str(flow_id(2)), "--store", url).out


def test_approvals(run: Run, url: str, asked: UUID) -> None:
    store = ("--store", url)
    (item,) = run("approval", "ls", *store, "--json").json["items"]
    assert (item["id"], item["flow_id"], item["what"]) == (str(asked), str(flow_id(1)), {"amount": 10})
    assert str(asked) in run("approval", "ls", "--flow", str(flow_id(1)), *store).out
    assert "Nothing waits for approval." in run("approval", "ls", "--flow", str(flow_id(2)), *store).out
    shown = run("approval", "show", str(asked), *store).out
    assert item["digest"] in shown
    assert "anybody" in shown
    refused = run("approval", "approve", str(asked), "--digest", "0", *store, "--json")
    assert (refused.code, refused.error["code"]) == (4, "approval_digest_mismatch")
    done = run("approval", "approve", str(asked), "--note", "[bold]fine", "--digest", item["digest"], *store)
    assert "was approved by" in done.out
    assert "[bold]fine" in done.out
    assert "approved by" in run("approval", "show", str(asked), *store).out
    again = run("approval", "reject", str(asked), *store, "--json")
    assert (again.code, again.error["code"]) == (4, "approval_answered")
    (act,) = run("audit", "ls", "--subject", str(flow_id(1)), *store, "--json").json["items"]
    assert act["act"] == "flow.approved"
    assert run("approval", "show", str(row_id(99)), *store).code == 3


@pytest.mark.parametrize(
    "args",
    [
        ("event", "emit", "shipped", "A-17", "{oops"),
        ("event", "emit", "shipped", ""),
        ("event", "emit", "", "A-17"),
        ("event", "emit", "shipped", "A-17", "--ttl", "-1"),
        ("event", "emit", "shipped", "A-17", "--ttl", "nan"),
        ("event", "emit", "shipped", "A-17", "--key", ""),
        ("event", "ls", "--after", "x"),
        ("event", "rm", "x"),
        ("signal", "send", "x", "stop"),
        ("signal", "ls", "x"),
        ("signal", "rm", "x"),
        ("signal", "send", str(flow_id(1)), ""),
        ("approval", "show", "x"),
    ],
)
def test_bad_input(run: Run, sqlite_url: str, args: tuple[str, ...]) -> None:
    open_store(sqlite_url).close()
    refused = run(*args, "--store", sqlite_url, "--json")
    assert refused.code == 2
    assert refused.error["remedy"]


def test_a_payload_that_is_no_json_is_explained(run: Run, sqlite_url: str) -> None:
    open_store(sqlite_url).close()
    refused = run("event", "emit", "shipped", "A-17", "hello", "--store", sqlite_url)
    assert "'hello' is no JSON" in refused.err
    assert '"in double quotes"' in refused.err
