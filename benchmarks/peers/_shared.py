"""What the peers' scripts share: the command line, the workload's shape, the effect ledger and the last line.

Each script runs under the interpreter of its peer's own virtual environment, so only the standard library is
imported here, and the ledger is loaded by its path rather than through the package that holds it.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

STEPS = 10
WARM_UP_FLOWS = 5
CONNECTIONS = 8
SERVE_STEP_SECONDS = 0.05

_LEDGER_FILE = Path(__file__).resolve().parents[2] / "src" / "holdfast" / "testing" / "ledger.py"


class Ledger(Protocol):
    """The part of ``holdfast.testing.ledger.EffectLedger`` a step needs."""

    def append(self, key: str) -> None: ...


@dataclass(frozen=True)
class Throughput:
    """What one throughput run measured."""

    steps_per_second: float
    step_p50_ms: float


@dataclass(frozen=True)
class Recovery:
    """What one recovery measured: from the first call into the peer to the last flow's end."""

    recovery_seconds: float
    finished: int


class Peer(Protocol):
    """One peer on one database. Each method returns when all its flows have finished."""

    def throughput(self, flows: int, concurrency: int) -> Throughput: ...

    def serve(self, ledger: Ledger, flows: int) -> None: ...

    def recover(self, ledger: Ledger, flows: int) -> Recovery: ...


class StepTimes:
    """The latencies of single steps as their workflow sees them, and the time of a whole run."""

    def __init__(self) -> None:
        self._steps: list[float] = []
        self._elapsed = 0.0

    @contextmanager
    def step(self) -> Iterator[None]:
        """Time one step, from the call in the workflow to the return into it."""
        began = time.perf_counter()
        yield
        self.add(time.perf_counter() - began)

    def add(self, seconds: float) -> None:
        """Count one step's latency."""
        self._steps.append(seconds)

    @contextmanager
    def run(self) -> Iterator[None]:
        """Time the run, forgetting the steps of the warm-up before it."""
        self._steps.clear()
        began = time.perf_counter()
        yield
        self._elapsed = time.perf_counter() - began

    def throughput(self, flows: int) -> Throughput:
        """The figures of a run of ``flows`` workflows."""
        return Throughput(flows * STEPS / self._elapsed, statistics.median(self._steps) * 1000)


def step_result(step: int) -> str:
    """A result of 200 bytes, unlike that of any other step."""
    return "x" * 190 + f"{step:010d}"


def flow_ids(flows: int) -> list[str]:
    """The ids of the recovery workload, the same in the process that serves and in the one that recovers."""
    return [f"flow-{number:04d}" for number in range(flows)]


def open_ledger(path: Path) -> Ledger:
    """Open the effect ledger, which fsyncs each line."""
    spec = importlib.util.spec_from_file_location("holdfast_testing_ledger", _LEDGER_FILE)
    if spec is None or spec.loader is None:
        raise ImportError(f"no effect ledger at {_LEDGER_FILE}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    ledger: Ledger = module.EffectLedger(path)
    return ledger


async def effect(ledger: Ledger, flow: str, step: int) -> str:
    """A served step: one line in the ledger, whose fsync must not hold up the event loop, then the pause."""
    await asyncio.to_thread(ledger.append, f"{flow}/{step}")
    await asyncio.sleep(SERVE_STEP_SECONDS)
    return step_result(step)


async def run_bounded(run: Callable[[str], Awaitable[object]], ids: Sequence[str], concurrency: int) -> None:
    """Run a workflow for each id, ``concurrency`` of them at once."""
    waiting = iter(ids)

    async def slot() -> None:
        for flow in waiting:
            await run(flow)

    await asyncio.gather(*(slot() for _ in range(concurrency)))


def sqlite_path(url: str) -> Path | None:
    """The absolute path in a ``sqlite:///`` URL, with three slashes or four; None for any other database."""
    scheme, _, path = url.partition("://")
    return Path("/" + path.lstrip("/")) if scheme == "sqlite" else None


def parser(peer: str) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The command line all peers share, and its commands' own parsers for what one peer adds."""
    root = argparse.ArgumentParser(description=f"The benchmark's workloads on {peer}.")
    commands = root.add_subparsers(dest="command", required=True)
    throughput = commands.add_parser("throughput", help="ten small steps a workflow, as fast as they go")
    throughput.add_argument("--flows", type=int, required=True, help="workflows in all")
    throughput.add_argument("--concurrency", type=int, default=1, help="workflows at once")
    for command, text in (("serve", "run flows to be killed midway"), ("recover", "finish what serve left")):
        crash = commands.add_parser(command, help=f"{text}, on a database of their own")
        crash.add_argument("--flows", type=int, default=200, help="workflows in all, started at once")
        crash.add_argument("--ledger", type=Path, required=True, help="the effect ledger's file")
    for command_parser in commands.choices.values():
        command_parser.add_argument("--url", required=True, help="sqlite:///... or postgresql://...")
    return root, commands.choices


def report(figures: Throughput | Recovery) -> None:
    """Print the one JSON object that ends the script's output."""
    print(json.dumps({name: round(value, 4) for name, value in vars(figures).items()}), flush=True)


def run_command(peer: Peer, arguments: argparse.Namespace) -> None:
    """Run the command that was asked for and print its figures."""
    if arguments.command == "throughput":
        report(peer.throughput(arguments.flows, arguments.concurrency))
        return
    ledger = open_ledger(arguments.ledger)
    if arguments.command == "serve":
        peer.serve(ledger, arguments.flows)
    else:
        report(peer.recover(ledger, arguments.flows))
