"""``python -m tests.supervising URL CACHE LEASE``: serve the packages of a store until SIGTERM."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from pathlib import Path

from holdfast.flows.engine.options import WorkerOptions
from holdfast.hosting.serving import Hosting
from holdfast.hosting.supervisor import HostingOptions
from holdfast.store import open_store


def main(url: str, cache: str, lease: str) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    options = HostingOptions(WorkerOptions(drain=20.0), lease=float(lease), cache=Path(cache))
    with open_store(url) as store, Hosting(store, options) as hosting:
        print("serving", flush=True)
        while hosting.alive and not stop.wait(0.05):
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
