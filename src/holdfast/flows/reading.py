"""How records are read: what a durable call gives its caller, alike on the first run and on every replay (FL-10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from holdfast import codec
from holdfast.errors import NotSerialisable
from holdfast.flows.engine.port import Record
from holdfast.flows.model import StepStatus

Reader = Callable[[Record], Any]
"""Gives the value, or the exception that stands for a failure."""


def reading(kind: Any, what: str, failed: Callable[[dict[str, Any]], Exception] | None = None) -> Reader:
    """Read a result as ``kind``; one that does not fit is raised in the workflow, whose code can be mended.

    Args:
        what: how an error names it.
        failed: makes an exception of a recorded error.
    """

    def read(record: Record) -> Any:
        if record.status != StepStatus.SUCCEEDED and failed is not None:
            return failed(codec.decode(record.error or "{}"))
        try:
            return codec.decode(record.result or "null", kind, what=what)
        except NotSerialisable as error:
            return error

    return read
