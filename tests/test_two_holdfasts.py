"""A package that is locked to an older Holdfast runs on after a newer one has migrated the store (PK-5).

Both are real: wheels built of this repository. The older is this tree; the newer has a migration more, and records of
the protocol that have grown.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from holdfast import Holdfast, __version__
from holdfast.errors import StoreTooNew
from holdfast.hosting.building import build, validate
from holdfast.packages import deploy_archive
from holdfast.packages.archive import open_archive
from holdfast.store import open_store
from holdfast.store.migrate import migrations
from tests.fleet import until
from tests.lock_kit import locked
from tests.orders_kit import SupervisorProcess

ROOT = Path(__file__).parent.parent
NEWER = "99.0.0"
PARTS = ("src", "pyproject.toml", "README.md", "LICENSE")
GROWN = (
    ("src/holdfast/__init__.py", f'__version__ = "{__version__}"', f'__version__ = "{NEWER}"'),
    # what the supervisor tells
    (
        "src/holdfast/flows/engine/port.py",
        "    progress: Sequence[Progress] = ()\n",
        '    progress: Sequence[Progress] = ()\n    mood: str = "new"\n',
    ),
    ("src/holdfast/hosting/frames/verbs.py", "    drain: float\n", '    drain: float\n    mood: str = "new"\n'),
    # what it is told
    (
        "src/holdfast/hosting/frames/verbs.py",
        "    problem: str | None = None\n",
        '    problem: str | None = None\n    mood: str = "old"\n',
    ),
)
MIGRATION = (
    "ALTER TABLE flows ADD COLUMN mood text NOT NULL DEFAULT 'good';\nCREATE TABLE moods (name text PRIMARY KEY);\n"
)
MODULE = """
import holdfast
from holdfast import step, workflow
from holdfast.flows.waiting import wait_for_event

@step
async def version() -> str:
    return holdfast.__version__

@workflow
async def told(name: str) -> list[str]:
    before = await version()
    await wait_for_event("go on", name)
    return [before, await version()]
"""
PROJECT = """
[tool.holdfast.package]
name = "told"
label = "{label}"
"""
START = """
import json, sys
from holdfast import Holdfast
with Holdfast(sys.argv[1], worker=False) as hf:
    flow = hf.start_named("told", {"name": "young"})
    hf.emit("go on", "young")
    print(json.dumps(flow.result(timeout=60)))
"""
GO_ON = """
import json, sys
from holdfast import Holdfast
with Holdfast(sys.argv[1], worker=False) as hf:
    hf.emit("go on", "old")
    print(json.dumps(hf.handle(sys.argv[2]).result(timeout=60)))
"""
MOOD = """
import json, sys
from holdfast.store import open_store
with open_store(sys.argv[1]) as store:
    print(json.dumps(store.read(lambda tx: tx.fetch("SELECT mood FROM flows"))[0][0]))
"""


@dataclass(frozen=True)
class Holdfasts:
    """Both of them.

    Attributes:
        older: the wheel of this tree.
        newer: the Python of the environment that has the newer one.
        cache: where environments are kept.
    """

    older: Path
    newer: Path
    cache: Path

    def told_by_newer(self, code: str, *arguments: str) -> Any:
        """The JSON that a program on the newer one prints."""
        return json.loads(run([str(self.newer), "-c", code, *arguments], HOLDFAST_CACHE=str(self.cache)))


@pytest.fixture(scope="module")
def holdfasts(tmp_path_factory: pytest.TempPathFactory) -> Holdfasts:
    folder = tmp_path_factory.mktemp("holdfasts")
    for name in ("older", "newer"):
        copy(folder / name)
    grow(folder / "newer")
    older, newer = (wheel_of(folder / name) for name in ("older", "newer"))
    run([sys.executable, "-m", "uv", "venv", "--python", sys.executable, str(folder / "venv")])
    python = folder / "venv" / "bin" / "python"
    run(
        [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "install",
            "--python",
            str(python),
            f"holdfast[postgres] @ {newer.as_uri()}",
        ]
    )
    return Holdfasts(older, python, folder / "cache")


def copy(folder: Path) -> None:
    folder.mkdir()
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)


def grow(folder: Path) -> None:
    """Make a newer Holdfast of it."""
    for file, old, new in GROWN:
        text = (folder / file).read_text()
        assert text.count(old) == 1, f"{file} has changed; tell this test what to grow there"
        (folder / file).write_text(text.replace(old, new))
    for dialect in ("sqlite", "postgres"):
        name = f"{len(migrations()) + 1:04d}_moods.sql"
        (folder / "src/holdfast/store/migrations" / dialect / name).write_text(MIGRATION)


def wheel_of(folder: Path) -> Path:
    run([sys.executable, "-m", "uv", "build", "--wheel", "-o", str(folder / "dist"), str(folder)])
    (found,) = (folder / "dist").glob("*.whl")
    return found


def run(command: list[str], **environment: str) -> str:
    ended = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
    return ended.stdout


def project(folder: Path, label: str, wheel: Path | None = None) -> Path:
    """A package that tells on which Holdfast it runs, locked to one if there is a ``wheel``."""
    (folder / "src").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT.format(label=label))
    (folder / "src" / "told.py").write_text(dedent(MODULE))
    if wheel is not None:
        (folder / "wheels").mkdir()
        shutil.copy(wheel, folder / "wheels")
        (folder / "pylock.toml").write_text(lock_of(wheel, folder))
    return folder


def lock_of(wheel: Path, folder: Path) -> str:
    """A lock of the wheel and all that it depends on, which comes from an index."""
    (folder / "requirements.in").write_text(f"holdfast @ {wheel.as_uri()}\n")
    lock = folder / "pylock.resolved.toml"
    command = [sys.executable, "-m", "uv", "pip", "compile", "--format", "pylock.toml", "--python", sys.executable]
    run([*command, "--output-file", str(lock), str(folder / "requirements.in")])
    head, *entries = re.split(r"^(?=\[\[packages\]\])", lock.read_text(), flags=re.MULTILINE)
    others = [entry for entry in entries if 'name = "holdfast"' not in entry]
    return "".join([head, *others, locked(wheel)])


@pytest.mark.prove
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_an_older_package_runs_on_under_a_newer_supervisor(
    kind: str, holdfasts: Holdfasts, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    monkeypatch.setenv("HOLDFAST_CACHE", str(holdfasts.cache))
    old = open_archive(build(project(tmp_path / "old", "old", holdfasts.older)))
    validate(old)
    with Holdfast(url, worker=False) as hf:
        hf.store.run(lambda tx: deploy_archive(tx, old))
        flow = hf.start_named("told", {"name": "old"})
        with SupervisorProcess(url, tmp_path, cache=holdfasts.cache) as supervisor:
            until(lambda: flow.flow().status == "waiting", "the flow waits for its event")
            assert supervisor.stop() == 0

    newer = SupervisorProcess(url, tmp_path, cache=holdfasts.cache, python=holdfasts.newer)
    with newer as supervisor:
        assert holdfasts.told_by_newer(GO_ON, url, str(flow.id)) == [__version__, __version__]
        assert holdfasts.told_by_newer(MOOD, url) == "good"
        with pytest.raises(StoreTooNew):
            open_store(url)

        young = tmp_path / "young.hfpkg"
        on_newer = [str(holdfasts.newer), "-m", "holdfast", "package"]
        cache: Mapping[str, str] = {"HOLDFAST_CACHE": str(holdfasts.cache)}
        run([*on_newer, "build", str(project(tmp_path / "young", "young")), "-o", str(young)], **cache)
        run([*on_newer, "deploy", str(young), "--store", url], **cache)
        assert holdfasts.told_by_newer(START, url) == [NEWER, NEWER]
        assert supervisor.stop() == 0
