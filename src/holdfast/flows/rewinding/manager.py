"""Rewind, fork, retry: a flow goes on from an earlier place of its history (FL-16).

What is undone is kept under the attempt in which it happened, and marked with the attempt that undid it. Addresses of
messages are locked before the flow's row, as those who send do.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from holdfast import codec
from holdfast.errors import NotFound
from holdfast.flows import manager
from holdfast.flows.errors import (
    AlreadyTerminal,
    FlowCancelled,
    FlowExists,
    FlowFailed,
    FlowNotFound,
    RevisionMismatch,
    StartRefused,
    StepFailed,
    WaitTimedOut,
)
from holdfast.flows.inbox.sql import release, withdraw_flows
from holdfast.flows.model import Flow, FlowStatus
from holdfast.flows.patches import merge_patch
from holdfast.flows.requests import check_key
from holdfast.flows.rewinding.errors import FlowRunning, NothingToRetry, PlaceTaken
from holdfast.flows.rewinding.model import Cut, Kept, Target, position_of
from holdfast.flows.rewinding.sql import Locked, SqlHistory
from holdfast.flows.sql import SqlFlowStore
from holdfast.ids import new_id, parse_id
from holdfast.store import Transaction
from holdfast.text import check_text

REWOUND, FORKED, RETRIED = "rewound", "forked", "retried"
_TELLING = {f"{kind.__module__}.{kind.__qualname__}" for kind in (StepFailed, FlowFailed, FlowCancelled, StartRefused)}
"""What a recorded failure is called once it has passed through the workflow."""
_TIMED_OUT = {f"{kind.__module__}.{kind.__qualname__}" for kind in (WaitTimedOut, TimeoutError)}
"""What a time-out is called that has passed through the workflow; its record is that of a timer."""
_NOTHING = "{}"
"""A patch that changes nothing but the flow's own time."""


def rewind(
    tx: Transaction, flow_id: UUID, to_step: Target, *, patch: dict[str, Any] | None = None, note: str = ""
) -> Flow:
    """Have a flow go on from an earlier place, from whatever status: it replays what is kept, and nothing of that runs
    again (FL-16). Worlds are not put back here: :func:`holdfast.rewind.rewind` does both.

    Args:
        to_step: how many records to keep, or the run id of the last one.
        patch: a merge patch (RFC 7396) of the flow's state, which the workflow sees from this place on (FL-15).
        note: why, for the history.

    Raises:
        FlowNotFound: unknown id.
        FlowRunning: a worker holds it.
        NoSuchStep, RewindBeyondEnd: there is no such place.
        InvalidPatch, NotSerialisable, PayloadTooLarge, InvalidInput: the patch or the note cannot be used.
        PlaceTaken: another flow has its deduplication key by now.
        RevisionMismatch: somebody else changed it meanwhile.
    """
    return undo(tx, locate(tx, flow_id, to_step), patch=patch, note=note)


def locate(tx: Transaction, flow_id: UUID, target: Target) -> Cut:
    """The place that ``target`` names.

    Raises:
        FlowNotFound, FlowRunning, NoSuchStep, RewindBeyondEnd: as :func:`rewind`.
    """
    flow, num, kept = look(tx, flow_id)
    cut = Cut(flow, num, kept, position_of(flow_id, kept, target))
    if flow.epoch is not None:
        raise FlowRunning(flow_id, flow.epoch)
    return cut


def look(tx: Transaction, flow_id: UUID) -> tuple[Flow, int, list[Kept]]:
    """A flow, its number and the records that are kept.

    Raises:
        FlowNotFound: unknown id.
    """
    flow = SqlFlowStore(tx).get(flow_id)
    num = SqlHistory(tx).num(flow_id)
    if flow is None or num is None:
        raise FlowNotFound(flow_id)
    return flow, num, SqlHistory(tx).kept(num)


def undo(
    tx: Transaction, cut: Cut, *, patch: dict[str, Any] | None = None, note: str = "", kind: str = REWOUND
) -> Flow:
    """Undo what is behind ``cut``; see :func:`rewind`.

    Args:
        kind: how the history calls it.
    """
    flow, history, attempt = cut.flow, SqlHistory(tx), cut.flow.attempt + 1
    state, change = patched(flow, patch)
    check_text(note, "note")
    withdraw_flows(tx, [cut.num])
    release(tx, cut.num, history.triggers_after(cut.num, cut.record))
    _lock(tx, cut)
    superseded = history.supersede(cut.num, cut.record, attempt)
    history.forget_progress(cut.num)
    for child in history.superseded_children(cut.num, attempt):
        _cancel(tx, child)
    if change is not None or cut.anew:
        history.add_patch(cut.num, attempt, change or _NOTHING)
    history.set_back(cut.num, attempt=attempt, state=state, cancelled=_cancelled(cut))
    detail = {
        "from_attempt": flow.attempt,
        "to_attempt": attempt,
        "position": cut.position,
        "last": cut.run_id,
        "superseded": superseded,
        "patch": patch,
        "note": note,
        "by": tx.actor,
    }
    SqlFlowStore(tx).append_event(flow.id, kind, detail)
    if flow.status.terminal:
        _revive_children(tx, cut.num, failed=kind == RETRIED)
    return _present(tx, flow.id)


def fork(
    tx: Transaction,
    flow_id: UUID,
    at_step: Target,
    *,
    id: UUID | str | None = None,
    key: str | None = None,
    patch: dict[str, Any] | None = None,
) -> Flow:
    """Make another flow that goes on from a place of this one, which stays as it is (FL-16).

    It has copies of the records up to there, the same arguments, beginning, chance, tags and queue, but no parent, key
    or deduplication key of the other's. Its attempt is the other's next, so that no run id comes twice. It shares the
    children that were started before that place: it gets the same results.

    Args:
        at_step: how many records to copy, or the run id of the last one.
        id, key: of the fork.
        patch: as for :func:`rewind`, of the fork's state.

    Raises:
        FlowNotFound, NoSuchStep, RewindBeyondEnd: there is no such place.
        InvalidId: a malformed id or key.
        FlowExists: the id or key is taken.
        InvalidPatch, NotSerialisable, PayloadTooLarge: the patch cannot be used.
    """
    flow, num, kept = look(tx, flow_id)
    return copy(tx, Cut(flow, num, kept, position_of(flow_id, kept, at_step)), id=id, key=key, patch=patch)[0]


def copy(
    tx: Transaction, cut: Cut, *, id: UUID | str | None = None, key: str | None = None, patch: dict[str, Any] | None
) -> tuple[Flow, int]:
    """:func:`fork` at a place that was looked up; gives the number of the fork, too."""
    flow, history = cut.flow, SqlHistory(tx)
    fork_id = new_id() if id is None else parse_id(id)
    check_key(key, "a key")
    state, change = patched(flow, patch)
    if history.lock(flow.id) is None:
        raise FlowNotFound(flow.id)
    num = history.fork(cut.num, fork_id, key, cut.record, state=state, cancelled=_cancelled(cut))
    if num is None:
        raise _taken(tx, flow.workflow_type, None if id is None else fork_id, key)
    if change is not None:
        history.add_patch(num, flow.attempt + 1, change)
    place = {"position": cut.position, "last": cut.run_id, "by": tx.actor}
    flows = SqlFlowStore(tx)
    flows.append_event(flow.id, FORKED, place | {"to": str(fork_id)})
    flows.append_event(fork_id, FORKED, place | {"from": str(flow.id), "patch": patch})
    return _present(tx, fork_id), num


def _taken(tx: Transaction, workflow_type: str, wanted: UUID | None, key: str | None) -> FlowExists:
    """The error for an id or key that another flow has."""
    if wanted is not None and SqlFlowStore(tx).get(wanted) is not None:
        return FlowExists(f"A flow {wanted} exists.", remedy="Use a fresh id, or none.")
    holder = SqlHistory(tx).key_holder(workflow_type, key)
    return FlowExists(f"The key {key!r} belongs to the flow {holder}.", remedy="Use a fresh key, or none.")


def retry(tx: Transaction, flow_id: UUID) -> Flow:
    """Have a failed or cancelled flow go on: all that succeeded is kept.

    A recorded failure that ended the flow is undone together with what came after it, so that the step is tried again;
    so is a time-out, so that what did not come is waited for again, for as long. After any other error only the code
    behind the last record runs again. Of a cancelled flow the request to cancel is undone, and what came after it.
    Children that failed or were cancelled, and of which the flow has not heard yet, are retried as well.

    Raises:
        FlowNotFound: unknown id.
        NothingToRetry: it has neither failed nor was it cancelled.
        PlaceTaken, RevisionMismatch: as :func:`rewind`.
    """
    return undo(tx, locate_failure(tx, flow_id), kind=RETRIED)


def locate_failure(tx: Transaction, flow_id: UUID) -> Cut:
    """The place from which a retry goes on.

    Raises:
        FlowNotFound, NothingToRetry: as :func:`retry`.
    """
    flow, num, kept = look(tx, flow_id)
    if flow.status not in (FlowStatus.FAILED, FlowStatus.CANCELLED):
        raise NothingToRetry(flow_id, flow.status)
    history = SqlHistory(tx)
    if flow.status is FlowStatus.CANCELLED:
        first, timer = history.first_cancel(num), None
    else:
        first, timer = _failure(history, flow, num), _timer(history, flow, num)
    undone = [record for record in (first, timer) if record is not None]
    position = sum(record.num < max(undone) for record in kept) if undone else len(kept)
    return Cut(flow, num, kept, position, anew=timer is not None and timer == max(undone))


def _failure(history: SqlHistory, flow: Flow, num: int) -> int | None:
    """The record of the failure that ended the flow, if one did."""
    failed = history.last_failed(num)
    return failed[0] if failed and _ended_by(flow) in {*_TELLING, failed[1].get("kind")} else None


def _timer(history: SqlHistory, flow: Flow, num: int) -> int | None:
    """The record of the time-out that ended the flow, if one did."""
    return history.last_timer(num) if _ended_by(flow) in _TIMED_OUT else None


def _ended_by(flow: Flow) -> str | None:
    return (flow.error or {}).get("kind")


def patched(flow: Flow, patch: dict[str, Any] | None) -> tuple[str, str | None]:
    """The flow's state after the patch, and the patch, as JSON.

    Raises:
        InvalidPatch, NotSerialisable, PayloadTooLarge, InvalidInput: it cannot be used.
    """
    if patch is None:
        return codec.encode(flow.state), None
    merged = codec.encode(merge_patch(flow.state, patch), what="The patched state")
    text = codec.encode(patch, what="The patch")
    check_text(text, "patch")
    return merged, text


def _lock(tx: Transaction, cut: Cut) -> Locked:
    """Have the flow for oneself, if it still is as it was when the place was looked up."""
    flow = cut.flow
    locked = SqlHistory(tx).lock(flow.id)
    present = SqlFlowStore(tx).get(flow.id)
    if locked is None or present is None:
        raise FlowNotFound(flow.id)
    if present.epoch is not None:
        raise FlowRunning(flow.id, present.epoch)
    if present.revision != flow.revision:
        raise RevisionMismatch(flow.id, flow.revision, present.revision)
    if flow.status.terminal and locked.queue is not None and locked.dedupe is not None:
        holder = SqlHistory(tx).dedupe_holder(locked.queue, locked.dedupe)
        if holder is not None:
            raise PlaceTaken(flow.id, locked.queue, locked.dedupe, holder)
    return locked


def _cancelled(cut: Cut) -> bool:
    """Whether a request to cancel is among what stays: it is sticky (FL-13)."""
    return any(record.task == "cancel" for record in cut.kept[: cut.position])


def _cancel(tx: Transaction, child: str) -> None:
    try:
        manager.cancel(tx, parse_id(child))
    except (AlreadyTerminal, NotFound):
        return  # it has ended by itself, or was pruned


def _revive_children(tx: Transaction, num: int, *, failed: bool) -> None:
    for child in SqlHistory(tx).unseen_endings(num, failed=failed):
        retry(tx, parse_id(child))


def _present(tx: Transaction, flow_id: UUID) -> Flow:
    found = SqlFlowStore(tx).get(flow_id)
    if found is None:
        raise FlowNotFound(flow_id)
    return found
