"""The emulator's own published tests, run with and without a world's gate around it.

``python -m tests.emulator_suite [SERVICE …] [--checks tracking,reopening] [--faults FILE]``

The tests come with the emulator's source distribution, which ``HOLDFAST_EMULATOR_SOURCE`` names (a folder, unpacked);
where it does not, pip fetches that of the installed version. They are run in a folder of their own, never from here.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Container, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

SERVICES = ("s3", "dynamodb", "sqs", "sns", "secretsmanager", "ssm", "iam", "kms", "events", "logs")
SECONDS = 1200
"""So long the tests of one service may take."""
_PLUGINS = Path(__file__).parent / "emulator"
_MARKS = ("network", "requires_docker", "aws_verified", "requires_clean_slate")


class Ran(NamedTuple):
    """What became of each test, by its id: ``passed``, ``failed`` or ``skipped``."""

    outcomes: Mapping[str, str]

    @property
    def passed(self) -> int:
        return sum(one == "passed" for one in self.outcomes.values())

    @property
    def failed(self) -> int:
        return sum(one == "failed" for one in self.outcomes.values())

    def rate(self) -> str:
        """How many passed, of those that were not skipped."""
        return f"{self.passed} of {self.passed + self.failed}"


def prepared(folder: Path) -> Path:
    """A folder with the tests, and what they need beyond the emulator."""
    source = Path(os.environ.get("HOLDFAST_EMULATOR_SOURCE") or _fetched(folder))
    shutil.copytree(source / "tests", folder / "suite" / "tests")
    marks = "".join(f"    {mark}: the emulator's\n" for mark in _MARKS)
    (folder / "suite" / "pytest.ini").write_text(f"[pytest]\nmarkers =\n{marks}")
    _pip("install", "--target", str(folder / "needs"), "--no-deps", "freezegun")
    return folder


def _fetched(folder: Path) -> Path:
    wanted = f"moto=={version('moto')}"
    _pip("download", "--no-binary", ":all:", "--no-deps", "--dest", str(folder), wanted)
    (archive,) = folder.glob("moto-*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def _pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments], check=True)


def run(folder: Path, service: str, *, gate: bool, checks: str = "", faults: Path | None = None) -> Ran:
    """Run one service's tests.

    Args:
        folder: :func:`prepared`.
        gate: whether to answer them through a world.
        checks, faults: see ``emulator_gate``.
    """
    report = folder / f"{service}-{gate}.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--timeout", "120"]
    command += ["-m", "not network and not requires_docker", "--junitxml", str(report), f"tests/test_{service}"]
    needs = [folder / "needs"]
    if gate:
        command += ["-p", "emulator_gate"]
        needs.append(_PLUGINS)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_"))}
    environment |= {"PYTHONPATH": os.pathsep.join(map(str, needs)), "AWS_DEFAULT_REGION": "us-east-1", "TZ": "UTC"}
    environment |= {"HOLDFAST_CHECKS": checks, "HOLDFAST_FAULTS": str(faults or os.devnull)}
    found = subprocess.run(
        command, cwd=folder / "suite", env=environment, timeout=SECONDS, capture_output=True, text=True, check=False
    )
    if not report.exists():
        raise AssertionError(found.stdout[-5000:] + found.stderr[-5000:])
    return Ran(dict(map(_outcome, ElementTree.parse(report).iter("testcase"))))


def _outcome(case: ElementTree.Element) -> tuple[str, str]:
    kinds = {child.tag for child in case}
    outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
    return f"{case.get('classname')}::{case.get('name')}", outcome


def differing(plain: Ran, gated: Ran, but: Container[str] = ()) -> list[str]:
    """The tests of which something else became, those in ``but`` aside."""
    names = [name for name in sorted(plain.outcomes.keys() | gated.outcomes.keys()) if name not in but]
    return [
        f"{name}: {plain.outcomes.get(name)} without the gate, {gated.outcomes.get(name)} with it"
        for name in names
        if plain.outcomes.get(name) != gated.outcomes.get(name)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the pass rates of each service; returns 1 where they differ."""
    parser = argparse.ArgumentParser(prog="tests.emulator_suite")
    parser.add_argument("services", nargs="*", metavar="SERVICE", help=f"of {', '.join(SERVICES)}; all by default")
    parser.add_argument("--checks", default="", help="tracking, reopening, or both with a comma")
    parser.add_argument("--faults", type=Path, help="the file to which faults are added, as JSON lines")
    asked = parser.parse_args(arguments)
    differ = 0
    with tempfile.TemporaryDirectory() as name:
        folder = prepared(Path(name))
        for service in asked.services or SERVICES:
            plain = run(folder, service, gate=False)
            gated = run(folder, service, gate=True, checks=asked.checks, faults=asked.faults)
            print(f"{service}: {plain.rate()} without the gate, {gated.rate()} with it", flush=True)
            for one in differing(plain, gated):
                differ += 1
                print(f"  {one}")
    return int(bool(differ))


if __name__ == "__main__":
    sys.exit(main())
