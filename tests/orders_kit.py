"""The example's two versions, and ``holdfast worker`` processes that run them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType

from holdfast.hosting.building import build
from holdfast.packages.archive import Archive, open_archive

ROOT = Path(__file__).parent.parent
ORDERS = ROOT / "examples" / "orders"


@dataclass(frozen=True)
class Version:
    """What a version of the example does.

    Attributes:
        archive: built of it.
        steps: run ids of a checkout's records, in order.
    """

    archive: Archive
    steps: tuple[str, ...]
    label: str

    def told(self, order: int) -> str:
        """The result of a checkout."""
        if self.label == "v1":
            return f"v1: receipt {order}, parcel {order}"
        return f"v2: receipt {order}, parcel from shelf {order % 12}, letter {order}"


@cache
def versions() -> tuple[Version, Version]:
    """Both, built once."""
    first, second = (open_archive(build(ORDERS / label)) for label in ("v1", "v2"))
    return (
        Version(first, ("pay#1@1", "pack#1@1"), "v1"),
        Version(second, ("reserve#1@1", "pay#1@1", "pack#1@1", "write_to_customer#1@1"), "v2"),
    )


class SupervisorProcess:
    """``holdfast worker`` without a target: supervises a process for each version in use.

    Args:
        url: the store.
        folder: for what it says.
        cache: for packages and environments; in the folder by default.
        lease: in seconds.
        python: the interpreter that runs it.
    """

    def __init__(
        self,
        url: str,
        folder: Path,
        *,
        cache: Path | None = None,
        lease: float = 1.0,
        python: str | Path = sys.executable,
    ) -> None:
        self.log = folder / "supervisor.log"
        command = [str(python), "-m", "holdfast", "worker", "--store", url, "--lease", str(lease), "--json"]
        environment = os.environ | {"HOLDFAST_CACHE": str(cache or folder / "cache")}
        with self.log.open("a") as out:
            self._process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)

    @property
    def children(self) -> list[int]:
        """Process ids of the versions' processes that run now."""
        found = []
        for task in Path(f"/proc/{self._process.pid}/task").glob("*/children"):
            try:
                found += [int(pid) for pid in task.read_text().split()]
            except FileNotFoundError:  # the thread has ended meanwhile
                continue
        return [pid for pid in found if _is_child(pid)]

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """As ``kill -9`` does."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """Let it drain; its exit code."""
        self._process.terminate()
        return self._process.wait(60)

    def __enter__(self) -> SupervisorProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.alive:
            self.kill()


def _is_child(pid: int) -> bool:
    try:
        return b"holdfast.hosting.child" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
