"""``holdfast doctor``: is the store well, and does somebody serve its flows?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from rich.console import RenderableType
from rich.text import Text

from holdfast.cli.checkup import Checkup, check_up
from holdfast.cli.output import FAILED, clean, fields, table
from holdfast.cli.session import JsonOption, StoreOption, session
from holdfast.flows.chores import Chore
from holdfast.flows.health import Health
from holdfast.flows.retention import DAY_SECONDS

PATIENCE_SECONDS = 3.0


def examine(context: typer.Context, store: StoreOption = None, json: JsonOption = False) -> None:
    """Examine the store, its workers and its flows; exit code 1 when something is wrong.

    It only reads, so that it answers while a frozen process holds up every writer.
    """
    asked = session(context, store, json)
    found = check_up(asked.url, PATIENCE_SECONDS)
    asked.out.one(_object(found), *_shown(found))
    if not found.healthy:
        raise typer.Exit(FAILED)


def _object(found: Checkup) -> dict[str, Any]:
    health = found.health
    return {
        "url": found.url,
        "healthy": found.healthy,
        "problems": found.problems,
        "reachable": found.reachable,
        "schema": {"found": found.schema_found, "known": found.schema_known},
        "writable": found.writable,
        "durability": found.durability,
        "disk_free_bytes": found.disk_free_bytes,
        "turn": found.turn,
        "workers": health.workers if health else None,
        "flows": health.statuses if health else None,
        "halted": {"count": health.halted_count, "first": health.halted} if health else None,
        "unserved": health.unserved if health else None,
        "troubles": found.troubles,
        "retention": health.retention if health else None,
        "chores": health.chores if health else None,
        "queues": health.queues if health else None,
        "schedules": health.schedules if health else None,
    }


def _shown(found: Checkup) -> Iterator[RenderableType]:
    yield fields(_store_fields(found))
    if found.health is not None:
        yield from _health_tables(found.health)
    yield ""
    for problem in found.problems:
        yield Text.assemble((f"✗ {clean(problem.message)}", "bold red"), f" {clean(problem.remedy)}")
    if found.healthy:
        yield Text("✓ All is well.", style="bold green")


def _store_fields(found: Checkup) -> list[tuple[str, Any]]:
    version = f"{found.schema_found} (this Holdfast: {found.schema_known})"
    free = found.disk_free_bytes
    return [
        ("store", found.url),
        ("reachable", _yes(found.reachable)),
        ("schema", version if found.schema_found is not None else None),
        ("writable", _yes(found.writable)),
        ("synchronous", found.durability),
        ("free disk", f"{free / 1e9:,.1f} GB" if free is not None else None),
        ("turn to write", _turn(found)),
    ]


def _turn(found: Checkup) -> str | None:
    if found.turn is None:
        return "free" if found.disk_free_bytes is not None else None
    return f"held by the process {found.turn.pid}{', which is frozen' if found.turn.frozen else ''}"


def _health_tables(health: Health) -> Iterator[RenderableType]:
    flows = ", ".join(f"{count:,} {status}" for status, count in health.statuses.items())
    yield fields(
        [
            ("flows", flows or "none"),
            ("of them halted", health.halted_count or None),
            ("queues", health.queues or None),
            ("schedules", health.schedules or None),
            *((f"{chore.name} chore", _chore(chore)) for chore in health.chores),
        ]
    )
    if health.retention:
        yield ""
        kept = [(name, f"{seconds / DAY_SECONDS:g} days") for name, seconds in health.retention.items()]
        yield table("workflow", "ended flows are kept", rows=kept, title="Retention")
    if health.workers:
        rows = [
            (w.epoch, w.state, w.host, w.pid, f"{w.silent_seconds:.1f} s ago", w.flows, ", ".join(w.workflow_types))
            for w in health.workers
        ]
        yield ""
        yield table("epoch", "state", "host", "pid", "last beat", "flows", "serves", rows=rows, title="Workers")
    if health.halted:
        halted = [(flow.id, flow.workflow_type, flow.since, flow.error.get("detail", "")) for flow in health.halted]
        yield ""
        yield table("id", "workflow", "since", "why", rows=halted, title="Halted flows")


def _chore(chore: Chore) -> str:
    if chore.epoch is not None:
        return f"the worker epoch {chore.epoch} is at it"
    due = f"due {chore.due_at:%Y-%m-%d %H:%M}Z"
    if chore.ran_at is None or chore.outcome is None:
        return due
    failed = chore.outcome.get("error")
    told = failed.get("detail") if failed else ", ".join(f"{value:,} {name}" for name, value in chore.outcome.items())
    return f"{'failed' if failed else 'done'} {chore.ran_at:%Y-%m-%d %H:%M}Z: {told}; {due}"


def _yes(value: bool | None) -> str | None:
    return None if value is None else ("yes" if value else "no")
