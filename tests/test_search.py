"""Search by tag, owner, type, status and time: by indexes alone, and alike to looking at everything."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from holdfast import Holdfast, workflow
from holdfast.cli.views import halted
from holdfast.errors import InvalidId, InvalidInput
from holdfast.flows import Flow, FlowStatus, SqlFlowStore, search
from holdfast.flows.engine.port import HALTED
from holdfast.flows.errors import FlowNotFound, InvalidSearch
from holdfast.flows.search import STATUSES
from holdfast.flows.search import search as find
from holdfast.ids import new_id
from holdfast.pages import InvalidCursor, InvalidLimit
from holdfast.store import Store, Transaction, load_queries, open_store
from holdfast.testing.flows.samples import LONG_AGO, make_flow

TYPES = ["one", "two", "three", "Three"]
OWNERS = ["", "ann", "bob"]
TAGS = {"env": ["prod", "test"], "team": ["a", "b", "c"]}


def minute(number: int) -> datetime:
    return LONG_AGO + timedelta(minutes=number)


def any_flow(chance: random.Random, parents: Sequence[UUID] = ()) -> Flow:
    status = chance.choice([*FlowStatus, FlowStatus.FINISHED, FlowStatus.FINISHED])
    paused = not status.terminal and chance.random() < 0.2
    return make_flow(
        workflow_type=chance.choice(TYPES),
        status=status,
        owner_session_key=chance.choice(OWNERS),
        created_at=minute(chance.randrange(40)),
        paused=paused,
        error={"kind": "E"} if (paused or status is FlowStatus.FAILED) and chance.random() < 0.5 else None,
        parent=chance.choice([None, *parents]),
        tags={name: chance.choice(values) for name, values in TAGS.items() if chance.random() < 0.7},
    )


def any_question(chance: random.Random, parents: Sequence[UUID]) -> dict[str, Any]:
    """Each condition with a third's probability."""
    since = minute(chance.randrange(40))
    everything: dict[str, Any] = {
        "tags": {name: chance.choice(values) for name, values in TAGS.items() if chance.random() < 0.6},
        "workflow_type": chance.choice([*TYPES, "none"]),
        "status": chance.choice(STATUSES),
        "owner": chance.choice(OWNERS),
        "since": since,
        "until": since + timedelta(minutes=chance.randrange(30)),
        "paused": chance.random() < 0.5,
        "parent": chance.choice(parents),
    }
    return {name: value for name, value in everything.items() if chance.random() < 0.35}


def fits(flow: Flow, asked: dict[str, Any]) -> bool:
    """The question written down a second time."""
    return (
        asked.get("tags", {}).items() <= flow.tags.items()
        and asked.get("workflow_type", flow.workflow_type) == flow.workflow_type
        and (halted(flow) if asked.get("status") == HALTED else asked.get("status", flow.status) is flow.status)
        and asked.get("parent", flow.parent) == flow.parent
        and asked.get("owner", flow.owner_session_key) == flow.owner_session_key
        and asked.get("since", flow.created_at) <= flow.created_at
        and flow.created_at < asked.get("until", datetime.max.replace(tzinfo=UTC))
        and asked.get("paused", flow.paused) is flow.paused
    )


@contextmanager
def filled(url: str, flows: list[Flow]) -> Iterator[Store]:
    def fill(tx: Transaction) -> None:
        for flow in flows:
            SqlFlowStore(tx).insert(flow)

    with open_store(url) as store:
        store.run(fill)
        yield store


def all_of(store: Store, asked: dict[str, Any], limit: int | None) -> list[Flow]:
    """Page after page; each is full unless it is the last."""
    page = store.read(lambda tx: find(tx, **asked, limit=limit))
    found = page.items
    while page.next is not None:
        assert len(page.items) == limit
        after = page.next
        page = store.read(lambda tx: find(tx, **asked, limit=limit, after=after))  # noqa: B023
        found = found + page.items
    return found


@pytest.mark.parametrize(("probe", "chunk"), [(500, 16), (3, 1)])
def test_search_finds_what_fits(store_url: str, probe: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever index is followed, and however often it has to be asked on."""
    monkeypatch.setattr(search, "PROBE", probe)
    monkeypatch.setattr(search, "CHUNK", chunk)
    chance = random.Random(7)
    flows = [any_flow(chance) for _ in range(3)]
    parents = [flow.id for flow in flows]
    flows += [any_flow(chance, parents) for _ in range(150)]
    with filled(store_url, flows) as store:
        newest_first = [flow for _, flow in sorted(enumerate(flows), key=lambda x: (x[1].created_at, x[0]))][::-1]
        for _ in range(150):
            asked = any_question(chance, parents)
            limit = chance.choice([None, 1, 3, 10, 1000])
            found = all_of(store, asked, limit)
            assert [flow.id for flow in found] == [flow.id for flow in newest_first if fits(flow, asked)], asked


def test_search_gives_whole_records(store_url: str) -> None:
    flow = make_flow(tags={"a": "1"}, queue="q", queue_key="k", priority=3, goal="g")
    with filled(store_url, [flow]) as store:
        (found,) = store.read(lambda tx: find(tx, tags={"a": "1"})).items
        assert found == store.read(lambda tx: SqlFlowStore(tx).get(flow.id))
        assert found.tags == {"a": "1"}


@workflow
async def idle() -> None:
    pass


def test_flows_that_were_started_are_found_by_their_tags(store_url: str) -> None:
    with Holdfast(store_url, workflows=[idle], worker=False) as hf:
        first = hf.start(idle, tags={"env": "prod"})
        second = hf.start(idle, tags={"env": "prod", "team": "a"})
        hf.start(idle, tags={"env": "test"})
        assert [flow.id for flow in hf.search(tags={"env": "prod"}).items] == [second.id, first.id]
        assert [flow.id for flow in hf.search(tags={"env": "prod", "team": "a"}).items] == [second.id]
        page = hf.search(workflow_type=idle.name, status="created", limit=2)
        assert len(page.items) == 2
        assert len(hf.search(workflow_type=idle.name, status="created", after=page.next).items) == 1


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"status": "nonsense"}, InvalidSearch),
        ({"parent": "nonsense"}, InvalidId),
        ({"parent": new_id()}, FlowNotFound),
        ({"since": minute(2), "until": minute(1)}, InvalidSearch),
        ({"since": datetime(2030, 1, 1)}, InvalidInput),
        ({"tags": {"": "x"}}, InvalidInput),
        ({"tags": {"a": "\0"}}, InvalidInput),
        ({"owner": "\ud800"}, InvalidInput),
        ({"workflow_type": "\0"}, InvalidInput),
        ({"limit": -1}, InvalidLimit),
        ({"after": "x"}, InvalidCursor),
        ({"after": "1.2.3"}, InvalidCursor),
    ],
)
def test_questions_that_make_no_sense(store_url: str, wrong: dict[str, Any], kind: type[Exception]) -> None:
    with open_store(store_url) as store, pytest.raises(kind):
        store.read(lambda tx: find(tx, **wrong))


def test_an_empty_page_asks_nothing(sqlite_url: str) -> None:
    with filled(sqlite_url, [make_flow()]) as store:
        assert store.read(lambda tx: find(tx, limit=0)) == ([], None)


SOUGHT: dict[str, Any] = {"since": 0, "workflow_type": None, "status": None, "owner": None, "paused": None, "limit": 10}
SOUGHT |= {"halted": None, "parent": None}
QUERIES: dict[str, tuple[dict[str, Any], str]] = {
    "search_kinds": (SOUGHT, "flows_search (workflow_type=? AND status=?"),
    "search_tag": (
        SOUGHT | {"name": "a", "value": "b", "at": 9, "num": 9},
        "t USING PRIMARY KEY (name=? AND value=? AND created_at",
    ),
    "search_owner": (SOUGHT | {"owner": "o", "at": 9, "num": 9}, "flows_owner (owner_session_key=? AND"),
    "search_paused": (SOUGHT | {"at": 9, "num": 9}, "flows_paused (created_at>?"),
    "search_children": (SOUGHT | {"parent": 1, "at": 9, "num": 9}, "flows_children (parent=? AND"),
    "found": ({}, "INTEGER PRIMARY KEY (rowid=?)"),
    "workflow_types": ({}, "COVERING INDEX flows_search (workflow_type>?)"),
}


@pytest.mark.parametrize("name", QUERIES)
def test_search_goes_by_indexes(sqlite_url: str, name: str) -> None:
    params, index = QUERIES[name]
    rows: Any = {"search_kinds": [("one", "created", 9, 9)], "found": [(1,)]}.get(name)
    text = "EXPLAIN QUERY PLAN " + load_queries("holdfast.flows")[name].sqlite
    with open_store(sqlite_url) as store:
        plan = [row[3] for row in store.read(lambda tx: tx.fetch(text, params, rows=rows))]
    assert [line for line in plan if index in line], plan
    assert not [line for line in plan if re.match(r"SCAN (flows|f|t|found)\b", line) or "TEMP B-TREE" in line], plan
