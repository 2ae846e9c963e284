"""Worlds hold on both ends of the range of emulators that they support (WO-8)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from holdfast.worlds.aws.emulator import SUPPORTED, check_emulator

ROOT = Path(__file__).parent.parent
LOWEST, HIGHEST = sorted(Version(one.version) for one in SUPPORTED)


def test_this_suite_runs_on_an_end_of_the_range() -> None:
    assert check_emulator() in (LOWEST, HIGHEST)


@pytest.mark.prove
@pytest.mark.timeout(1800)
def test_the_lowest_emulator_of_the_range(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path], check=True)
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--editable", f"{ROOT}[dev]", f"moto=={LOWEST}"], check=True)
    tests = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests").glob("test_aws_*.py"))
    ended = subprocess.run(
        [python, "-m", "pytest", "-m", "not prove", "-p", "no:cacheprovider", "--numprocesses", "2", *tests],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"\nmoto {LOWEST}: {ended.stdout.splitlines()[-1]}")
    assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr[-5000:]
