"""Findings as they are collected: runs of the same fault are told once, and no flood of them fills the memory."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.audit.findings import Fault, Finding

MAX_FINDINGS = 1000
Tell = Callable[[int, int], str]


class Report:
    """The findings of one verification."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self._omitted = 0
        self._runs: dict[Fault, tuple[object, int, int, Tell]] = {}

    def add(self, fault: Fault, seq: int, message: str) -> None:
        """Something that is wrong at the row ``seq``."""
        if len(self._findings) < MAX_FINDINGS:
            self._findings.append(Finding(fault, seq, message, fault.remedy))
        else:
            self._omitted += 1

    def add_moved(self, seq: int, shift: int) -> None:
        """The row at ``seq`` was written for ``shift`` places further on."""
        self.add_run(Fault.REORDERED, shift, seq, lambda first, last: _moved(first, last, shift))

    def add_run(self, fault: Fault, mark: object, seq: int, tell: Tell) -> None:
        """Something that is wrong with rows on end, as long as it has the same ``mark``.

        Args:
            fault: what it is.
            mark: what the rows have in common.
            seq: the next of them.
            tell: the message, given the first and the last of them.
        """
        run = self._runs.get(fault)
        if run is not None and run[0] == mark and run[2] == seq - 1:
            self._runs[fault] = (mark, run[1], seq, tell)
            return
        self._close(fault)
        self._runs[fault] = (mark, seq, seq, tell)

    def end(self) -> tuple[tuple[Finding, ...], int]:
        """The findings, by row, and how many more there were."""
        for fault in list(self._runs):
            self._close(fault)
        return tuple(sorted(self._findings, key=lambda finding: finding.seq)), self._omitted

    def _close(self, fault: Fault) -> None:
        run = self._runs.pop(fault, None)
        if run is not None:
            self.add(fault, run[1], run[3](run[1], run[2]))


def rows_told(first: int, last: int) -> str:
    """``Row 5``, ``The rows 5 to 7``."""
    return f"Row {first}" if first == last else f"The rows {first} to {last}"


def _moved(first: int, last: int, shift: int) -> str:
    was = "was" if first == last else "were"
    told = f"{rows_told(first, last)} {was} written as {rows_told(first + shift, last + shift).lower()}"
    if first == last:
        return f"{told}: it was moved."
    return f"{told}: {'rows were put in' if shift < 0 else 'rows were taken out'} before them."
