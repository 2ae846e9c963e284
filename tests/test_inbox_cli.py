"""``holdfast event``, ``signal`` and ``approval``."""

from __future__ import annotations

import io
from uuid import UUID

import pytest

from holdfast.flows.inbox import sql
from holdfast.ids import row_id
from holdfast.store import open_store
from tests.cli_kit import Run
from tests.inbox_kit import add_flows, answers, ask, event, flow_id, signal


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
        ("signal", "send", "x", "stop"),
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
