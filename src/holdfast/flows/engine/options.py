"""How a worker works."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast import codec


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How a worker works.

    Attributes:
        concurrency: flows in memory at once.
        threads: for ``def`` steps.
        max_payload_bytes: size limit of each argument list and result, as JSON.
        park_after: seconds; a flow that only waits for timers further away than this leaves memory.
        drain: seconds that running steps get when the worker is asked to stop.
    """

    concurrency: int = 1000
    threads: int = 16
    max_payload_bytes: int = codec.DEFAULT_MAX_BYTES
    park_after: float = 5.0
    drain: float = 30.0
