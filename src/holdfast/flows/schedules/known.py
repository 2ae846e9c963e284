"""Which workflows the store has heard of. A schedule may be for any: another process may come to serve it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from holdfast.flows.model import type_served
from holdfast.store import Transaction, load_queries

_q = load_queries("holdfast.flows.schedules")
_MOST_NAMED = 3


def near_names(tx: Transaction, workflow_type: str) -> Sequence[str] | None:
    """``None`` where a worker has served that workflow, or a flow of it is there; else the known names that are near,
    the nearest first."""
    known = {type_served(name) for (name,) in tx.fetch(_q["known_workflows"])}
    return None if workflow_type in known else difflib.get_close_matches(workflow_type, sorted(known), n=_MOST_NAMED)
