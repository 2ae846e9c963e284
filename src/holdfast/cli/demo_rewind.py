"""``holdfast demo rewind``: a process is killed, another one goes on; then the run goes back, and its files with it."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import RenderableType
from rich.text import Text

from holdfast.app import Holdfast
from holdfast.cli.demo_worker import check_alive, check_shared, work_directory, worker_process
from holdfast.cli.output import FAILED, table
from holdfast.cli.session import JsonOption, Session, StoreOption, session
from holdfast.flows import Flow, SqlFlowStore
from holdfast.rewind import positions
from holdfast.rewind.handing import rewind_flow
from holdfast.store import Store
from holdfast.worlds import World
from holdfast.worlds.directory import DirectoryWorld
from holdfast.worlds.directory.naming import world_name

WORKER_TARGET = "holdfast.cli.demo_site:hf"
POLL_SECONDS = 0.02
NOTE = {"tone": "bold"}
Files = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Chapter:
    """What the directory held at one point of the story: each file's text by its name."""

    title: str
    files: Files


@dataclass(frozen=True, slots=True)
class Story:
    """The demo's outcome.

    Attributes:
        chapters: in order: killed, resumed, rewound, gone on.
        recorded_steps_run_again: effects, after the kill or the rewind, of steps whose records were kept.
        pages_kept: files that the rewind left as they were, byte by byte.
        holds: files and progress were of one time, and nothing that was kept ran again.
    """

    flow: UUID
    store: str
    directory: str
    chapters: tuple[Chapter, ...]
    recorded_steps_run_again: int
    pages_kept: int
    holds: bool


def run(
    context: typer.Context,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Keep store, site and log in this directory.")
    ] = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Write a site in three waves, kill the process, let it resume, and rewind run and files to wave 2 with a note.

    The store is a temporary one unless --store or --keep says otherwise.
    """
    asked = session(context, store, json)
    with work_directory(keep) as place:
        story = RewindDemo(asked, place).run()
    asked.out.one(story, *_told(story))
    if not story.holds:
        raise typer.Exit(FAILED)


class RewindDemo:
    """One run of the demo.

    Args:
        asked: how it was called.
        place: a directory for store, site, ledger and log.
    """

    def __init__(self, asked: Session, place: Path) -> None:
        from holdfast.testing.ledger import EffectLedger  # brings all suites along, too slow for every other command

        self._asked = asked
        self._url = asked.given or f"sqlite:///{place / 'demo.db'}"
        self._site = place / "site"
        self._log = place / "worker.log"
        self._ledger = EffectLedger(place / "effects.ledger")

    def run(self) -> Story:
        """Raises:
        DemoWorkerDied: a worker ended by itself.
        InvalidInput: a store that other processes cannot see.
        """
        from holdfast.cli.demo_site import PAGES, WAVES, build_site

        with self._ledger, Holdfast(self._url, worker=False) as hf:
            store = hf.store
            check_shared(store)
            flow = hf.start(build_site, str(self._site), goal="build a site").id
            self._tell("Three waves of pages are being written …")
            with self._worker(store) as first:
                # the third wave has begun: some of it is on disk, and none of it is checkpointed
                self._until(first, lambda: "wave 2" in self._names(store, flow) and len(self._files()) > 2 * PAGES)
                first.kill()
                first.wait()
            killed, recorded = self._files(), self._keys(store, flow)
            lines = self._lines()
            self._tell("… killed with SIGKILL; another process goes on …")
            self._work(store, flow)
            resumed, again = self._files(), sum(key in recorded for key in self._lines()[len(lines) :])
            self._tell('… finished; rewound to "wave 2", with a note: be bold …')
            rewind_flow(store, flow, "wave 2", patch=NOTE, note="wave 3 is too plain", actor="demo")
            kept, lines = self._keys(store, flow), self._lines()
            # whoever opens the world next puts it back: here we do, to look at it
            World(store, world_name(self._site), [DirectoryWorld.at(self._site, store)], [DirectoryWorld.LOCAL])
            rewound = self._files()
            self._tell("… and it goes on from there.")
            self._work(store, flow)
            ended = self._files()
            again += sum(key in kept for key in self._lines()[len(lines) :])
        before = {name: text for name, text in resumed.items() if not name.startswith(f"{WAVES}-")}
        stayed = sum(ended.get(name) == text for name, text in before.items())
        bold = all("bold" in text for name, text in ended.items() if name not in before)
        whole = len(resumed) == len(ended) == WAVES * PAGES and stayed == len(before) and rewound == before
        return Story(
            flow=flow,
            store=store.url,
            directory=str(self._site),
            chapters=(
                Chapter("killed in wave 3", killed),
                Chapter("another process has finished it", resumed),
                Chapter('rewound to "wave 2"', rewound),
                Chapter("gone on, with the note", ended),
            ),
            recorded_steps_run_again=again,
            pages_kept=stayed,
            holds=whole and bold and not again,
        )

    def _worker(self, store: Store) -> AbstractContextManager[subprocess.Popen[bytes]]:
        from holdfast.cli.demo_site import LEDGER_VARIABLE

        return worker_process(WORKER_TARGET, store, self._url, self._log, {LEDGER_VARIABLE: str(self._ledger.path)})

    def _work(self, store: Store, flow: UUID) -> None:
        """Have a process serve the flow until it has ended."""
        with self._worker(store) as worker:
            self._until(worker, lambda: self._flow(store, flow).status.terminal)
            worker.send_signal(signal.SIGTERM)
            worker.wait()

    def _until(self, worker: subprocess.Popen[bytes], true: Callable[[], bool]) -> None:
        while not true():
            check_alive(worker, self._log)
            time.sleep(POLL_SECONDS)

    def _files(self) -> Files:
        return {path.name: path.read_text() for path in sorted(self._site.glob("*.html"))}

    def _lines(self) -> list[str]:
        return self._ledger.path.read_text().splitlines()

    def _tell(self, text: str) -> None:
        self._asked.out.say(text)

    @staticmethod
    def _flow(store: Store, flow: UUID) -> Flow:
        found = store.read(lambda tx: SqlFlowStore(tx).get(flow))
        assert found is not None
        return found

    @staticmethod
    def _names(store: Store, flow: UUID) -> set[str]:
        """Of the checkpoints taken."""
        return {name for place in store.read(lambda tx: positions(tx, flow)).items for name in place.checkpoints}

    @staticmethod
    def _keys(store: Store, flow: UUID) -> set[str]:
        """Idempotency keys of the steps whose records are kept."""
        return {f"{flow}/{place.run_id}" for place in store.read(lambda tx: positions(tx, flow)).items}


def _told(story: Story) -> Iterator[RenderableType]:
    names = sorted({name for chapter in story.chapters for name in chapter.files})
    rows: list[list[Any]] = [
        [name, *(chapter.files.get(name, "").partition(": ")[2].strip() or "-" for chapter in story.chapters)]
        for name in names
    ]
    yield ""
    yield table("file", *(chapter.title for chapter in story.chapters), rows=rows)
    yield ""
    if story.holds:
        told = f"✓ The files went back with the run: {story.pages_kept} pages kept, no recorded step ran again."
        yield Text(told, style="bold green")
    else:
        yield Text("✗ The promise was not kept.", style="bold red")
