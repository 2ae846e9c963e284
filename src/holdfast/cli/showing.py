"""One flow, as ``holdfast flow show`` shows it: for programs and for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from rich.console import RenderableType
from rich.text import Text

from holdfast import codec
from holdfast.cli.listing import shortened
from holdfast.cli.output import clean, fields, table
from holdfast.cli.views import (
    Troubles,
    flow_object,
    known_troubles,
    situation,
    standing,
    stranding,
    tags_told,
    unserved,
    who_may,
)
from holdfast.clock import to_datetime
from holdfast.flows import Flow, FlowStatus, health, manager
from holdfast.flows.health import RecentStep
from holdfast.flows.inbox.manager import open_waits
from holdfast.flows.inbox.model import OpenWait
from holdfast.flows.model import served_by, told_served
from holdfast.flows.progress import Reported, progress
from holdfast.pages import Page
from holdfast.store import Transaction

LAST_STEPS = 10
WAITS_SHOWN = 20
WAIT_COLUMNS = ("waits for", "name", "of", "who may", "since", "until", "id")
_LONG = 2000


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a flow saw.

    Attributes:
        counts: its recorded steps by status.
        steps: the last of them, newest first.
        progress: what the running ones reported.
        waits: what it waits for besides time, the first of it.
        timer: when it goes on by itself, where it has left memory until then.
        served: whether a living worker serves its workflow, in the version that the flow is pinned to.
        elsewhere: whether one serves it in any version.
        troubles: what keeps versions of packages from being loaded.
    """

    flow: Flow
    counts: dict[str, int]
    steps: list[RecentStep]
    progress: list[Reported]
    waits: Page[OpenWait]
    timer: datetime | None
    served: bool
    elsewhere: bool
    troubles: Troubles

    def object(self) -> dict[str, Any]:
        """For programs."""
        return flow_object(self.flow, self.troubles) | {
            "situation": situation(self.flow, self.troubles),
            "steps": {"total": sum(self.counts.values()), "by_status": self.counts},
            "last_steps": self.steps,
            "progress": [reported._asdict() for reported in self.progress],
            "waits": {"timer": self.timer, **self.waits._asdict()},
            "served": self.served,
        }


def look(tx: Transaction, flow_id: UUID) -> Look:
    """Look at a flow.

    Raises:
        FlowNotFound: unknown id.
    """
    flow = manager.present(tx, flow_id)
    workers = health.workers(tx)
    return Look(
        flow,
        health.step_counts(tx, flow_id),
        health.last_steps(tx, flow_id, LAST_STEPS),
        progress(tx, flow_id),
        open_waits(tx, flow_id, limit=WAITS_SHOWN),
        _timer(flow, to_datetime(tx.clock.micros())),
        told_served(served_by(flow.workflow_type, flow.package_hash)) in health.served_types(workers),
        health.serves(workers, flow.workflow_type),
        known_troubles(tx),
    )


def show(seen: Look) -> Iterator[RenderableType]:
    """A flow for people: where it is, its last steps, and what went wrong."""
    yield fields(_pairs(seen))
    if seen.steps:
        rows = [
            (step.run_id, step.status, step.attempt, step.updated_at, _took(step), _why(step)) for step in seen.steps
        ]
        yield ""
        yield table("run id", "status", "attempt", "at", "took", "error", rows=rows, title="Last steps")
    if seen.progress:
        reports = [(report.run_id, amount(report), report.note, report.at) for report in seen.progress]
        yield ""
        yield table("run id", "done", "note", "at", rows=reports, title="Running steps")
    if seen.waits.items or seen.timer:
        yield ""
        yield from _waits(seen)
    if seen.flow.error:
        yield ""
        yield from _error(seen.flow.error)
    if not seen.flow.status.terminal and not seen.served and stranding(seen.flow, seen.troubles) is None:
        yield ""
        yield unserved(seen.flow.workflow_type, seen.flow.package_hash, elsewhere=seen.elsewhere)


def wait_row(wait: OpenWait) -> tuple[Any, ...]:
    """A wait in the :data:`WAIT_COLUMNS`."""
    of = wait.correlation_id if wait.child is None else wait.child
    may = "" if wait.approvers is None else who_may(wait.approvers)
    return wait.kind, wait.name, of, may, wait.since, wait.expires_at, wait.id


def amount(report: Reported) -> str:
    """``3/10``, or ``3`` where nobody knows of how many."""
    return f"{report.done:g}" if report.total is None else f"{report.done:g}/{report.total:g}"


def _pairs(seen: Look) -> list[tuple[str, Any]]:
    flow = seen.flow
    return [
        ("id", flow.id),
        ("workflow", flow.workflow_type),
        ("version", flow.package_hash),
        ("status", standing(flow, seen.troubles)),
        ("now", situation(flow, seen.troubles)),
        ("goal", flow.goal),
        ("owner", flow.owner_session_key),
        ("key", flow.key),
        ("tags", tags_told(flow)),
        ("queue", flow.queue),
        ("queue key", flow.queue_key),
        ("priority", flow.priority or None),
        ("parent", flow.parent),
        ("current step", flow.current_step),
        ("attempt", flow.attempt),
        ("revision", flow.revision),
        ("created", flow.created_at),
        ("started", flow.started_at),
        ("updated", flow.updated_at),
        ("finished", flow.finished_at),
        ("workers lost", flow.crashes or None),
        ("arguments", _short(flow.args)),
        ("state", _short(codec.encode(flow.state)) if flow.state else None),
        ("result", _short(flow.result)),
        ("steps", counted_steps(seen)),
    ]


def counted_steps(seen: Look) -> str:
    """Its steps by status, in words."""
    return ", ".join(f"{count} {status}" for status, count in seen.counts.items()) or "none recorded"


def _timer(flow: Flow, now: datetime) -> datetime | None:
    """One that is due by now is no timer any more: the flow is to be claimed."""
    parked = flow.status is FlowStatus.WAITING and flow.epoch is None and flow.due_at is not None and flow.due_at > now
    return flow.due_at if parked else None


def _waits(seen: Look) -> Iterator[RenderableType]:
    rows = [wait_row(wait) for wait in seen.waits.items]
    if seen.timer:
        rows.append(("timer", None, None, None, None, seen.timer, None))
    yield table(*WAIT_COLUMNS, rows=rows)
    if seen.waits.next:
        yield f"It waits for more: `holdfast flow waits {seen.flow.id}`."


def _error(error: dict[str, Any]) -> Iterator[RenderableType]:
    yield Text(clean(f"{error.get('kind')}: {error.get('detail')}"), style="bold red")
    if error.get("trace"):
        yield Text(clean(error["trace"]).rstrip())
    if error.get("remedy"):
        yield Text(clean(f"Remedy: {error['remedy']}"))


def _took(step: RecentStep) -> str:
    return f"{(step.updated_at - step.created_at) / timedelta(seconds=1):.3f} s"


def _why(step: RecentStep) -> str:
    return f"{step.error.get('kind')}: {step.error.get('detail')}" if step.error else ""


def _short(text: str | None) -> str | None:
    return None if text is None else shortened(text, _LONG)
