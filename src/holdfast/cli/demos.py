"""``holdfast demo``: what Holdfast does, shown on real files and really killed processes."""

from __future__ import annotations

import typer
from typer.core import TyperGroup

from holdfast.cli import demo, demo_rewind

DEFAULT = "kill"


class _Demos(TyperGroup):
    """Without the name of a demo, the first one is shown."""

    def parse_args(self, ctx: object, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, "--help"}:
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)  # type: ignore[arg-type]


app = typer.Typer(cls=_Demos, help="Show what Holdfast does; `kill` if nothing else is said.")
app.command(DEFAULT)(demo.run)
app.command("rewind")(demo_rewind.run)
