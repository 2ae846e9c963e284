"""``holdfast prune``: delete old terminal flows (FL-9)."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from holdfast.cli.output import counted, human_console
from holdfast.cli.session import JsonOption, StoreOption, session
from holdfast.flows import manager


def run(
    context: typer.Context,
    days: Annotated[int, typer.Option("--days", min=0, max=36_500, help="Keep what ended within so many days.")],
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Delete finished, failed and cancelled flows, with their steps and events."""
    asked = session(context, store, json)
    columns = SpinnerColumn(), TextColumn("{task.completed} flows pruned")
    console = human_console(sys.stderr)
    with asked.store() as opened, Progress(*columns, console=console, disable=asked.out.json, transient=True) as shown:
        task = shown.add_task("prune", total=None)
        count = manager.prune(opened, days, lambda total: shown.update(task, completed=total))
    asked.out.one(
        {"pruned": count, "days": days}, f"Pruned {counted(count, 'flow')} that ended over {counted(days, 'day')} ago."
    )
