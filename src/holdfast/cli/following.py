"""One flow, as ``holdfast flow show --follow`` shows it for as long as it runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from holdfast.cli.output import Output, clean, fields, human_console
from holdfast.cli.showing import Look, amount, counted_steps, look, show
from holdfast.cli.views import situation, standing
from holdfast.flows.progress import Reported
from holdfast.store import Store

POLL_SECONDS = 0.25


def follow(store: Store, flow_id: UUID, out: Output) -> None:
    """Show a flow for as long as it runs: people see it live, programs get an object for every change, and who reads
    it through a pipe a line.

    Raises:
        FlowNotFound: unknown id, or pruned meanwhile.
    """
    looks = _looks(store, flow_id)
    if out.json:
        for seen in looks:
            out.one(seen.object())
        return
    seen = _live(looks) if sys.stdout.isatty() else _by_line(looks)
    out.say(*show(seen))


def _live(looks: Iterable[Look]) -> Look:
    shown = _Shown()
    with Live(console=human_console(sys.stdout), refresh_per_second=8, transient=True) as live:
        for seen in looks:
            live.update(shown.render(seen))
    return seen


def _by_line(looks: Iterable[Look]) -> Look:
    last = ""
    for seen in looks:
        line = _line(seen)
        if line != last:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
        last = line
    return seen


def _line(seen: Look) -> str:
    status, doing = standing(seen.flow, seen.troubles), situation(seen.flow, seen.troubles)
    parts = [status if doing == status else f"{status}: {doing}", f"steps: {counted_steps(seen)}"]
    parts += [f"{report.run_id}: {_told(report)}" for report in seen.progress]
    return " ".join(clean("; ".join(parts)).split("\n"))


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
            told = clean(_told(report))
            self._bars.update(self._tasks[report.run_id], completed=report.done, total=report.total, told=told)
        for run_id in self._tasks.keys() - {report.run_id for report in seen.progress}:
            self._bars.remove_task(self._tasks.pop(run_id))
        flow = seen.flow
        where, doing = standing(flow, seen.troubles), situation(flow, seen.troubles)
        named: list[tuple[str, Any]] = [("id", flow.id), ("workflow", flow.workflow_type), ("status", where)]
        return Group(fields([*named, ("now", doing), ("steps", counted_steps(seen))]), self._bars)


def _told(report: Reported) -> str:
    return " ".join(filter(None, (amount(report), report.note)))
