"""One flow, as ``holdfast flow show`` shows it: for programs and for people, once or for as long as it runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from holdfast import codec
from holdfast.cli.output import Output, clean, fields, human_console, table
from holdfast.cli.views import flow_object, situation, standing
from holdfast.flows import Flow, SqlFlowStore, health
from holdfast.flows.errors import FlowNotFound
from holdfast.flows.health import RecentStep
from holdfast.flows.progress import Reported, progress
from holdfast.store import Store, Transaction

LAST_STEPS = 10
POLL_SECONDS = 0.25
_LONG = 2000


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a flow saw.

    Attributes:
        counts: its recorded steps by status.
        steps: the last of them, newest first.
        progress: what the running ones reported.
        served: whether a living worker serves its workflow.
    """

    flow: Flow
    counts: dict[str, int]
    steps: list[RecentStep]
    progress: list[Reported]
    served: bool

    def object(self) -> dict[str, Any]:
        """For programs."""
        return flow_object(self.flow) | {
            "situation": situation(self.flow),
            "steps": {"total": sum(self.counts.values()), "by_status": self.counts},
            "last_steps": self.steps,
            "progress": [reported._asdict() for reported in self.progress],
            "served": self.served,
        }


def look(tx: Transaction, flow_id: UUID) -> Look:
    """Look at a flow.

    Raises:
        FlowNotFound: unknown id.
    """
    flow = SqlFlowStore(tx).get(flow_id)
    if flow is None:
        raise FlowNotFound(flow_id)
    return Look(
        flow,
        health.step_counts(tx, flow_id),
        health.last_steps(tx, flow_id, LAST_STEPS),
        progress(tx, flow_id),
        flow.workflow_type in health.served_types(health.workers(tx)),
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
    if seen.flow.error:
        yield ""
        yield from _error(seen.flow.error)
    if not seen.flow.status.terminal and not seen.served:
        name = clean(seen.flow.workflow_type)
        told = f"No living worker serves {name}: start one with `holdfast worker module:hf`."
        yield ""
        yield Text(told, style="yellow")


def follow(store: Store, flow_id: UUID, out: Output) -> None:
    """Show a flow for as long as it runs: people see it live, programs get an object for every change.

    Raises:
        FlowNotFound: unknown id, or pruned meanwhile.
    """
    looks = _looks(store, flow_id)
    if out.json:
        for seen in looks:
            out.one(seen.object())
        return
    shown = _Shown()
    with Live(console=human_console(sys.stdout), refresh_per_second=8, transient=True) as live:
        for seen in looks:
            live.update(shown.render(seen))
    out.say(*show(seen))


def _looks(store: Store, flow_id: UUID) -> Iterator[Look]:
    """One for the beginning and one for every change, up to the flow's end."""
    last = None
    while True:
        seen = store.read(lambda tx: look(tx, flow_id))
        if seen != last:
            yield seen
        if seen.flow.status.terminal:
            return
        last = seen
        time.sleep(POLL_SECONDS)


class _Shown:
    """The live view: a bar for each running step that reports."""

    def __init__(self) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"), TimeElapsedColumn()
        self._bars = Progress(*columns)
        self._tasks: dict[str, TaskID] = {}

    def render(self, seen: Look) -> RenderableType:
        for report in seen.progress:
            if report.run_id not in self._tasks:
                self._tasks[report.run_id] = self._bars.add_task(clean(report.run_id), total=None, told="")
            told = clean(" ".join(filter(None, (amount(report), report.note))))
            self._bars.update(self._tasks[report.run_id], completed=report.done, total=report.total, told=told)
        for run_id in self._tasks.keys() - {report.run_id for report in seen.progress}:
            self._bars.remove_task(self._tasks.pop(run_id))
        flow = seen.flow
        named: list[tuple[str, Any]] = [("id", flow.id), ("workflow", flow.workflow_type), ("status", standing(flow))]
        return Group(fields([*named, ("now", situation(flow)), ("steps", _counted(seen))]), self._bars)


def amount(report: Reported) -> str:
    """``3/10``, or ``3`` where nobody knows of how many."""
    return f"{report.done:g}" if report.total is None else f"{report.done:g}/{report.total:g}"


def _pairs(seen: Look) -> list[tuple[str, Any]]:
    flow = seen.flow
    return [
        ("id", flow.id),
        ("workflow", flow.workflow_type),
        ("status", standing(flow)),
        ("now", situation(flow)),
        ("goal", flow.goal),
        ("owner", flow.owner_session_key),
        ("key", flow.key),
        ("tags", ", ".join(f"{name}={value}" for name, value in flow.tags.items())),
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
        ("steps", _counted(seen)),
    ]


def _counted(seen: Look) -> str:
    return ", ".join(f"{count} {status}" for status, count in seen.counts.items()) or "none recorded"


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
    if text is None or len(text) <= _LONG:
        return text
    return f"{text[:_LONG]}… ({len(text):,} characters; --json has all)"
