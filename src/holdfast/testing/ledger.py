"""The effect ledger: an fsynced file of effects, outside every database.

A step that acts on the world appends one line here. After a crash the lines say what really happened, so
repeats can be counted against the steps that were in flight (FL-10): ours and any peer's on the same file.
Nothing but the standard library is used, so that a peer's own environment can import it.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from types import TracebackType


class EffectLedger:
    """An append-only file of effect keys, one a line.

    Appends are a single ``O_APPEND`` write followed by ``fsync``, so lines of several processes never
    interleave and an effect that was reported survives the machine.

    Args:
        path: the file; created when absent.
        sync: fsync each line. Off only where the effect is not under test.
    """

    def __init__(self, path: str | os.PathLike[str], *, sync: bool = True) -> None:
        self.path = Path(path)
        self._sync = sync
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def append(self, key: str) -> None:
        """Record that the effect ``key`` happened.

        Raises:
            ValueError: ``key`` is empty or holds a line break, which would make the count ambiguous.
        """
        if not key or "\n" in key or "\r" in key:
            raise ValueError(f"an effect key is one non-empty line, not {key!r}")
        os.write(self._fd, key.encode() + b"\n")
        if self._sync:
            os.fsync(self._fd)

    def counts(self) -> Counter[str]:
        """How often each effect happened, by key."""
        return Counter(self.path.read_text().splitlines())

    def repeated(self) -> int:
        """How many effects happened beyond their first time."""
        counts = self.counts()
        return counts.total() - len(counts)

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> EffectLedger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
