"""Messages to flows, and the requests for approval that flows make. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID
from zlib import crc32

from holdfast import codec
from holdfast.clock import to_datetime
from holdfast.flows.errors import FlowCancelled, FlowNotFound
from holdfast.flows.inbox.errors import InvalidMessage
from holdfast.flows.model import FlowStatus, describe
from holdfast.ids import parse_id

EVENT, SIGNAL, APPROVAL, CHILD = "event", "signal", "approval", "child"
MAILED = (EVENT, SIGNAL)
"""The kinds of waits that the inbox answers."""
DEFAULT_TTL = timedelta(days=7)
MAX_NAME = 500
MAX_NOTE = 10_000
STRIPES = 256


class Address(NamedTuple):
    """What a message and the waits it may answer have in common.

    Attributes:
        kind: ``event`` or ``signal``.
        topic: the event's topic, or the signal's name.
        correlation: the event's correlation id, or the text of the flow's id.
    """

    kind: str
    topic: str
    correlation: str

    @property
    def lock(self) -> str:
        """Whoever registers a wait or sends a message here holds this lock; there are a few for all addresses."""
        return f"inbox {crc32('/'.join(self).encode()) % STRIPES}"


class Message(NamedTuple):
    """A message to be sent, checked.

    Attributes:
        key: what it is deduplicated by, at its address.
        payload: JSON text.
        ttl: micros for which it is kept.
    """

    address: Address
    key: str
    payload: str
    ttl: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of a message.

    Attributes:
        id: its UUID in the inbox.
        delivered: a wait has it; otherwise it is kept for the next one.
        duplicate: one of this key had been sent before; this one was dropped, and the other attributes are of that one.
    """

    id: UUID
    delivered: bool
    duplicate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingEvent:
    """An event that no wait has taken yet.

    Attributes:
        key: what it is deduplicated by; made up where the sender gave none.
        expires_at: when it is dropped.
    """

    id: UUID
    topic: str
    correlation_id: str
    key: str
    payload: Any
    sent_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSignal:
    """A signal that its flow has not taken yet; attributes as of :class:`PendingEvent`."""

    id: UUID
    flow_id: UUID
    name: str
    key: str
    payload: Any
    sent_at: datetime


Pending = PendingEvent | PendingSignal


class Found(NamedTuple):
    """A message in the inbox.

    Attributes:
        taken_by: the flow that has it, if any.
        expires_at: micros when it is dropped.
    """

    address: Address
    message: Pending
    taken_by: UUID | None
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWait:
    """What a flow waits for besides time.

    Attributes:
        id: the wait's own; of an approval, that by which it is answered.
        run_id: of the call that waits.
        kind: ``event``, ``signal``, ``approval`` or ``child``.
        name: the event's topic, the signal's or approval's name; ``None`` for a child.
        correlation_id: the event's.
        child: the flow whose result is awaited.
        approvers: who may answer an approval; anybody where it is empty.
        since: when it began to wait.
        expires_at: after this, an approval takes no answer; ``None``: never.
    """

    id: UUID
    run_id: str
    kind: str
    name: str | None
    correlation_id: str | None
    child: UUID | None
    approvers: Sequence[str] | None
    since: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How an approval was answered.

    Attributes:
        by: who answered.
        note: what they said.
        digest: of what was approved or rejected.
    """

    approved: bool
    by: str
    note: str
    digest: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A flow's request for approval.

    Attributes:
        id: its own, by which it is answered.
        flow_id, workflow_type, run_id: the flow that asks, and in which call.
        name: what the workflow calls it.
        what: what is to be approved, any JSON value.
        digest: SHA-256, in hex, of the canonical JSON of ``what``.
        approvers: who may answer; anybody where it is empty.
        expires_at: after this, no answer is taken; ``None``: never.
        decision: the answer that was given, until the flow has seen it.
    """

    id: UUID
    flow_id: UUID
    workflow_type: str
    run_id: str
    name: str
    what: Any
    digest: str
    approvers: Sequence[str]
    asked_at: datetime
    expires_at: datetime | None
    decision: Decision | None


class Terms(NamedTuple):
    """An approval's terms as its wait carries them."""

    what: Any
    digest: str
    approvers: list[str]
    asked_at: datetime


def read_terms(detail: str) -> Terms:
    """The terms that ``detail``, a wait's JSON, holds."""
    found = codec.decode(detail, dict[str, Any], what="An approval's terms")
    return Terms(found["what"], found["digest"], found["approvers"], to_datetime(found["asked_at"]))


def child_answer(child: str, status: str, result: str | None, error: str | None) -> tuple[str | None, bool]:
    """What the parent of an ended flow hears: JSON text, and whether that tells of a failure.

    Args:
        child: text of its id.
        status: ``finished``, ``failed`` or ``cancelled``.
        result, error: JSON texts, as its row has them.
    """
    if status == FlowStatus.FINISHED:
        return result, False
    if status == FlowStatus.FAILED:
        return error, True
    return codec.encode(describe(FlowCancelled(parse_id(child)))), True


def missing_child_answer(child: str) -> tuple[str, bool]:
    """What the parent of a flow that is gone hears, rather than to wait for ever."""
    return codec.encode(describe(FlowNotFound(parse_id(child)))), True


def check_name(name: Any, what: str) -> str:
    """``name`` itself, a text.

    Args:
        name: a topic, a correlation id, a key, somebody's name.
        what: how an error calls it, e.g. ``"a topic"``.

    Raises:
        InvalidMessage: no text, empty, too long or not printable.
    """
    if not isinstance(name, str) or not name or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidMessage(f"{name!r:.80} cannot be {what}.", remedy=f"Use 1 to {MAX_NAME} printable characters.")
    return name
