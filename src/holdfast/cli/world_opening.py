"""Opening the world that the first argument of a command names, while people see that something happens."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from holdfast.cli.output import clean, human_console
from holdfast.cli.session import Session
from holdfast.cli.world_place import LOOK, OpenedPlace, Place, Use, store_of


class _Bar(ProgressColumn):
    """A bar, once it is known how much there is to do."""

    def __init__(self) -> None:
        super().__init__()
        self._bar = BarColumn(bar_width=30)

    def render(self, task: Task) -> RenderableType:
        return self._bar.render(task) if task.total else Text()


@contextmanager
def opened_place(asked: Session, place: Place, use: Use = LOOK, *, create: bool = False) -> Iterator[OpenedPlace]:
    """The world that a place names, while a spinner turns, or a bar grows.

    Args:
        create: make the store where there is none.
    """
    console = human_console(sys.stderr)
    columns = SpinnerColumn(), TextColumn("{task.description}"), _Bar(), TimeElapsedColumn()
    quiet = asked.out.json or not console.is_terminal
    place.check_url(asked.url)
    with (
        store_of(asked, create=create) as store,
        Progress(*columns, console=console, disable=quiet, transient=True) as shown,
    ):
        task = shown.add_task(clean(place.shown), total=None)
        if not use.make:
            place.check_known(store)
        with place.open(store, use) as opened:
            opened.tell = lambda done, total: shown.update(task, completed=done, total=total)
            yield opened
