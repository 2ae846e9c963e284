"""Packages for tests, of the text of a module, and a supervisor that runs them.

``shop`` is a fixture: a store on SQLite with nobody that serves it. ``shop.deploy(package(TEXT))`` deploys a version of
TEXT's workflows, ``with shop.hosting():`` runs whatever is pinned to one, ``shop.start("order", number=1)`` starts a
flow.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from types import TracebackType
from typing import Any, TypeVar
from unittest.mock import patch

import pytest

from holdfast import Handle, Holdfast
from holdfast.flows.engine.options import WorkerOptions
from holdfast.flows.workflows import module_workflows
from holdfast.hosting.serving import Hosting
from holdfast.hosting.supervisor import HostingOptions
from holdfast.packages import Trouble, deploy_archive, route
from holdfast.packages.archive import Archive, make_manifest, open_archive, pack
from holdfast.packages.archive.manifest import this_python
from holdfast.packages.troubles import troubles
from holdfast.store import open_store

ROOT = Path(__file__).parent.parent
T = TypeVar("T")
PATIENCE_SECONDS = 30.0
LEASE = 2.0
ANYTHING: dict[str, Any] = {"arguments": {}, "result": {}}
_WORKFLOW = re.compile(r"^@workflow\b[^\n]*\n(?:@[^\n]*\n)*async def (\w+)", re.MULTILINE)

ORDER = """
from holdfast import step, workflow

@step
def pay(order: int) -> str:
    return f"paid {order}"

@workflow
async def order(number: int = 1) -> str:
    return await pay(number)
"""


def package(
    text: str,
    *workflows: str,
    name: str = "shop",
    module: str = "shop",
    python: str | None = None,
    files: Mapping[str, str] | None = None,
    **said: Any,
) -> Archive:
    """A package of one module.

    Args:
        text: of the module.
        workflows: that its manifest names; by default those that ``text`` defines under their own names.
        python: which it needs; this one by default.
        files: other files of its source.
        said: whatever else its manifest says.
    """
    text = dedent(text)
    names = workflows or tuple(_WORKFLOW.findall(text))
    items = [{"name": each, "entry": f"{module}:{each}"} | ANYTHING for each in names]
    manifest = {"name": name, "python": python or this_python(), "modules": [module], "workflows": items}
    texts = {f"{module}.py": text} | dict(files or {})
    source = {f"source/{path}": body.encode() for path, body in texts.items()}
    return open_archive(pack(make_manifest(manifest | said), source))


def evaluated(text: str) -> dict[str, Any]:
    """What ``text`` defines, here: its workflows are those of nobody else's Holdfast."""
    module: dict[str, Any] = {"__name__": "shop"}
    with patch.object(module_workflows, "_by_name", {}):
        exec(compile(text, "shop.py", "exec", dont_inherit=True), module)
    return module


def until(found: Callable[[], T], what: str = "it") -> T:
    """Wait for ``found()`` to be true, and return it.

    Raises:
        AssertionError: it did not come true in a long time.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := found()):
        assert time.monotonic() < deadline, f"{what} does not come true"
        time.sleep(0.01)
    return value


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Shop:
    """A store for packages, and nobody that serves it.

    Attributes:
        hf: its face, without a worker.
        cache: where packages are unpacked.
    """

    def __init__(self, hf: Holdfast, folder: Path) -> None:
        self.hf = hf
        self.cache = folder / "cache"
        self.folder = folder

    def deploy(self, archive: Archive, *, percent: float | None = None) -> str:
        """Deploy a package; its hash."""
        self.hf.store.run(lambda tx: deploy_archive(tx, archive, percent=percent))
        return archive.content_hash

    def route(self, workflow_type: str, content_hash: str) -> None:
        """Have new flows start on that version."""
        self.hf.store.run(lambda tx: route(tx, workflow_type, content_hash))

    def options(self, *, lease: float = LEASE, idle: float = 60.0, **worker: Any) -> HostingOptions:
        """How its supervisors work: ``worker`` as of :class:`WorkerOptions`."""
        return HostingOptions(replace(WorkerOptions(drain=10.0), **worker), lease=lease, idle=idle, cache=self.cache)

    @contextmanager
    def hosting(self, **options: Any) -> Iterator[Hosting]:
        """A supervisor in this process, with a store of its own; options as :meth:`options`."""
        with open_store(self.hf.url) as store, Hosting(store, self.options(**options)) as hosting:
            yield hosting

    def start(self, name: str, /, *, in_queue: str | None = None, **arguments: Any) -> Handle[Any]:
        """Start a flow by the name of its workflow."""
        return self.hf.start_named(name, arguments, queue=in_queue)

    def trouble(self, content_hash: str) -> Trouble | None:
        """What keeps the version from being loaded, as the store says."""
        found = self.hf.store.read(troubles)
        return next((trouble for trouble in found if trouble.content_hash == content_hash), None)

    def rows(self, sql: str, **params: Any) -> list[Any]:
        """What a question to the store finds."""
        return self.hf.store.read(lambda tx: tx.fetch(sql, params))

    def history(self, handle: Handle[Any]) -> list[tuple[Any, ...]]:
        """What a flow's steps recorded: run id, status, result."""
        sql = """SELECT s.run_id, s.status, s.result FROM steps s JOIN flows f ON f.num = s.flow
            WHERE f.id = :id AND s.superseded_by IS NULL ORDER BY s.num"""
        return [tuple(row) for row in self.rows(sql, id=str(handle.id))]

    def status(self, handle: Handle[Any]) -> str:
        """The flow's status now."""
        return str(handle.flow().status)

    def runs_on(self, handle: Handle[Any]) -> str | None:
        """The version to which a flow is pinned."""
        found: str | None = self.rows("SELECT package_hash FROM flows WHERE id = :id", id=str(handle.id))[0][0]
        return found


@contextmanager
def shop_at(url: str, folder: Path) -> Iterator[Shop]:
    """A shop over a store."""
    with Holdfast(url, worker=False) as hf:
        yield Shop(hf, folder)


@pytest.fixture
def shop(sqlite_url: str, tmp_path: Path) -> Iterator[Shop]:
    """A shop on a SQLite file."""
    with shop_at(sqlite_url, tmp_path) as found:
        yield found


@pytest.fixture(params=["sqlite", "postgres"])
def any_shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    """A shop on a SQLite file, and on PostgreSQL."""
    with shop_at(request.getfixturevalue(f"{request.param}_url"), tmp_path) as found:
        yield found


class SupervisorProcess:
    """A supervisor of a shop's store in a process of its own, to be frozen and killed."""

    def __init__(self, shop: Shop, *, lease: float = 1.0) -> None:
        command = [sys.executable, "-m", "tests.supervising", shop.hf.url, str(shop.cache), str(lease)]
        self.log = shop.folder / f"supervisor-{time.monotonic_ns()}.log"
        with self.log.open("w") as out:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out)
        self.pid = self._process.pid
        until(lambda: "serving" in self.log.read_text() or not self.alive, "the supervisor serves")

    @property
    def children(self) -> list[int]:
        """Process ids of its children."""
        found = Path(f"/proc/{self.pid}/task").glob("*/children")
        return [int(pid) for file in found for pid in file.read_text().split()]

    @property
    def alive(self) -> bool:
        """It runs."""
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        return self._process.wait(PATIENCE_SECONDS)

    def __enter__(self) -> SupervisorProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.alive:
            self._process.kill()
        self._process.wait()
