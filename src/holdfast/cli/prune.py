"""``holdfast prune``: delete old terminal flows and council runs (FL-9, CO-8)."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from holdfast.cli.output import counted, human_console
from holdfast.cli.session import JsonOption, StoreOption, session
from holdfast.councils import manager as councils
from holdfast.flows import retention
from holdfast.flows.retention import DAY_SECONDS


def run(
    context: typer.Context,
    days: Annotated[int, typer.Option("--days", min=0, max=36_500, help="Keep what ended within so many days.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Delete flows and council runs that ended, with all that belongs to them, and what rewinds took back. Flows whose
    workflow says for how long they are kept go by that instead."""
    asked = session(context, store, json)
    seconds = days * DAY_SECONDS
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    console = human_console(sys.stderr)
    with asked.store() as opened:
        expected = opened.read(lambda tx: retention.count(tx, seconds))
        if dry_run:
            told = f"{counted(expected, 'flow')} would be pruned."
            asked.out.one({"would_prune": expected, "days": days}, told)
            return
        with Progress(*columns, console=console, disable=asked.out.json, transient=True) as shown:
            task = shown.add_task("flows", total=expected)
            pruned = retention.prune(opened, seconds, lambda total: shown.update(task, completed=total))
            task = shown.add_task("runs", total=None)
            runs = councils.prune(opened, days, lambda total: shown.update(task, completed=total))
    told = (
        f"Pruned {counted(pruned.flows, 'flow')} and {counted(runs, 'run')} that ended over {counted(days, 'day')} ago."
    )
    asked.out.one({"pruned": pruned.flows, "superseded_steps": pruned.steps, "runs": runs, "days": days}, told)
