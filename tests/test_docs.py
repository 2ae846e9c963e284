"""Every code block of the README and the docs runs, a page's blocks in order and in one directory, as a reader's do."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.store import open_store

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUNNABLE = {"python", "sh"}


def environment(folder: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "HOLDFAST_URL": "sqlite:///docs.db", "HOLDFAST_CACHE": str(folder / ".cache")}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page(page: Path, tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path}/docs.db").close()
    for kind, body in BLOCK.findall(page.read_text()):
        assert kind in {*RUNNABLE, "text"}, "a block that cannot run is marked as text"
        if kind == "python":
            (tmp_path / "block.py").write_text(body)
            run([sys.executable, "-W", "error", "block.py"], tmp_path)
        if kind == "sh":
            for line in body.splitlines():
                shell_line(line.partition("#")[0].strip(), tmp_path)


def shell_line(line: str, folder: Path) -> None:
    """Commands run; a make target, which would run this suite again, is only asked whether it exists."""
    words = shlex.split(line)
    if words[:1] == ["make"]:
        run(["make", "--dry-run", *words[1:]], ROOT)
    elif words:
        run(words, folder)


def run(command: list[str], folder: Path) -> None:
    ended = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_example(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, ROOT / "examples" / "orders.py", f"sqlite:///{tmp_path}/orders.db"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "receipt-A-17" in ended.stdout
