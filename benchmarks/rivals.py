"""Runs the peers' scripts, each in its own environment, and remembers what they measured."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.environments import ROOT, Database, Workspace, peer_python, peer_script
from benchmarks.measure import note
from benchmarks.peers._shared import Throughput

PATIENCE_SECONDS = 600


class RunFailed(Exception):
    """A script did not end well; says why."""


def peer_command(peer: str, script: str | None = None) -> list[str | Path] | None:
    """How to run a peer's script, or another one of its, or ``None``, with a note, without its environment."""
    python = peer_python(peer)
    if python is None:
        note(f"{peer} is left out: it has no environment; `python -m benchmarks.environments` makes one")
        return None
    return [python, peer_script(script or peer)]


def run_script(command: Sequence[str | Path]) -> dict[str, float]:
    """The figures in a script's last line.

    Raises:
        RunFailed: it ended badly, printed none, or took longer than ``PATIENCE_SECONDS``.
    """
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise RunFailed(f"no end after {PATIENCE_SECONDS} s") from error
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        raise RunFailed(f"exit status {done.returncode}: {' / '.join(done.stderr.splitlines()[-3:])}")
    figures: dict[str, float] = json.loads(lines[-1])
    return figures


class Rivals:
    """The peers on fresh databases; each workload is run once in the life of this object.

    Args:
        workspace: where databases are made.
        flows: workflows of a throughput run, by how many are run at once.
    """

    def __init__(self, workspace: Workspace, flows: Callable[[int], int]) -> None:
        self._workspace = workspace
        self._flows = flows
        self._known: dict[tuple[str, str, int], tuple[Throughput | None, str]] = {}

    def throughput(self, peer: str, engine: str, at_once: int) -> tuple[Throughput | None, str]:
        """A peer's figures, if it can be run, and how it was run; of several ways the fastest counts."""
        asked = (peer, engine, at_once)
        if asked not in self._known:
            self._known[asked] = self._fastest(peer, engine, at_once)
        return self._known[asked]

    def _fastest(self, peer: str, engine: str, at_once: int) -> tuple[Throughput | None, str]:
        command = peer_command(peer)
        if command is None:
            return None, ""
        size = ["--flows", str(self._flows(at_once)), "--concurrency", str(at_once)]
        found = {
            name: self._run(peer, engine, [*command, "throughput", *size, *flags])
            for name, flags in _VARIANTS[peer].items()
        }
        measured = {name: figures for name, figures in found.items() if figures}
        if not measured:
            return None, ""
        how = "; ".join(f"{name}: {figures.steps_per_second:,.0f} steps/s" for name, figures in measured.items())
        return max(measured.values(), key=lambda figures: figures.steps_per_second), how

    def _run(self, peer: str, engine: str, command: Sequence[str | Path]) -> Throughput | None:
        with peer_database(self._workspace, engine) as database:
            try:
                return Throughput(**run_script([*command, "--url", database.url]))
            except RunFailed as error:
                note(f"{peer} is left out on {engine}: {error}")
                return None


@contextmanager
def peer_database(workspace: Workspace, engine: str) -> Iterator[Database]:
    """A fresh database for a peer."""
    fresh: AbstractContextManager[Database] = workspace.sqlite() if engine == "sqlite" else workspace.database()
    with fresh as database:
        yield database


_VARIANTS: dict[str, dict[str, list[str]]] = {
    "dbos": {"coroutines": [], "plain functions (--sync)": ["--sync"]},
    "langgraph": {'StateGraph, durability="sync"': []},
    "absurd": {"coroutine workers, a connection each": []},
}
