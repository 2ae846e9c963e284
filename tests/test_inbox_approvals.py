"""FL-12, approvals: a durable request, what it is about by a digest, who may answer, until when, and once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from holdfast import codec
from holdfast.audit import SqlAuditLog
from holdfast.errors import Conflict, InvalidId, InvalidInput
from holdfast.flows.errors import FlowNotFound
from holdfast.flows.inbox import manager, sql
from holdfast.flows.inbox.errors import (
    ApprovalAnswered,
    ApprovalExpired,
    ApprovalNotFound,
    ApprovalOver,
    DigestMismatch,
    InvalidMessage,
    NotAnApprover,
)
from holdfast.ids import row_id, row_num
from holdfast.pages import Page
from holdfast.store import Store, Transaction, open_store
from holdfast.testing import VirtualClock
from tests.inbox_kit import HOUR, add_flows, answers, ask, awake, digest_of, event, flow_id, together


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def store(store_url: str, clock: VirtualClock) -> Iterator[Store]:
    with open_store(store_url, clock=clock) as store:
        store.run(lambda tx: add_flows(tx, 3))
        yield store


def acts(store: Store) -> list[tuple[str, str, str]]:
    return store.read(lambda tx: [(row.actor, row.act, row.subject) for row in SqlAuditLog(tx).list().items])


def test_a_request_is_listed_and_approved(store: Store, clock: VirtualClock) -> None:
    what = {"b": [1, None], "a": "ü"}
    asked = store.run(lambda tx: ask(tx, 2, what=what, approvers=("ann", "bob")))
    (found,) = store.read(lambda tx: manager.approvals(tx)).items
    assert (found.id, found.flow_id, found.workflow_type, found.name) == (asked, flow_id(2), "sample", "pay")
    assert (found.what, found.approvers, found.decision) == (what, ["ann", "bob"], None)
    assert found.digest == digest_of('{"a":"ü","b":[1,null]}')
    clock.advance(5)
    done = store.run(lambda tx: manager.approve(tx, str(asked), note="fine", digest=found.digest), actor="bob")
    (answer,) = store.read(lambda tx: answers(tx, 2))
    assert codec.decode(answer or "") == {
        "approved": True, "by": "bob", "note": "fine", "digest": found.digest, "at": "2030-01-01T00:00:05Z",
    }  # fmt: skip
    assert store.read(lambda tx: manager.find_approval(tx, asked)) == done
    assert done.decision is not None
    assert (done.decision.by, done.decision.at) == ("bob", clock.now())
    assert store.read(lambda tx: manager.approvals(tx)) == Page([], None)
    assert store.read(awake) == [(2, clock.micros())]
    (row,) = store.read(lambda tx: SqlAuditLog(tx).list()).items
    assert (row.actor, row.act, row.subject) == ("bob", "flow.approved", str(flow_id(2)))
    assert row.detail == {
        "approval": str(asked), "name": "pay", "digest": found.digest, "by": "bob", "note": "fine",
    }  # fmt: skip


def test_the_same_answer_again_is_the_same(store: Store) -> None:
    asked = store.run(ask)
    first = store.run(lambda tx: manager.reject(tx, asked, by="ann", note="no"), actor="console")
    assert store.run(lambda tx: manager.reject(tx, asked, by="ann", note="I said no")) == first
    with pytest.raises(ApprovalAnswered, match="rejected by ann"):
        store.run(lambda tx: manager.approve(tx, asked, by="ann"))
    with pytest.raises(ApprovalAnswered):
        store.run(lambda tx: manager.reject(tx, asked, by="bob"))
    assert acts(store) == [("console", "flow.rejected", str(flow_id(1)))]
    store.run(lambda tx: sql.forget(tx, [row_num(asked) or 0]))
    with pytest.raises(ApprovalAnswered, match="was rejected by ann already, at 2030-01-01 00:00:00Z") as late:
        store.run(lambda tx: manager.approve(tx, asked, by="cyd"))
    assert (late.value.by, late.value.approved) == ("ann", False)


def test_too_late(store: Store, clock: VirtualClock) -> None:
    expires = clock.micros() + HOUR
    asked = store.run(lambda tx: ask(tx, expires_at=expires))
    lasting = store.run(lambda tx: ask(tx, 2))
    assert len(store.read(lambda tx: manager.approvals(tx)).items) == 2
    clock.advance(3600)
    with pytest.raises(ApprovalExpired, match="expired at 2030-01-01 01:00:00Z"):
        store.run(lambda tx: manager.approve(tx, asked))
    assert [found.id for found in store.read(lambda tx: manager.approvals(tx)).items] == [lasting]
    assert acts(store) == []


def test_nobody_waits_any_more(store: Store) -> None:
    """The flow timed out, ended or was rewound: its request is gone."""
    asked = store.run(ask)
    store.run(lambda tx: sql.withdraw_flows(tx, [1]))
    for verb in (manager.approve, manager.reject):
        with pytest.raises(ApprovalOver, match=str(asked)):
            store.run(lambda tx, verb=verb: verb(tx, asked, by="ann"))  # type: ignore[misc]
    with pytest.raises(ApprovalNotFound):
        store.run(lambda tx: manager.approve(tx, row_id((row_num(asked) or 0) + 1), by="ann"))


def test_an_answer_in_time_stays_after_the_expiry(store: Store, clock: VirtualClock) -> None:
    asked = store.run(lambda tx: ask(tx, expires_at=clock.micros() + HOUR))
    first = store.run(lambda tx: manager.approve(tx, asked))
    clock.advance(7200)
    assert store.run(lambda tx: manager.approve(tx, asked)) == first


def test_lists_are_pages(store: Store) -> None:
    for flow in (1, 2, 3):
        store.run(lambda tx, flow=flow: ask(tx, flow))  # type: ignore[misc]
        store.run(lambda tx, flow=flow: sql.register(tx, [event(flow)]))  # type: ignore[misc]
    page = store.read(lambda tx: manager.approvals(tx, limit=2))
    rest = store.read(lambda tx: manager.approvals(tx, limit=2, after=page.next))
    assert [found.flow_id for found in (*page.items, *rest.items)] == [flow_id(n) for n in (1, 2, 3)]
    assert rest.next is None
    (mine,) = store.read(lambda tx: manager.approvals(tx, str(flow_id(2)))).items
    assert mine == page.items[1]
    with pytest.raises(FlowNotFound):
        store.read(lambda tx: manager.approvals(tx, uuid4()))


Act = Callable[[Transaction, UUID], object]
REFUSED: dict[str, tuple[type[Exception], Act]] = {
    "not an approver": (NotAnApprover, lambda tx, it: manager.approve(tx, it, by="eve")),
    "the actor is none": (NotAnApprover, lambda tx, it: manager.reject(tx, it)),
    "another digest": (DigestMismatch, lambda tx, it: manager.approve(tx, it, by="ann", digest="0" * 64)),
    "no digest": (DigestMismatch, lambda tx, it: manager.approve(tx, it, by="ann", digest="")),
    "unknown": (ApprovalNotFound, lambda tx, it: manager.approve(tx, row_id(999), by="ann")),
    "no wait's id": (ApprovalNotFound, lambda tx, it: manager.approve(tx, uuid4(), by="ann")),
    "too large an id": (ApprovalNotFound, lambda tx, it: manager.approve(tx, row_id((1 << 62) - 1), by="ann")),
    "malformed": (InvalidId, lambda tx, it: manager.approve(tx, "x", by="ann")),
    "nobody": (InvalidMessage, lambda tx, it: manager.approve(tx, it, by="")),
    "long name": (InvalidMessage, lambda tx, it: manager.approve(tx, it, by="a" * 501)),
    "long note": (InvalidMessage, lambda tx, it: manager.approve(tx, it, by="ann", note="n" * 10_001)),
    "note is none": (InvalidMessage, lambda tx, it: manager.approve(tx, it, by="ann", note=None)),  # type: ignore[arg-type]
    "NUL": (InvalidInput, lambda tx, it: manager.approve(tx, it, by="ann", note="\0")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, store: Store) -> None:
    kind, act = REFUSED[name]
    asked = store.run(lambda tx: ask(tx, approvers=("ann",)))
    with pytest.raises(kind) as refused:
        store.run(lambda tx: act(tx, asked), actor="user")
    assert getattr(refused.value, "remedy", "")
    assert store.read(lambda tx: answers(tx, 1)) == [None]
    assert acts(store) == []


def test_who_may_is_named(store: Store) -> None:
    asked = store.run(lambda tx: ask(tx, approvers=("ann", "bob")))
    with pytest.raises(NotAnApprover) as refused:
        store.run(lambda tx: manager.approve(tx, asked, by="eve"))
    assert "ann, bob" in str(refused.value)
    assert isinstance(refused.value, Conflict)


def test_an_event_is_no_approval(store: Store) -> None:
    (answer,) = store.run(lambda tx: sql.register(tx, [event(1)]))
    with pytest.raises(ApprovalNotFound):
        store.run(lambda tx: manager.approve(tx, row_id(answer.wait)))


@pytest.mark.parametrize("new_store_url", ["postgres"], indirect=True)
def test_of_two_who_answer_at_once_one_is_told(store: Store) -> None:
    def decide(verb: Any, asked: UUID, by: str) -> str:
        try:
            return str(store.run(lambda tx: verb(tx, asked, by=by)).decision.by)
        except ApprovalAnswered as refused:
            return f"after {refused.by}"

    for flow in (1, 2, 3):
        asked = store.run(partial(ask, flow=flow))
        told = together(partial(decide, manager.approve, asked, "a"), partial(decide, manager.reject, asked, "b"))
        assert sorted(told) in (["a", "after a"], ["after b", "b"])
    assert len(acts(store)) == 3
