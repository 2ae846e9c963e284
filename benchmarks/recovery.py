"""Kill a process midway through its flows, let a new one finish them, and count what happened twice."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environments import ROOT
from benchmarks.peers._shared import STEPS, Recovery
from benchmarks.rivals import RunFailed, run_script
from holdfast.testing.ledger import EffectLedger

KILL_PATIENCE_SECONDS = 300
_POLL_SECONDS = 0.002


@dataclass(frozen=True)
class Recovered:
    """What a crash and the recovery from it came to.

    Attributes:
        repeated: effects that happened again.
        seconds: from the new process's first call until the last flow's end.
        in_flight: what ``inspect`` counted between the two processes.
    """

    repeated: int
    seconds: float
    in_flight: int


def crash_and_recover(
    script: Sequence[str | Path],
    url: str,
    folder: Path,
    flows: int,
    flags: Sequence[str] = (),
    inspect: Callable[[], int] = lambda: 0,
) -> Recovered:
    """Serve ``flows`` flows, SIGKILL the process when half of all effects have happened, recover in a new one.

    Args:
        script: a peer's, or ours.
        url: a fresh database.
        folder: for the effect ledger.
        flags: of the script's own, for both its commands.
        inspect: called while no process runs.

    Raises:
        RunFailed: a process ended badly, or some flow or effect is missing in the end.
    """
    path = folder / "effects"
    common = ["--url", url, "--ledger", str(path), "--flows", str(flows), *flags]
    _serve_and_kill([*script, "serve", *common], path, flows * STEPS // 2, folder / "stderr")
    in_flight = inspect()
    figures = run_script([*script, "recover", *common])
    recovery = Recovery(figures["recovery_seconds"], int(figures["finished"]))
    with EffectLedger(path) as ledger:
        counts, repeated = ledger.counts(), ledger.repeated()
    if len(counts) != flows * STEPS or recovery.finished != flows:
        raise RunFailed(f"{recovery.finished} of {flows} flows and {len(counts)} of {flows * STEPS} effects in the end")
    return Recovered(repeated, recovery.recovery_seconds, in_flight)


def _serve_and_kill(command: Sequence[str | Path], ledger: Path, effects: int, log: Path) -> None:
    """Run ``command`` until the ledger has ``effects`` lines.

    Raises:
        RunFailed: it ended before, or took too long.
    """
    deadline = time.monotonic() + KILL_PATIENCE_SECONDS
    with log.open("w") as stderr:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=stderr)
        try:
            while not ledger.exists() or ledger.read_bytes().count(b"\n") < effects:
                if process.poll() is not None:
                    raise RunFailed(f"it ended before it could be killed: {log.read_text()[-500:]}")
                if time.monotonic() > deadline:
                    raise RunFailed(f"fewer than {effects} effects after {KILL_PATIENCE_SECONDS} s")
                time.sleep(_POLL_SECONDS)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
