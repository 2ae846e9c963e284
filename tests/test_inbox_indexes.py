"""The inbox among a million others costs the same: every look-up is by an index, on both databases, and in order."""

from __future__ import annotations

import re
from typing import Any

import pytest

from holdfast.flows.inbox import sql
from holdfast.store import Transaction, load_queries, open_store
from holdfast.store.queries import compile_sqlite
from tests.inbox_kit import add_flows, event

QUERIES = load_queries("holdfast.flows.inbox")
PLACE = ("event", "t", "c")
AT: dict[str, Any] = {"now": 1}
NAMED = dict(zip(("kind", "topic", "correlation"), PLACE, strict=True))
PAGE: dict[str, Any] = {"num": 0, "now": 0, "limit": 10}
LOOK_UPS: dict[str, tuple[dict[str, Any], tuple[Any, ...] | None]] = {
    "named_waits": ({}, (1, "r")),
    "waits_of": ({}, (1,)),
    "addresses": ({}, (1,)),
    "delete_waits": ({}, (1,)),
    "pairs": (AT, PLACE),
    "take": ({}, (1, 1)),
    "answer_by_event": (AT, (1, 1)),
    "answer": (AT, (1, "x", False)),
    "answer_children": (AT, ("x", "x", False)),
    "children": ({}, ("00000000-0000-4000-8000-000000000001",)),
    "touch": (AT, (1,)),
    "first_wait": (NAMED, None),
    "message": (NAMED | {"key": "k"}, None),
    "free_messages": ({}, (1,)),
    "taken": ({}, (1, "r")),
    "prolong": ({"least": 1}, (1,)),
    "collect": (AT | {"limit": 10}, None),
    "approval": ({"num": 1}, None),
    "approvals": (PAGE, None),
    "approvals_of_flow": (PAGE | {"flow": 1}, None),
    "pending_events": (PAGE, None),
    "pending_events_of_topic": (PAGE | {"topic": "t"}, None),
    "pending_signals": (PAGE | {"flow_id": "x"}, None),
    "found_message": ({"num": 1}, None),
    "open_waits": ({"flow": 1, "run_id": "", "limit": 10}, None),
}
SORTED_IN_MEMORY = {"addresses", "waits_of", "children"}
"""Their rows are those that were asked for by name: few, and to be put in order."""


def fill(tx: Transaction) -> None:
    """Enough for PostgreSQL to prefer an index."""
    add_flows(tx, 300)
    sql.register(tx, [event(n % 300 + 1, n, f"t{n % 50}", str(n)) for n in range(2000)])
    spread = "SELECT kind, topic, correlation, run_id || flow, '1', 0, num"
    tx.execute(f"INSERT INTO inbox (kind, topic, correlation, key, payload, sent_at, expires_at) {spread} FROM waits")


@pytest.mark.parametrize("query", LOOK_UPS)
def test_by_an_index_on_sqlite(sqlite_url: str, query: str) -> None:
    params, row = LOOK_UPS[query]
    compiled = compile_sqlite(QUERIES[query].sqlite, 1 if row else 0)
    values = [*row, 1, *(params[name] for name in compiled.names)] if row else params
    with open_store(sqlite_url) as store:
        plan = [line[3] for line in store.run(lambda tx: tx.fetch(f"EXPLAIN QUERY PLAN {compiled.text}", values))]  # type: ignore[arg-type]
    assert plan
    of_tables = [line for line in plan if not re.match(r"SCAN (\(|CONSTANT|\d+ CONSTANT|r\b|k\b|pairs\b)", line)]
    assert not [line for line in of_tables if line.startswith("SCAN")], plan
    assert query in SORTED_IN_MEMORY or not [line for line in plan if "TEMP B-TREE" in line], plan


@pytest.fixture
def filled(postgres_url: str) -> str:
    with open_store(postgres_url) as store:
        store.run(fill)
        for table in ("flows", "waits", "inbox"):
            store.run(lambda tx, table=table: tx.execute(f"ANALYZE {table}"))  # type: ignore[misc]
    return postgres_url


def test_by_an_index_on_postgres(filled: str) -> None:
    with open_store(filled) as store:
        for query, (params, row) in LOOK_UPS.items():
            text = "EXPLAIN " + QUERIES[query].postgres

            def explain(tx: Transaction, text: str = text, params: Any = params, row: Any = row) -> list[str]:
                tx.execute("SET LOCAL enable_seqscan = off")  # what is left of them has no index at all
                return [line for (line,) in tx.fetch(text, params, rows=[row] if row else None)]

            plan = store.run(explain)
            assert not [line for line in plan if "Seq Scan on" in line], (query, plan)
