"""A page costs the page (FL-3, CO-5, …): every list is found by an index and is already in order."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.store import load_queries, open_store

PAGE = {"at": 0, "num": 0, "limit": 10}
LOOK_UPS: dict[str, dict[str, dict[str, Any]]] = {
    "holdfast.flows": {
        "list_by_owner": {"owner": "o", **PAGE},
        "list_by_status": {"status": "running", **PAGE},
        "list_flows": {"num": 0, "limit": 10},
        "list_events": {"id": "x", "num": 0, "limit": 10},
        "ids_between": {"low": "x", "high": "y", "limit": 10},
        "prunable": {"before": 0, "limit": 10},
    },
    "holdfast.packages": {
        "list_packages": {"deployed_at": 0, "workflow_type": "a", "content_hash": "b", "limit": 10},
        "list_routes": {"workflow_type": "a", "limit": 10},
        "holding": {"workflow_type": "a", "content_hash": "b", "limit": 10},
        "unfinished": {"workflow_type": "a", "content_hash": "b", "limit": 10},
        "ended": {"workflow_type": "a", "content_hash": "b", "limit": 10},
        "has_package": {"workflow_type": "a", "content_hash": "b"},
        "get_archive": {"content_hash": "b"},
        "has_archive": {"content_hash": "b"},
        "has_versions": {"workflow_type": "a"},
        "list_signatures": {"content_hash": "b"},
        "walk_versions": {"deployed_at": 0, "workflow_type": "a", "content_hash": "b", "limit": 10},
        "hashes_between": {"low": "a", "high": "b", "limit": 10},
        "hashes_of_type": {"workflow_type": "a", "low": "a", "high": "b", "limit": 10},
    },
    "holdfast.plans": {"list_plans": PAGE, "list_by_status": {"status": "applied", **PAGE}},
    "holdfast.councils": {
        "list_runs": PAGE,
        "list_by_status": {"status": "running", **PAGE},
        "list_live": {"id": "x", "seq": 0, "limit": 10},
        "list_events": {"id": "x", "seq": 0, "limit": 10},
        "last_wave": {"run": 1},
        "supersede": {"run": 1, "now": 0, "wave_index": 0},
        "lock_left_behind": {},
        "prunable": {"before": 0, "limit": 10},
        "prune_superseded": {"before": 0, "limit": 10},
    },
    "holdfast.audit": {
        "last_row": {"subject": "s", "act": "a"},
        "list_rows": {"seq": 9, "limit": 10},
        "list_subject": {"subject": "s", "seq": 9, "limit": 10},
        "chain_page": {"seq": 0, "limit": 10},
        "list_checkpoints": {"seq": 9, "at": 9, "limit": 10},
    },
}


@pytest.mark.parametrize(
    ("room", "query"), [(room, query) for room, queries in LOOK_UPS.items() for query in queries], ids=str
)
def test_a_page_costs_the_page(sqlite_url: str, room: str, query: str) -> None:
    with open_store(sqlite_url) as store:
        text = "EXPLAIN QUERY PLAN " + load_queries(room)[query].sqlite
        plan = [row[3] for row in store.read(lambda tx: tx.fetch(text, LOOK_UPS[room][query]))]
    assert plan
    assert not [line for line in plan if line.startswith("SCAN") or "TEMP B-TREE" in line], plan
