"""``holdfast queue``."""

from __future__ import annotations

import pytest

from holdfast.flows.queues import Queue, Rate
from holdfast.flows.queues.manager import declare
from holdfast.flows.requests import StartOptions, make_start
from holdfast.flows.starts import insert_all
from holdfast.store import open_store
from tests.cli_kit import Run


@pytest.fixture
def queues(url: str) -> str:
    """A store with two queues, a flow waiting in one of them."""
    with open_store(url) as store:
        store.run(lambda tx: declare(tx, [Queue("mail", concurrency=2, rate=Rate(10, 60)), Queue("idle")]))
        store.run(lambda tx: insert_all(tx, [make_start("w", "{}", 0, StartOptions(queue="mail"))]))
    return url


MAIL = {
    "name": "mail", "concurrency": 2, "per_worker": None, "per_key": None, "rate": {"count": 10, "seconds": 60.0},
    "paused": False, "ready": 1, "running": 0, "later": 0,
}  # fmt: skip


def test_ls_and_show(queues: str, run: Run) -> None:
    listed = run("queue", "ls", "--store", queues, "--json").json
    assert [item["name"] for item in listed["items"]] == ["idle", "mail"]
    assert listed["items"][1] == MAIL
    first = run("queue", "ls", "--store", queues, "--limit", "1", "--json").json
    assert first["next"] == "idle"
    rest = run("queue", "ls", "--store", queues, "--after", "idle", "--json").json
    assert ([item["name"] for item in rest["items"]], rest["next"]) == (["mail"], None)
    assert run("queue", "show", "mail", "--store", queues, "--json").json == MAIL
    human = run("queue", "ls", "--store", queues).out
    assert "10 in 60 s" in human
    assert "There are more" in run("queue", "ls", "--store", queues, "--limit", "1").out
    assert "10 in 60 s" in run("queue", "show", "mail", "--store", queues).out


def test_no_queues(url: str, run: Run) -> None:
    open_store(url).close()
    assert "No queues." in run("queue", "ls", "--store", url).out


def test_set_changes_what_is_given(queues: str, run: Run) -> None:
    made = run("queue", "set", "new", "--per-key", "1", "--rate", "5/0.5", "--store", queues, "--json")
    assert made.code == 0
    assert (made.json["per_key"], made.json["rate"]) == (1, {"count": 5, "seconds": 0.5})
    changed = run("queue", "set", "mail", "--concurrency", "9", "--per-worker", "3", "--store", queues, "--json").json
    assert changed == MAIL | {"concurrency": 9, "per_worker": 3}
    lifted = run("queue", "set", "mail", "--concurrency", "none", "--rate", "none", "--store", queues, "--json").json
    assert lifted == MAIL | {"concurrency": None, "per_worker": 3, "rate": None}


def test_pause_resume_and_remove(queues: str, run: Run) -> None:
    assert run("queue", "pause", "mail", "--store", queues, "--json").json["paused"]
    assert "paused" in run("queue", "ls", "--store", queues).out
    assert not run("queue", "resume", "mail", "--store", queues, "--json").json["paused"]
    refused = run("queue", "rm", "mail", "--store", queues, "--json")
    assert (refused.code, refused.error["code"]) == (4, "queue_in_use")
    assert run("queue", "rm", "idle", "--store", queues, "--json").json == {"removed": "idle"}
    assert run("queue", "show", "idle", "--store", queues).code == 3


@pytest.mark.parametrize(
    ("arguments", "code", "name"),
    [
        (["show", "none"], 3, "queue_not_found"),
        (["pause", "none"], 3, "queue_not_found"),
        (["resume", "none"], 3, "queue_not_found"),
        (["rm", "none"], 3, "queue_not_found"),
        (["set", "mail", "--concurrency", "0"], 2, "invalid_queue"),
        (["set", "mail", "--concurrency", "many"], 2, "invalid_queue"),
        (["set", "mail", "--per-key", "-1"], 2, "invalid_queue"),
        (["set", "mail", "--rate", "10"], 2, "invalid_queue"),
        (["set", "mail", "--rate", "x/60"], 2, "invalid_queue"),
        (["set", "mail", "--rate", "0/60"], 2, "invalid_queue"),
        (["set", "mail", "--rate", "5/0"], 2, "invalid_queue"),
        (["set", "mail", "--rate", "5/nan"], 2, "invalid_queue"),
        (["set", "two\nlines"], 2, "invalid_queue"),
        (["ls", "--after", ""], 2, "invalid_cursor"),
    ],
)
def test_bad_input(queues: str, run: Run, arguments: list[str], code: int, name: str) -> None:
    refused = run("queue", *arguments, "--store", queues, "--json")
    assert (refused.code, refused.error["code"]) == (code, name)
    assert refused.error["remedy"]
    assert run("queue", "show", "mail", "--store", queues, "--json").json == MAIL
