"""The worker processes of the demos: real ones, to be really killed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from holdfast.errors import HoldfastError, InvalidInput
from holdfast.store import Store

LOG_TAIL = 2000


class DemoWorkerDied(HoldfastError):
    """The demo's worker ended without being asked."""

    code = "demo_worker_died"
    remedy = "Its log is quoted; `holdfast doctor` checks the store."


@contextlib.contextmanager
def worker_process(
    target: str, store: Store, url: str, log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process that serves ``target``; whatever happens, it does not outlive the block.

    Args:
        url: of ``store``, as the user gave it.
        log: what it says is added here; its folder is the process's own, so that no other file shadows a module.
        environment: what it gets besides this process's own.
    """
    command = [sys.executable, "-m", "holdfast", "worker", target]
    with log.open("ab") as out:
        process = subprocess.Popen(  # noqa: S603
            command, stdout=out, stderr=out, cwd=log.parent, env={**_environment(store, url), **environment}
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def check_alive(worker: subprocess.Popen[bytes], log: Path) -> None:
    """Raises:
    DemoWorkerDied: it ended by itself.
    """
    if worker.poll() is not None:
        told = log.read_text(errors="replace")[-LOG_TAIL:]
        raise DemoWorkerDied(f"The demo's worker ended with code {worker.returncode}: {told}")


def check_shared(store: Store) -> None:
    """Raises:
    InvalidInput: other processes cannot see the store.
    """
    if store.backend.local:
        raise InvalidInput(
            "The demo's worker is a process of its own; it cannot see a store in memory.",
            remedy="Use --store sqlite:///path.db or postgresql://…",
        )


def _environment(store: Store, url: str) -> dict[str, str]:
    """For another working directory: paths are absolute."""
    path = store.backend.path
    environment = dict(os.environ)
    environment["HOLDFAST_URL"] = f"sqlite:///{path}" if path else url
    if "PYTHONPATH" in environment:
        entries = environment["PYTHONPATH"].split(os.pathsep)
        environment["PYTHONPATH"] = os.pathsep.join(str(Path(entry).absolute()) for entry in entries)
    return environment


@contextlib.contextmanager
def work_directory(keep: Path | None) -> Iterator[Path]:
    """The directory to keep, or one that is removed at the end.

    Raises:
        InvalidInput: it cannot be used.
    """
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="holdfast-demo-") as made:
            yield Path(made)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"{keep} cannot be used: {error.strerror}.", remedy="Name a writable directory.") from error
    yield keep.absolute()
