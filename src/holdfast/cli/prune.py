"""``holdfast prune``: delete old terminal flows and council runs (FL-9, CO-8)."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from holdfast.cli.output import counted, human_console
from holdfast.cli.session import JsonOption, StoreOption, session
from holdfast.councils import manager as councils
from holdfast.flows import manager as flows


def run(
    context: typer.Context,
    days: Annotated[int, typer.Option("--days", min=0, max=36_500, help="Keep what ended within so many days.")],
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Delete flows and council runs that ended, with their steps and events, and events that a rewind took back."""
    asked = session(context, store, json)
    columns = SpinnerColumn(), TextColumn("{task.completed} {task.description} pruned")
    console = human_console(sys.stderr)
    with asked.store() as opened, Progress(*columns, console=console, disable=asked.out.json, transient=True) as shown:
        task = shown.add_task("flows", total=None)
        pruned = flows.prune(opened, days, lambda total: shown.update(task, completed=total))
        task = shown.add_task("runs", total=None)
        runs = councils.prune(opened, days, lambda total: shown.update(task, completed=total))
    told = f"Pruned {counted(pruned, 'flow')} and {counted(runs, 'run')} that ended over {counted(days, 'day')} ago."
    asked.out.one({"pruned": pruned, "runs": runs, "days": days}, told)
