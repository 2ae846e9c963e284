"""``holdfast event``, ``signal`` and ``approval``: say something to flows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from holdfast import codec
from holdfast.cli.listing import listed, shortened
from holdfast.cli.output import cell, fields
from holdfast.cli.session import AfterOption, FlowId, JsonOption, LimitOption, Session, StoreOption, session
from holdfast.cli.views import who_may
from holdfast.errors import NotSerialisable
from holdfast.flows.inbox import manager
from holdfast.flows.inbox.model import DEFAULT_TTL, EVENT, SIGNAL, Approval, Sent
from holdfast.flows.prefixes import find_id
from holdfast.store import Transaction

event = typer.Typer(help="Send events to flows, look at those that nobody took yet, remove them.", no_args_is_help=True)
signal = typer.Typer(help="Send signals to flows, look at those not taken yet, remove them.", no_args_is_help=True)
approval = typer.Typer(help="Look at what flows want approved, and answer.", no_args_is_help=True)
_SHOWN = 100

Payload = Annotated[str, typer.Argument(metavar="JSON", help="The payload; - reads it from standard input.")]
KeyOption = Annotated[str | None, typer.Option("--key", help="A second one of this key is dropped.")]
MessageId = Annotated[str, typer.Argument(metavar="ID", help="The message's id, as `ls` shows it.")]
ApprovalId = Annotated[str, typer.Argument(metavar="ID", help="The approval's id.")]
NoteOption = Annotated[str, typer.Option("--note", help="What else you say.")]
DigestOption = Annotated[
    str | None, typer.Option("--digest", help="Of what you looked at: refuse if something else is to be approved.")
]


@event.command("emit")
def emit_event(
    context: typer.Context,
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="What it is about.")],
    correlation_id: Annotated[str, typer.Argument(metavar="CORRELATION", help="What it belongs to.")],
    payload: Payload = "null",
    key: KeyOption = None,
    ttl: Annotated[
        float, typer.Option("--ttl", metavar="SECONDS", help="How long it is kept for a wait to come.")
    ] = DEFAULT_TTL.total_seconds(),
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Send an event to the oldest wait for it, or keep it for the next one."""
    asked = session(context, store, json)
    value = _value(payload)
    sent = asked.act(lambda tx: manager.emit(tx, topic, correlation_id, value, key=key, ttl=ttl))
    _tell(asked, "event", sent)


@event.command("ls")
def list_events(
    context: typer.Context,
    topic: Annotated[str | None, typer.Option(help="Only of this topic.")] = None,
    limit: LimitOption = 50,
    after: AfterOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """List events that no flow has taken yet, oldest first."""
    asked = session(context, store, json)
    with asked.store() as opened:
        page = opened.read(lambda tx: manager.pending_events(tx, topic, limit=limit, after=after))
    columns = ("id", "topic", "correlation", "payload", "sent", "expires")
    rows = [(e.id, e.topic, e.correlation_id, _short(e.payload), e.sent_at, e.expires_at) for e in page.items]
    asked.out.many(page.items, page.next, *listed("No events.", columns, rows, page.next))


@event.command("rm")
def remove_event(
    context: typer.Context, message_id: MessageId, store: StoreOption = None, json: JsonOption = False
) -> None:
    """Remove an event that no flow has taken yet: nobody gets it any more."""
    _discard(session(context, store, json), message_id, EVENT)


@signal.command("send")
def send_signal(
    context: typer.Context,
    flow_id: FlowId,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The signal's name.")],
    payload: Payload = "null",
    key: KeyOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Send a signal to one flow; it is kept until the flow waits for it."""
    asked = session(context, store, json)
    value = _value(payload)
    _tell(asked, "signal", asked.act(lambda tx: manager.signal(tx, find_id(tx, flow_id), name, value, key=key)))


@signal.command("ls")
def list_signals(
    context: typer.Context,
    flow_id: FlowId,
    limit: LimitOption = 50,
    after: AfterOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """List signals that a flow has not taken yet, oldest first."""
    asked = session(context, store, json)
    with asked.store() as opened:
        page = opened.read(lambda tx: manager.pending_signals(tx, find_id(tx, flow_id), limit=limit, after=after))
    columns = ("id", "name", "key", "payload", "sent")
    rows = [(s.id, s.name, s.key, _short(s.payload), s.sent_at) for s in page.items]
    asked.out.many(page.items, page.next, *listed("No signals.", columns, rows, page.next))


@signal.command("rm")
def remove_signal(
    context: typer.Context, message_id: MessageId, store: StoreOption = None, json: JsonOption = False
) -> None:
    """Remove a signal that its flow has not taken yet: it does not get it any more."""
    _discard(session(context, store, json), message_id, SIGNAL)


@approval.command("ls")
def list_approvals(
    context: typer.Context,
    flow_id: Annotated[str | None, typer.Option("--flow", metavar="ID", help="Only this flow's.")] = None,
    limit: LimitOption = 50,
    after: AfterOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """List what flows want approved, oldest first."""
    asked = session(context, store, json)
    with asked.store() as opened:
        page = opened.read(
            lambda tx: manager.approvals(tx, find_id(tx, flow_id) if flow_id else None, limit=limit, after=after)
        )
    columns = ("id", "workflow", "name", "what", "who may", "asked", "expires")
    rows = [
        (a.id, a.workflow_type, a.name, _short(a.what), who_may(a.approvers), a.asked_at, a.expires_at)
        for a in page.items
    ]
    asked.out.many(page.items, page.next, *listed("Nothing waits for approval.", columns, rows, page.next))


@approval.command("show")
def show_approval(
    context: typer.Context, approval_id: ApprovalId, store: StoreOption = None, json: JsonOption = False
) -> None:
    """Show what is to be approved, all of it, with its digest."""
    asked = session(context, store, json)
    with asked.store() as opened:
        found = opened.read(lambda tx: manager.find_approval(tx, approval_id))
    pairs = [
        ("id", found.id),
        ("flow", found.flow_id),
        ("workflow", found.workflow_type),
        ("run id", found.run_id),
        ("name", found.name),
        ("what", codec.encode(found.what)),
        ("digest", found.digest),
        ("who may", who_may(found.approvers)),
        ("asked", found.asked_at),
        ("expires", found.expires_at),
        ("answer", _said(found) if found.decision else None),
    ]
    asked.out.one(found, fields(pairs))


@approval.command("approve")
def approve(
    context: typer.Context,
    approval_id: ApprovalId,
    note: NoteOption = "",
    digest: DigestOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Say yes, under your own name."""
    _decide(session(context, store, json), lambda tx: manager.approve(tx, approval_id, note=note, digest=digest))


@approval.command("reject")
def reject(
    context: typer.Context,
    approval_id: ApprovalId,
    note: NoteOption = "",
    digest: DigestOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Say no, under your own name."""
    _decide(session(context, store, json), lambda tx: manager.reject(tx, approval_id, note=note, digest=digest))


def _discard(asked: Session, message_id: str, kind: str) -> None:
    gone = asked.act(lambda tx: manager.discard(tx, message_id, kind=kind))
    asked.out.one(gone, f"The {kind} {gone.id} is removed.")


def _decide(asked: Session, verb: Callable[[Transaction], Approval]) -> None:
    done = asked.act(verb)
    asked.out.one(done, cell(f"{done.name} of the flow {done.flow_id} was {_said(done)}."))


def _tell(asked: Session, noun: str, sent: Sent) -> None:
    fate = "was delivered" if sent.delivered else "is kept until a flow waits for it"
    earlier = " It had been sent before; this one was dropped." if sent.duplicate else ""
    asked.out.one(sent, f"The {noun} {sent.id} {fate}.{earlier}")


def _value(text: str) -> Any:
    """Raises:
    NotSerialisable: it is no JSON.
    """
    text = sys.stdin.read() if text == "-" else text
    try:
        return codec.decode(text)
    except NotSerialisable as error:
        told = f"The payload {text!r:.80} is no JSON."
        raise NotSerialisable(told, remedy="""Give JSON: a text is '"in double quotes"'.""") from error


def _short(value: Any) -> str:
    return shortened(codec.encode(value), _SHOWN)


def _said(asked: Approval) -> str:
    given = asked.decision
    assert given is not None
    note = f" ({given.note})" if given.note else ""
    return f"{'approved' if given.approved else 'rejected'} by {given.by}{note}"
