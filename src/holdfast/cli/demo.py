"""``holdfast demo``: real work, a real SIGKILL in its midst, and an account of what that cost."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import sysconfig
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from holdfast.app import Holdfast
from holdfast.cli.demo_worker import check_alive, check_shared, work_directory, worker_process
from holdfast.cli.output import FAILED, human_console
from holdfast.cli.session import JsonOption, Session, StoreOption, session
from holdfast.errors import InvalidInput
from holdfast.flows import health
from holdfast.ids import new_id
from holdfast.store import Store

if TYPE_CHECKING:
    from holdfast.cli.demo_report import Report

POLL_SECONDS = 0.02
WORKER_TARGET = "holdfast.cli.demo_workflows:hf"
_NOT_ITS_OWN = {"site-packages", "dist-packages"}
_ENDED = ("finished", "failed", "cancelled", "halted")


def run(
    context: typer.Context,
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Python sources; this Python's standard library by default.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Keep store, ledger and log in this directory.")
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Examine every .py file as a durable flow, kill the worker midway with SIGKILL, finish, and report.

    The store is a temporary one unless --store or --keep says otherwise.
    """
    asked = session(context, store, json)
    root = (directory or Path(sysconfig.get_path("stdlib"))).absolute()
    names = python_files(root)
    with work_directory(keep) as place:
        report = Demo(asked, root, names, place).run()
    from holdfast.cli.demo_report import shown

    asked.out.one(report, *shown(report))
    if not report.holds:
        raise typer.Exit(FAILED)


def python_files(root: Path) -> list[str]:
    """Every ``.py`` file below ``root``, relative to it, without installed packages.

    Raises:
        InvalidInput: there is none.
    """
    if not root.is_dir():
        raise InvalidInput(f"{root} is no directory.", remedy="Name a directory of Python sources.")
    paths = (path.relative_to(root) for path in root.rglob("*.py") if path.is_file())
    names = sorted(str(path) for path in paths if not _NOT_ITS_OWN.intersection(path.parts))
    if not names:
        raise InvalidInput(f"There is no .py file in {root}.", remedy="Name a directory of Python sources.")
    return names


class Demo:
    """One run of the demo.

    Args:
        asked: how it was called.
        root: where the files are.
        names: the files, relative to ``root``.
        place: a directory for store, ledger and log.
    """

    def __init__(self, asked: Session, root: Path, names: list[str], place: Path) -> None:
        from holdfast.testing.ledger import EffectLedger  # brings all suites along, too slow for every other command

        self._asked = asked
        self._root = root
        self._names = names
        self._url = asked.given or f"sqlite:///{place / 'demo.db'}"
        self._owner = f"holdfast demo {new_id()}"
        self._log = place / "worker.log"
        self._ledger = EffectLedger(place / "effects.ledger")

    def run(self) -> Report:
        """Start all flows, kill the worker midway, let another one finish.

        Raises:
            DemoWorkerDied: a worker ended by itself.
            InvalidInput: a store that other processes cannot see.
        """
        from holdfast.cli.demo_report import at_kill, make_report
        from holdfast.cli.demo_workflows import MAX_PAYLOAD_BYTES

        hf = Holdfast(self._url, worker=False, max_payload_bytes=MAX_PAYLOAD_BYTES)
        with self._ledger, hf, self._bar() as bar:
            check_shared(hf.store)
            task = bar.add_task("starting", total=len(self._names))
            asyncio.run(self._start_all(hf))
            with self._worker(hf.store) as first:
                self._watch(hf.store, first, bar, len(self._names) // 2, "before the kill")
                first.kill()
                first.wait()
            killed = at_kill(hf.store, self._owner, self._ledger)
            with self._worker(hf.store) as second:
                self._watch(hf.store, second, bar, len(self._names), "after the kill")
                second.send_signal(signal.SIGTERM)
                second.wait()
            bar.update(task, description="done")
            return make_report(hf.store, self._owner, self._ledger, killed, str(self._root))

    async def _start_all(self, hf: Holdfast) -> None:
        from holdfast.cli.demo_workflows import examine

        root = str(self._root)
        await asyncio.gather(
            *(hf.astart(examine, root, name, owner=self._owner, goal=f"examine {name}") for name in self._names)
        )

    def _worker(self, store: Store) -> AbstractContextManager[subprocess.Popen[bytes]]:
        from holdfast.cli.demo_workflows import LEDGER_VARIABLE

        environment = {LEDGER_VARIABLE: str(self._ledger.path), "PYTHONWARNINGS": "ignore"}  # of the examined files
        return worker_process(WORKER_TARGET, store, self._url, self._log, environment)

    def _watch(self, store: Store, worker: subprocess.Popen[bytes], bar: Progress, until: int, when: str) -> None:
        """Show progress until so many flows have ended."""
        (task,) = bar.task_ids
        while True:
            statuses = store.read(lambda tx: health.owner_statuses(tx, self._owner))
            ended = sum(statuses.get(status, 0) for status in _ENDED)
            bar.update(task, completed=ended, description=when)
            if ended >= until:
                return
            check_alive(worker, self._log)
            time.sleep(POLL_SECONDS)

    def _bar(self) -> Progress:
        return Progress(
            TextColumn("{task.description:>15}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("flows"),
            TimeElapsedColumn(),
            console=human_console(sys.stderr),
            disable=self._asked.out.json,
        )
