"""Why an approval takes no answer any more: what can be told once the flow has gone on, and its request is gone."""

from __future__ import annotations

import json
from uuid import UUID

from holdfast.clock import to_datetime
from holdfast.errors import HoldfastError
from holdfast.flows.inbox.errors import ApprovalAnswered, ApprovalNotFound, ApprovalOver
from holdfast.ids import row_num
from holdfast.store import Transaction, load_queries

_q = load_queries("holdfast.flows.inbox.late")
LOOKED_AT = 20_000
"""So many of the latest rows of the audit chain tell who answered what: a look takes a few milliseconds."""


def why_late(tx: Transaction, approval_id: UUID) -> HoldfastError:
    """The error for an answer to what no flow asks for now: who answered it and when, where the audit chain tells; that
    it is over, where it was once asked for; or that there is none such."""
    pattern = f'%"approval":"{approval_id}"%'
    row = tx.fetch_one(_q["answered"], {"pattern": pattern, "looked_at": LOOKED_AT})
    if row is not None:
        at, act, detail = row
        approved = act == "flow.approved"
        return ApprovalAnswered(approval_id, json.loads(detail)["by"], approved=approved, at=to_datetime(at))
    num = row_num(approval_id)
    if num is not None and tx.fetch_one(_q["over"], {"num": num}) is not None:
        return ApprovalOver(approval_id)
    return ApprovalNotFound(approval_id)
